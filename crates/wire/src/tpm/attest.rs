//! What the TPM signs.

use super::{MAX_DIGEST, Name, PcrSelections, write_sized};
use crate::{Error, Reader};

/// `TPM_GENERATED_VALUE` (Table "Definition of (UINT32) TPM_GENERATED Constants"): a restricted key signs nothing that begins so and that the
/// TPM did not make itself.
pub const GENERATED_VALUE: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE` (Table "Definition of (UINT16) TPM_ST Constants").
pub const ST_ATTEST_QUOTE: u16 = 0x8018;
/// The most qualifying data (Table "Definition of TPM2B_DATA Structure": the size of a `TPMT_HA`).
const MAX_DATA: usize = 66;

/// `TPMS_CLOCK_INFO` (Table "Definition of TPMS_CLOCK_INFO Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds in which the TPM was powered, since it was last cleared.
    pub clock: u64,
    /// How often the TPM was reset since it was last cleared.
    pub reset_count: u32,
    /// How often it was restarted or resumed since its last reset.
    pub restart_count: u32,
    /// Whether no higher `clock` was ever reported: false behind an unorderly shutdown.
    pub safe: bool,
}

/// `TPMS_ATTEST` of type `TPM_ST_ATTEST_QUOTE` (Tables "Definition of TPMS_ATTEST Structure" and "Definition of TPMS_QUOTE_INFO
/// Structure"). Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attest<'a> {
    /// Qualified name of the signing key: its name hashed with those of all of its parents.
    pub qualified_signer: Name<'a>,
    /// What the caller asked to be signed along: the challenge; at most 66 bytes.
    pub extra_data: &'a [u8],
    /// Clock and counters.
    pub clock_info: ClockInfo,
    /// Version of the TPM's firmware, in the vendor's own way.
    pub firmware_version: u64,
    /// Which PCRs of which banks the digest is over.
    pub pcr_select: PcrSelections,
    /// Hash of the selected PCRs, bank by bank as selected, in ascending order; the hash is that of the signature.
    pub pcr_digest: &'a [u8],
}

impl<'a> Attest<'a> {
    /// Parses a quote as `TPM2_Quote` returns it (behind the length of its `TPM2B_ATTEST`).
    ///
    /// # Errors
    /// When the magic or the type is another, a field is cut short or over its limit, or anything follows.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let magic = reader.u32_be("TPMS_ATTEST.magic")?;
        if magic != GENERATED_VALUE {
            let found = format_args!("{magic:#010x}");
            return Err(Error::unexpected("TPMS_ATTEST.magic", 0, "TPM_GENERATED_VALUE (0xff544347)", found));
        }
        let at = reader.offset();
        let kind = reader.u16_be("TPMS_ATTEST.type")?;
        if kind != ST_ATTEST_QUOTE {
            let found = format_args!("{kind:#06x}");
            return Err(Error::unexpected("TPMS_ATTEST.type", at, "TPM_ST_ATTEST_QUOTE (0x8018)", found));
        }
        let at = reader.offset();
        let signer = reader.sized_be("TPMS_ATTEST.qualifiedSigner", Name::MAX)?;
        let attest = Self {
            qualified_signer: Name::parse("TPMS_ATTEST.qualifiedSigner", at, signer)?,
            extra_data: reader.sized_be("TPMS_ATTEST.extraData", MAX_DATA)?,
            clock_info: ClockInfo::read(&mut reader)?,
            firmware_version: reader.u64_be("TPMS_ATTEST.firmwareVersion")?,
            pcr_select: PcrSelections::read(&mut reader)?,
            pcr_digest: reader.sized_be("TPMS_QUOTE_INFO.pcrDigest", MAX_DIGEST)?,
        };
        reader.finish("TPMS_ATTEST")?;
        Ok(attest)
    }

    /// Writes the structure.
    ///
    /// # Errors
    /// When a field is over its limit.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = GENERATED_VALUE.to_be_bytes().to_vec();
        out.extend_from_slice(&ST_ATTEST_QUOTE.to_be_bytes());
        write_sized(&mut out, "TPMS_ATTEST.qualifiedSigner", &self.qualified_signer.to_bytes(), Name::MAX)?;
        write_sized(&mut out, "TPMS_ATTEST.extraData", self.extra_data, MAX_DATA)?;
        out.extend_from_slice(&self.clock_info.clock.to_be_bytes());
        out.extend_from_slice(&self.clock_info.reset_count.to_be_bytes());
        out.extend_from_slice(&self.clock_info.restart_count.to_be_bytes());
        out.push(u8::from(self.clock_info.safe));
        out.extend_from_slice(&self.firmware_version.to_be_bytes());
        self.pcr_select.write(&mut out)?;
        write_sized(&mut out, "TPMS_QUOTE_INFO.pcrDigest", self.pcr_digest, MAX_DIGEST)?;
        Ok(out)
    }
}

impl ClockInfo {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let clock = reader.u64_be("TPMS_CLOCK_INFO.clock")?;
        let reset_count = reader.u32_be("TPMS_CLOCK_INFO.resetCount")?;
        let restart_count = reader.u32_be("TPMS_CLOCK_INFO.restartCount")?;
        let at = reader.offset();
        let safe = match reader.u8("TPMS_CLOCK_INFO.safe")? {
            0 => false,
            1 => true,
            other => return Err(Error::unexpected("TPMS_CLOCK_INFO.safe", at, "YES (1) or NO (0)", other)),
        };
        Ok(Self { clock, reset_count, restart_count, safe })
    }
}
