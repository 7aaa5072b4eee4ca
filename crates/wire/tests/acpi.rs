//! The CCEL table: a real one, one of ours, and every broken one.

mod support;

use sealwright_wire::acpi::{CC_TYPE_TDX, Ccel, Tpm2};
use zerocopy::IntoBytes;

#[test]
fn a_real_table_says_where_its_log_is() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = std::fs::read(vectors.join("eventlog/ccel/go-eventlog/CCEL.bin")).unwrap();
    let table = Ccel::parse(&bytes).unwrap();
    assert_eq!(
        (table.cc_type, table.log_area_length.get(), table.log_area_address.get()),
        (CC_TYPE_TDX, 65_536, 2_103_742_464)
    );
}

#[test]
fn every_cut_and_flip_of_a_table_is_refused() {
    let table = Ccel::tdx(65_536, 0x7d64_9000);
    let bytes = table.as_bytes();
    assert_eq!(Ccel::parse(bytes), Ok(&table));
    for len in 0..bytes.len() {
        assert!(Ccel::parse(&bytes[..len]).is_err(), "cut at {len}");
    }
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= 1 << bit;
            assert!(Ccel::parse(&flipped).is_err(), "the checksum sees a flip at {place}");
        }
    }
    assert!(Ccel::parse(&[bytes, b"x"].concat()).is_err());
}

#[test]
fn the_table_of_a_tpm_says_where_its_log_is() {
    let table = Tpm2::encode(0x10000, 0x7fff_0000);
    let parsed = Tpm2::parse(&table).unwrap();
    assert_eq!((table.len(), parsed.revision, parsed.start_method), (76, 4, 7));
    assert_eq!(parsed.log_area, Some((0x10000, 0x7fff_0000)));
    for place in 0..table.len() {
        let mut flipped = table.clone();
        flipped[place] ^= 1;
        assert!(Tpm2::parse(&flipped).is_err(), "flip at {place}");
        assert!(Tpm2::parse(&table[..place]).is_err(), "cut at {place}");
    }
    // A table that ends with the start method: its length and checksum say so.
    let mut short = table[..52].to_vec();
    short[4] = 52;
    short[9] = 0;
    short[9] = short.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    assert_eq!(Tpm2::parse(&short).unwrap().log_area, None);
    assert_eq!(Ccel::tdx(1, 2).cc_type_name(), Some("Intel TDX"));
}
