//! Runtime registers and the log that explains them: every change goes through both.

use crate::Error;
use aws_lc_rs::digest::{Context, SHA384};
use sealwright_wire::{
    Digest,
    tcg2::{AlgorithmId, Writer},
};

/// The most that a machine's log may hold, boot and runtime records together, in bytes.
pub const MAX_LOG: usize = 1 << 20;
/// What a record takes beside its data: three words, one SHA-384 digest with its algorithm, the data's length.
const RECORD_HEAD: usize = 12 + 2 + 48 + 4;

/// Registers that firmware and kernel extend, named by PCR, and the log that tells of each time.
pub(crate) trait Registers {
    /// Extends `pcr`, or the register that stands for it, with the digest of `content` and records `data` as its description.
    fn measure(&mut self, pcr: u32, event_type: u32, content: &[&[u8]], data: &[u8]) -> Result<(), Error>;

    /// [`measure`](Self::measure) for an event whose digest is over its data.
    fn measure_data(&mut self, pcr: u32, event_type: u32, data: &[u8]) -> Result<(), Error> {
        self.measure(pcr, event_type, &[data], data)
    }
}

/// RTMR0 to RTMR3 and the log of what was extended into them.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    rtmrs: [Digest<48>; 4],
    log: Writer,
}

impl Measured {
    /// Registers and log of a machine that was just reset.
    pub(crate) fn reset() -> Result<Self, Error> {
        let log = Writer::new(1, &[AlgorithmId::SHA384]).map_err(Error::Event)?;
        Ok(Self { rtmrs: [Digest::ZERO; 4], log })
    }

    /// Extends RTMR`rtmr` with the digest of `content` and records `data` as its description.
    pub(crate) fn extend(&mut self, rtmr: u8, event_type: u32, content: &[&[u8]], data: &[u8]) -> Result<(), Error> {
        let digest = sha384(content);
        let wanted = RECORD_HEAD + data.len();
        if self.log.as_bytes().len() + wanted > MAX_LOG {
            return Err(Error::LogFull { limit: MAX_LOG, wanted });
        }
        self.log.event(u32::from(rtmr) + 1, event_type, &[digest.as_ref()], data).map_err(Error::Event)?;
        let register = &mut self.rtmrs[usize::from(rtmr)];
        *register = sha384(&[register.as_ref(), digest.as_ref()]);
        Ok(())
    }

    pub(crate) fn rtmrs(&self) -> &[Digest<48>; 4] {
        &self.rtmrs
    }

    pub(crate) fn log(&self) -> &[u8] {
        self.log.as_bytes()
    }
}

impl Registers for Measured {
    /// By the mapping of the UEFI specification (CC measurement protocol). What a TPM has in PCR 0, the TDX module measures.
    fn measure(&mut self, pcr: u32, event_type: u32, content: &[&[u8]], data: &[u8]) -> Result<(), Error> {
        let rtmr = match pcr {
            1 | 7 => 0,
            2..=6 => 1,
            8..=15 => 2,
            _ => return Err(Error::Config { field: "PCR", expected: "1 to 15", found: pcr.to_string() }),
        };
        self.extend(rtmr, event_type, content, data)
    }
}

/// SHA-384 over the parts in a row.
pub(crate) fn sha384(parts: &[&[u8]]) -> Digest<48> {
    let mut hash = Context::new(&SHA384);
    parts.iter().for_each(|part| hash.update(part));
    finish(hash)
}

/// The SHA-384 of all that was hashed.
pub(crate) fn finish(hash: Context) -> Digest<48> {
    let mut value = Digest::ZERO;
    value.0.copy_from_slice(hash.finish().as_ref());
    value
}
