//! Platform configuration registers in their banks, and the firmware's log of them (PC Client Platform TPM Profile, "PCR Attributes").

use super::{boot::HCRTM_LOCALITY, hash::Hash};
use crate::{Error, measured::Registers};
use sealwright_wire::{
    tcg2::{AlgorithmId, Writer, event_type::EV_NO_ACTION},
    tpm::{PcrSelection, PcrSelections, PcrValues},
};
use std::ops::RangeInclusive;

/// How many PCRs a PC client's TPM has.
pub const PCRS: u32 = 24;
/// PCRs that start at all ones, until a dynamic launch sets them to zero.
const DYNAMIC: RangeInclusive<u32> = 17..=22;
/// `EFI_STARTUP_LOCALITY` up to the locality.
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";

/// One bank: its hash, and what its registers hold, by their numbers.
#[derive(Clone, Debug)]
struct Bank {
    hash: Hash,
    registers: Vec<Vec<u8>>,
}

impl Bank {
    /// A bank as TPM2_Startup(CLEAR) at `locality` leaves it.
    fn start(hash: Hash, locality: u8) -> Self {
        let register = |pcr| vec![if DYNAMIC.contains(&pcr) { 0xff } else { 0 }; hash.size()];
        let mut bank = Self { hash, registers: (0..PCRS).map(register).collect() };
        if let Some(last) = bank.registers.first_mut().and_then(|pcr0| pcr0.last_mut()) {
            *last = locality;
        }
        bank
    }

    fn register(&mut self, pcr: u32) -> Result<&mut Vec<u8>, Error> {
        let register = usize::try_from(pcr).ok().and_then(|place| self.registers.get_mut(place));
        register.ok_or_else(|| no_register("0 to 23", pcr))
    }

    fn extend(&mut self, pcr: u32, digest: &[u8]) -> Result<(), Error> {
        let hash = self.hash;
        let register = self.register(pcr)?;
        *register = hash.digest(&[register, digest]);
        Ok(())
    }
}

/// All banks of a TPM, and the log of what the firmware extended.
#[derive(Clone, Debug)]
pub(super) struct Pcrs {
    banks: Vec<Bank>,
    /// The banks that the firmware measures in, in the log's order.
    measured: Vec<Hash>,
    log: Writer,
}

impl Pcrs {
    /// Registers and log of a machine whose TPM was just started at `locality`.
    pub(super) fn start(banks: &[Hash], measured: &[Hash], locality: u8) -> Result<Self, Error> {
        let ids: Vec<_> = measured.iter().map(|hash| hash.id()).collect();
        let log = Writer::new(0, &ids).map_err(Error::Event)?;
        let banks = banks.iter().map(|hash| Bank::start(*hash, locality)).collect();
        let mut pcrs = Self { banks, measured: measured.to_vec(), log };
        // Zero is what everybody takes for granted, and an H-CRTM has an event of its own.
        if !matches!(locality, 0 | HCRTM_LOCALITY) {
            let zeros: Vec<_> = measured.iter().map(|hash| vec![0; hash.size()]).collect();
            pcrs.record(0, EV_NO_ACTION, &zeros, &[STARTUP_LOCALITY.as_slice(), &[locality]].concat())?;
        }
        Ok(pcrs)
    }

    fn record(&mut self, pcr: u32, event_type: u32, digests: &[Vec<u8>], data: &[u8]) -> Result<(), Error> {
        let digests: Vec<_> = digests.iter().map(Vec::as_slice).collect();
        self.log.event(pcr, event_type, &digests, data).map(drop).map_err(Error::Event)
    }

    /// Extends a register in every bank, without a record.
    pub(super) fn extend(&mut self, pcr: u32, digest: impl Fn(Hash) -> Vec<u8>) -> Result<(), Error> {
        self.banks.iter_mut().try_for_each(|bank| bank.extend(pcr, &digest(bank.hash)))
    }

    /// Extends a register in one bank, without a record.
    pub(super) fn extend_bank(&mut self, pcr: u32, bank: AlgorithmId, digest: &[u8]) -> Result<(), Error> {
        let extended = self.banks.iter_mut().find(|other| other.hash.id() == bank && other.hash.size() == digest.len());
        let unknown = || Error::Config {
            field: "PCR bank",
            expected: "one of the TPM's, and a digest of its size",
            found: format!("{} bytes for {bank}", digest.len()),
        };
        extended.ok_or_else(unknown)?.extend(pcr, digest)
    }

    /// What a dynamic launch does to its registers before it measures.
    pub(super) fn launch(&mut self) -> Result<(), Error> {
        DYNAMIC.into_iter().try_for_each(|pcr| self.clear(pcr))
    }

    /// Sets a register to zero in every bank.
    pub(super) fn clear(&mut self, pcr: u32) -> Result<(), Error> {
        self.banks.iter_mut().try_for_each(|bank| bank.register(pcr).map(|register| register.fill(0)))
    }

    /// The selection as TPM2_Quote returns it: without what the TPM does not have.
    pub(super) fn select(&self, wanted: &[PcrSelection]) -> Result<PcrSelections, Error> {
        let implemented = |selection: &PcrSelection| {
            let bank = self.banks.iter().any(|bank| bank.hash.id() == selection.hash);
            PcrSelection::new(selection.hash, selection.pcrs().filter(|_| bank))
        };
        PcrSelections::new(wanted.iter().map(implemented).collect()).map_err(Error::tpm("TPML_PCR_SELECTION"))
    }

    /// What every register of every bank holds.
    pub(super) fn values(&self) -> Result<PcrValues, Error> {
        let mut values = PcrValues::new();
        for bank in &self.banks {
            for (pcr, value) in (0..).zip(&bank.registers) {
                values.insert(bank.hash.id(), pcr, value).map_err(Error::tpm("PCR values"))?;
            }
        }
        Ok(values)
    }

    pub(super) fn log(&self) -> &[u8] {
        self.log.as_bytes()
    }
}

impl Registers for Pcrs {
    fn measure(&mut self, pcr: u32, event_type: u32, content: &[&[u8]], data: &[u8]) -> Result<(), Error> {
        let digests: Vec<_> = self.measured.iter().map(|hash| hash.digest(content)).collect();
        for (hash, digest) in self.measured.iter().zip(&digests) {
            let mut banks = self.banks.iter_mut().filter(|bank| bank.hash.id() == hash.id());
            banks.try_for_each(|bank| bank.extend(pcr, digest))?;
        }
        self.record(pcr, event_type, &digests, data)
    }
}

/// No register that may be used so.
pub(super) fn no_register(expected: &'static str, pcr: u32) -> Error {
    Error::Config { field: "PCR", expected, found: pcr.to_string() }
}
