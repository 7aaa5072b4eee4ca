//! A canonical event log against the PCRs that its records extend.

use super::{Boot, Key, PcrCheck, differs, extended, is_strong, name};
use crate::hash::Hash;
use crate::replay::{CelCheck, Error, MAX_REGISTERS};
use sealwright_wire::cel::{Log, Record, Register};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::PcrValues;
use std::collections::{BTreeMap, BTreeSet};

/// The part of a canonical log that a quote covers.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The quoted registers of which the part has every digest: it leads to their quoted values.
    replayed: BTreeSet<Key>,
    events: BTreeMap<u32, usize>,
    pub(super) checked: CelCheck,
}

/// The PCRs that a log's records extend.
pub(super) fn pcrs(log: &Log<'_>) -> Result<BTreeSet<u32>, Error> {
    let mut pcrs = BTreeSet::new();
    for (record, mr_index) in log.records().enumerate().filter_map(|(place, record)| Some((place, pcr(&record)?))) {
        if mr_index >= MAX_REGISTERS {
            return Err(Error::NoRegister { record, mr_index, expected: "0 to 23" });
        }
        pcrs.insert(mr_index);
    }
    Ok(pcrs)
}

/// The PCR that a record extends, where it extends one.
fn pcr(record: &Record<'_>) -> Option<u32> {
    match record.register {
        Register::Pcr(pcr) if record.extends() => Some(pcr),
        _ => None,
    }
}

impl Canonical {
    pub(super) fn replay(log: &Log<'_>, boot: &Boot, quoted: &PcrValues) -> Result<Self, Error> {
        let mut whole = Walk::new(log, boot, quoted)?;
        if whole.registers.is_empty() {
            // The quote says nothing of the log's registers, so that nothing vouches for its records.
            return Ok(Self { replayed: BTreeSet::new(), events: BTreeMap::new(), checked: CelCheck::of_part(log, 0) });
        }
        // The last place at which all registers have the quoted values, unless nothing has happened since.
        let mut covered = whole.agrees().then_some(0usize);
        for (place, record) in (0usize..).zip(log.records()) {
            whole.step(place, &record)?;
            if whole.agrees() {
                covered = Some(place.saturating_add(1));
            }
        }
        let Some(covered) = covered else { return Err(whole.difference()) };
        let mut part = Walk::new(log, boot, quoted)?;
        for (place, record) in log.records().take(covered).enumerate() {
            part.step(place, &record)?;
        }
        let replayed = part.registers.into_keys().collect();
        Ok(Self { replayed, events: part.events, checked: CelCheck::of_part(log, covered) })
    }

    /// One of the log's PCRs behind the covered part.
    pub(super) fn check(&self, pcr: u32, boot: &Boot) -> Option<PcrCheck> {
        let events = self.events.get(&pcr).copied().unwrap_or_default().saturating_add(boot.events_of(pcr));
        let explained = self.replayed.iter().any(|(replayed, bank)| *replayed == pcr && is_strong(*bank));
        Some(PcrCheck { pcr, name: name(pcr)?, events, explained })
    }
}

/// A log being replayed against the quoted values.
struct Walk<'q> {
    quoted: &'q PcrValues,
    /// The quoted registers that the log extends, as long as each record has their digest.
    registers: BTreeMap<Key, Vec<u8>>,
    events: BTreeMap<u32, usize>,
}

impl<'q> Walk<'q> {
    /// From where the boot log ends.
    fn new(log: &Log<'_>, boot: &Boot, quoted: &'q PcrValues) -> Result<Self, Error> {
        let pcrs = pcrs(log)?;
        let of_log = quoted.iter().filter(|(bank, pcr, _)| pcrs.contains(pcr) && Hash::of(*bank).is_some());
        let registers = of_log.filter_map(|(bank, pcr, _)| Some(((pcr, bank), boot.value((pcr, bank))?)));
        Ok(Self { quoted, registers: registers.collect(), events: BTreeMap::new() })
    }

    fn step(&mut self, place: usize, record: &Record<'_>) -> Result<(), Error> {
        let Some(pcr) = pcr(record) else { return Ok(()) };
        let events = self.events.entry(pcr).or_default();
        *events = events.saturating_add(1);
        let banks: Vec<AlgorithmId> = self.registers.keys().filter(|key| key.0 == pcr).map(|key| key.1).collect();
        for bank in &banks {
            let register = self.registers.remove(&(pcr, *bank));
            let (Some(register), Some(hash), Some(digest)) = (register, Hash::of(*bank), record.digest(*bank)) else {
                continue;
            };
            self.registers.insert((pcr, *bank), extended(pcr, hash, &register, digest));
        }
        match banks.first() {
            Some(bank) if banks.iter().all(|bank| record.digest(*bank).is_none()) => {
                Err(Error::CanonicalDigest { record: place, algorithm: *bank })
            }
            _ => Ok(()),
        }
    }

    fn differing(&self) -> Option<&Key> {
        self.registers
            .iter()
            .find(|((pcr, bank), value)| self.quoted.get(*bank, *pcr) != Some(value))
            .map(|(key, _)| key)
    }

    fn agrees(&self) -> bool {
        self.differing().is_none()
    }

    /// The first register that differs at the end.
    fn difference(&self) -> Error {
        // Where nothing differs at the end, it would have been covered.
        let (pcr, bank) = self.differing().copied().unwrap_or((0, AlgorithmId::SHA256));
        let events = self.events.get(&pcr).copied().unwrap_or_default();
        differs(pcr, bank, self.registers.get(&(pcr, bank)), self.quoted, events)
    }
}
