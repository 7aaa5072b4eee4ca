//! Quotes of TPM 1.2: a real one is read for what it is, with all that was dumped beside it, and no cut or change makes a parser panic.

mod support;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use proptest::prelude::*;
use sealwright_wire::{tpm::dump::Dump, tpm12::QuoteInfo};

fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// `TPM_PCR_COMPOSITE` (Part 2, section 8.2): the selection of all 24 registers, and their values in order.
fn composite(dump: &Dump) -> Vec<u8> {
    let mut pcrs: Vec<_> = dump.log.pcrs.iter().collect();
    pcrs.sort_by_key(|pcr| pcr.index);
    let values: Vec<u8> = pcrs.iter().flat_map(|pcr| pcr.digest.iter().copied()).collect();
    [&[0, 3, 0xff, 0xff, 0xff], &u32::try_from(values.len()).unwrap().to_be_bytes()[..], &values].concat()
}

#[test]
fn a_real_quote_is_of_the_registers_beside_it() {
    let Some(vectors) = support::vectors() else { return };
    let json = std::fs::read(vectors.join("eventlog/tpm12/linux_tpm12.json")).unwrap();
    let dump = Dump::from_json(&json).unwrap();
    let info = QuoteInfo::parse(&dump.quote.message).unwrap();
    assert_eq!(info.digest_value.to_vec(), sha1(&composite(&dump)));
    assert_eq!(info.external_data.to_vec(), sha1(&dump.quote.nonce.unwrap()));
    assert_eq!((dump.log.pcrs.len(), dump.quote.signature.len()), (24, 256));
    for len in (0..json.len()).step_by(97) {
        assert!(Dump::from_json(&json[..len]).is_err(), "{len}");
    }
}

#[test]
fn what_is_no_quote_is_refused() {
    let good = [&[1, 1, 0, 0][..], b"QUOT", &[7; 40]].concat();
    assert!(QuoteInfo::parse(&good).is_ok());
    for at in 0..8 {
        let mut other = good.clone();
        other[at] ^= 1;
        assert!(QuoteInfo::parse(&other).is_err(), "{at}");
    }
    for len in 0..good.len() {
        assert!(QuoteInfo::parse(&good[..len]).is_err(), "{len}");
    }
    assert!(QuoteInfo::parse(&[good, vec![0]].concat()).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = (QuoteInfo::parse(&bytes).is_ok(), Dump::from_json(&bytes).is_ok());
    }
}
