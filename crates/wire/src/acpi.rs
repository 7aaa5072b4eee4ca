//! Tables that say where firmware put its event log: CCEL in a confidential guest (UEFI specification, "Virtual Platform CC Event Log";
//! `/sys/firmware/acpi/tables/CCEL`), TPM2 on a machine with a TPM (TCG ACPI Specification, section 8; `/sys/firmware/acpi/tables/TPM2`).
//! The log itself is in [`crate::tcg2`].

use crate::{Error, Reader};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The table's signature.
pub const SIGNATURE: [u8; 4] = *b"CCEL";
/// The kind of confidential guest that `cc_type` names: AMD SEV.
pub const CC_TYPE_SEV: u8 = 1;
/// The kind of confidential guest that `cc_type` names: Intel TDX.
pub const CC_TYPE_TDX: u8 = 2;
/// The signature of the table of a TPM 2.0.
pub const SIGNATURE_TPM2: [u8; 4] = *b"TPM2";
/// The size of the table in bytes.
const SIZE: u32 = 56;

/// The CCEL ACPI table: the common header of ACPI tables and where the log is.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ccel {
    /// "CCEL".
    pub signature: [u8; 4],
    /// The table's length, 56.
    pub length: U32,
    /// 1.
    pub revision: u8,
    /// Makes the sum of all bytes zero.
    pub checksum: u8,
    /// Who made the firmware.
    pub oem_id: [u8; 6],
    /// Which of its tables this is.
    pub oem_table_id: [u8; 8],
    /// The maker's revision.
    pub oem_revision: U32,
    /// What wrote the table.
    pub creator_id: [u8; 4],
    /// Its revision.
    pub creator_revision: U32,
    /// The kind of guest: 1 SEV, 2 TDX.
    pub cc_type: u8,
    /// The kind's sub-type.
    pub cc_subtype: u8,
    /// Reserved.
    pub reserved: U16,
    /// Log Area Minimum Length, in bytes.
    pub log_area_length: U64,
    /// Log Area Start Address, physical.
    pub log_area_address: U64,
}

const _: () = assert!(size_of::<Ccel>() == SIZE as usize);

impl Ccel {
    /// Reads the table.
    ///
    /// # Errors
    /// When the input has another size, signature or length field, or its bytes do not sum to zero.
    pub fn parse(input: &[u8]) -> Result<&Self, Error> {
        let mut reader = Reader::new(input);
        let table: &Self = reader.structure("CCEL table")?;
        reader.finish("CCEL table")?;
        if table.signature != SIGNATURE {
            let found = table.signature.escape_ascii();
            return Err(Error::unexpected("CCEL.signature", 0, "CCEL", found));
        }
        if table.length.get() != SIZE {
            return Err(Error::unexpected("CCEL.length", 4, "56", table.length));
        }
        match sum(input) {
            0 => Ok(table),
            sum => Err(Error::unexpected("CCEL.checksum", 9, "a sum of zero over the table", sum)),
        }
    }

    /// The kind of guest, or `None` for a number that the specification does not have.
    pub fn cc_type_name(&self) -> Option<&'static str> {
        match self.cc_type {
            CC_TYPE_SEV => Some("AMD SEV"),
            CC_TYPE_TDX => Some("Intel TDX"),
            _ => None,
        }
    }

    /// The table of a TDX guest whose log area of `length` bytes is at `address`.
    pub fn tdx(length: u64, address: u64) -> Self {
        let mut table = Self {
            signature: SIGNATURE,
            length: U32::new(SIZE),
            revision: 1,
            checksum: 0,
            oem_id: *b"SEALWR",
            oem_table_id: *b"SEALWRIG",
            oem_revision: U32::new(1),
            creator_id: *b"SEAL",
            creator_revision: U32::new(1),
            cc_type: CC_TYPE_TDX,
            cc_subtype: 0,
            reserved: U16::new(0),
            log_area_length: U64::new(length),
            log_area_address: U64::new(address),
        };
        table.checksum = sum(table.as_bytes()).wrapping_neg();
        table
    }
}

/// What the TPM2 table says of the log (TCG ACPI Specification 1.2, table "TPM2 Table Layout for x86", revision 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tpm2 {
    /// 3 or 4.
    pub revision: u8,
    /// 0 for clients, 1 for servers.
    pub platform_class: u16,
    /// How commands reach the TPM: 6 a memory mapped interface, 7 a command response buffer, and others.
    pub start_method: u32,
    /// Log Area Minimum Length in bytes and Log Area Start Address, where the table goes so far.
    pub log_area: Option<(u32, u64)>,
}

impl Tpm2 {
    /// Reads the table.
    ///
    /// # Errors
    /// When the input has another signature or length field, is shorter than its fields, or its bytes do not sum to zero.
    pub fn parse(input: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let signature: &[u8; 4] = reader.array("TPM2.signature")?;
        if *signature != SIGNATURE_TPM2 {
            return Err(Error::unexpected("TPM2.signature", 0, "TPM2", signature.escape_ascii()));
        }
        let length = reader.len32("TPM2.length")?;
        if length != input.len() {
            return Err(Error::unexpected("TPM2.length", 4, "the size of the table", length));
        }
        let revision = reader.u8("TPM2.revision")?;
        // Checksum and who made the table.
        reader.bytes("TPM2.header", 27)?;
        let platform_class = reader.u16("TPM2.platformClass")?;
        reader.u16("TPM2.reserved")?;
        reader.u64("TPM2.controlArea")?;
        let start_method = reader.u32("TPM2.startMethod")?;
        let log_area = Self::log_area(&mut reader)?;
        match sum(input) {
            0 => Ok(Self { revision, platform_class, start_method, log_area }),
            sum => Err(Error::unexpected("TPM2.checksum", 9, "a sum of zero over the table", sum)),
        }
    }

    /// Tables of before revision 4, and of platforms that have no log, end with the start method or its parameters.
    fn log_area(reader: &mut Reader<'_>) -> Result<Option<(u32, u64)>, Error> {
        const PARAMETERS: usize = 12;
        if reader.rest().len() <= PARAMETERS {
            return Ok(None);
        }
        reader.bytes("TPM2.startMethodSpecificParameters", PARAMETERS)?;
        let length = reader.u32("TPM2.LAML")?;
        Ok(Some((length, reader.u64("TPM2.LASA")?)))
    }

    /// The table of a client with a command response buffer, whose log area of `length` bytes is at `address`.
    pub fn encode(length: u32, address: u64) -> Vec<u8> {
        let mut table = SIGNATURE_TPM2.to_vec();
        table.extend_from_slice(&76u32.to_le_bytes());
        table.extend_from_slice(&[4, 0]);
        table.extend_from_slice(b"SEALWRSEALWRIG");
        table.extend_from_slice(&1u32.to_le_bytes());
        table.extend_from_slice(b"SEAL");
        table.extend_from_slice(&1u32.to_le_bytes());
        table.extend_from_slice(&[0; 12]);
        table.extend_from_slice(&7u32.to_le_bytes());
        table.extend_from_slice(&[0; 12]);
        table.extend_from_slice(&length.to_le_bytes());
        table.extend_from_slice(&address.to_le_bytes());
        let total = sum(&table);
        if let Some(checksum) = table.get_mut(9) {
            *checksum = total.wrapping_neg();
        }
        table
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
