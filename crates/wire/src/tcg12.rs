//! Event logs of TPM 1.2: `TCG_PCR_EVENT` records with one SHA-1 digest each.
//!
//! Source: TCG PC Client Platform Firmware Profile, "TCG_PCR_EVENT" (and the TCG EFI Platform Specification 1.22 before it). Everything is
//! little-endian:
//!
//! ```text
//! record   u32 PCR, u32 type, 20 bytes SHA-1, u32 length, data
//! ```
//!
//! Machines with a TPM 2.0 write such logs too, where only the SHA-1 bank is in use. The records are read by [`tcg2::Log`], whose events
//! then all have one digest; this module adds what is special to the format: its Spec ID event and its writer.

use crate::tcg2::{self, Event, MAX_LOG, event_type::EV_NO_ACTION};
use crate::{Error, Reader};

/// Signature of the Spec ID event of a machine with a BIOS (TCG PC Client Specific Implementation Specification for Conventional BIOS).
const SIGNATURE_BIOS: &[u8; 16] = b"Spec ID Event00\0";
/// Signature of the Spec ID event of a machine with UEFI (TCG EFI Platform Specification).
const SIGNATURE_EFI: &[u8; 16] = b"Spec ID Event02\0";

/// Which specification the firmware follows (`TCG_PCClientSpecIdEventStruct`, `TCG_EfiSpecIdEventStruct`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecId<'a> {
    /// Whether the firmware is UEFI; a BIOS otherwise.
    pub efi: bool,
    /// 0 for clients, 1 for servers.
    pub platform_class: u32,
    /// Version of the specification: major, minor.
    pub version: (u8, u8),
    /// Errata of the specification.
    pub errata: u8,
    /// Size of UINTN: 1 for 32 bits, 2 for 64 bits; reserved in a BIOS's event.
    pub uintn_size: u8,
    /// What the vendor added.
    pub vendor_info: &'a [u8],
}

impl<'a> SpecId<'a> {
    /// The Spec ID event in a record; `None` when the record is of another kind.
    pub fn from_record(event: &Event<'a>) -> Option<Result<Self, Error>> {
        let efi = event.data.starts_with(SIGNATURE_EFI);
        let spec_id = event.event_type == EV_NO_ACTION && (efi || event.data.starts_with(SIGNATURE_BIOS));
        spec_id.then(|| Self::read(efi, event.data).map_err(|error| error.at(event.offset)))
    }

    fn read(efi: bool, data: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        reader.array::<16>("TCG_EfiSpecIdEvent.signature")?;
        let platform_class = reader.u32("TCG_EfiSpecIdEvent.platformClass")?;
        let minor = reader.u8("TCG_EfiSpecIdEvent.specVersionMinor")?;
        let major = reader.u8("TCG_EfiSpecIdEvent.specVersionMajor")?;
        let errata = reader.u8("TCG_EfiSpecIdEvent.specErrata")?;
        let uintn_size = reader.u8("TCG_EfiSpecIdEvent.uintnSize")?;
        let len = reader.u8("TCG_EfiSpecIdEvent.vendorInfoSize")?;
        let vendor_info = reader.bytes("TCG_EfiSpecIdEvent.vendorInfo", usize::from(len))?;
        reader.finish("TCG_EfiSpecIdEvent")?;
        Ok(Self { efi, platform_class, version: (major, minor), errata, uintn_size, vendor_info })
    }

    /// Writes the event's data.
    ///
    /// # Errors
    /// When the vendor's information is longer than 255 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let len = u8::try_from(self.vendor_info.len()).map_err(|_| {
            Error::too_long("TCG_EfiSpecIdEvent.vendorInfo", 0, usize::from(u8::MAX), self.vendor_info.len())
        })?;
        let mut data = if self.efi { SIGNATURE_EFI.to_vec() } else { SIGNATURE_BIOS.to_vec() };
        data.extend_from_slice(&self.platform_class.to_le_bytes());
        data.extend_from_slice(&[self.version.1, self.version.0, self.errata, self.uintn_size, len]);
        data.extend_from_slice(self.vendor_info);
        Ok(data)
    }
}

/// Reads a log of TPM 1.2.
///
/// # Errors
/// As [`tcg2::Log::parse`]; and when the log begins with the header of a crypto-agile one.
pub fn parse(bytes: &[u8]) -> Result<tcg2::Log<'_>, Error> {
    let log = tcg2::Log::parse(bytes)?;
    if log.spec_id().is_some() {
        return Err(Error::unexpected("first record", 0, "a record of TCG 1.2", "the header of a crypto-agile log"));
    }
    Ok(log)
}

/// Makes a log of TPM 1.2, record by record.
///
/// ```
/// use sealwright_wire::{tcg2::event_type::EV_SEPARATOR, tcg12};
/// let mut writer = tcg12::Writer::default();
/// writer.event(7, EV_SEPARATOR, &[0x5a; 20], &[0; 4])?;
/// assert_eq!(tcg12::parse(writer.as_bytes())?.event_count(), 1);
/// # Ok::<(), sealwright_wire::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Adds a record.
    ///
    /// # Errors
    /// When the log would become longer than [`MAX_LOG`]. Nothing is added then.
    pub fn event(&mut self, pcr: u32, event_type: u32, sha1: &[u8; 20], data: &[u8]) -> Result<&mut Self, Error> {
        let offset = self.bytes.len();
        let total = offset.saturating_add(32).saturating_add(data.len());
        let len = u32::try_from(data.len()).ok().filter(|_| total <= MAX_LOG);
        let Some(len) = len else {
            return Err(Error::too_long("event log", offset, MAX_LOG, total));
        };
        self.bytes.extend_from_slice(&pcr.to_le_bytes());
        self.bytes.extend_from_slice(&event_type.to_le_bytes());
        self.bytes.extend_from_slice(sha1);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(data);
        Ok(self)
    }

    /// The log as it stands.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The log.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
