//! Runtime registers and the log that explains them. The firmware keeps the registers, the guest keeps the log.

use super::key::sm3;
use crate::Error;
use sealwright_wire::tcg2::{AlgorithmId, Writer};

/// RTMR0 to RTMR4 and what the guest recorded about them.
#[derive(Clone)]
pub(super) struct Registers {
    rtmr: [[u8; 32]; 5],
    log: Writer,
}

impl Registers {
    /// Those of a guest that was just launched: RTMR0 is the launch digest.
    pub(super) fn launched(measure: [u8; 32]) -> Result<Self, Error> {
        let log = Writer::new(1, &[AlgorithmId::SM3_256]).map_err(Error::Event)?;
        let zero = [0; 32];
        Ok(Self { rtmr: [measure, zero, zero, zero, zero], log })
    }

    pub(super) const fn rtmr(&self) -> &[[u8; 32]; 5] {
        &self.rtmr
    }

    pub(super) fn log(&self) -> &[u8] {
        self.log.as_bytes()
    }

    /// Extends RTMR`rtmr` with `digest`.
    pub(super) fn extend(&mut self, rtmr: u8, digest: &[u8; 32]) -> Result<(), Error> {
        let register = self.register(rtmr)?;
        *register = sm3(&[register, digest]);
        Ok(())
    }

    /// Extends RTMR`rtmr` with `digest` and records `data` as its description; the log's MR index of a register is its number.
    pub(super) fn measure(&mut self, rtmr: u8, event_type: u32, digest: &[u8; 32], data: &[u8]) -> Result<(), Error> {
        self.register(rtmr)?;
        self.log.event(u32::from(rtmr), event_type, &[digest], data).map_err(Error::Event)?;
        self.extend(rtmr, digest)
    }

    /// A register that can be extended, which RTMR0 cannot.
    fn register(&mut self, rtmr: u8) -> Result<&mut [u8; 32], Error> {
        let register = self.rtmr.get_mut(usize::from(rtmr)).filter(|_| rtmr > 0);
        register.ok_or_else(|| Error::Config { field: "rtmr", expected: "1 to 4", found: rtmr.to_string() })
    }
}
