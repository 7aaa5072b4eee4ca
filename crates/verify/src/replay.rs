//! Replays event logs: what the registers must hold if the log tells the truth, and whether a TDX quote says the same.
//!
//! Source: TCG PC Client Platform Firmware Profile, "Event Logging"; Linux IMA; the mapping of PCRs to RTMRs of the UEFI specification's
//! CC measurement protocol (a log's MR index 1 to 4 is RTMR0 to RTMR3). A register starts at zero and each event that is not `EV_NO_ACTION`
//! makes it `H(register || digest)`, in every bank.
//!
//! A log can be joined by what was measured after it: an IMA list ([`Replay::join_ima`]), a canonical event log ([`Replay::join_cel`]).
//!
//! Replaying proves the *digests* of a log, not the words beside them. [`data_matches_digest`] says for one event whether its data is what was
//! measured; for runtime events ([`sealwright_wire::aael`]), whose contents policies read, [`check_tdx`] and [`check_csv`] insist on it; [`Boot`] says what a
//! log tells of a boot, from measured words alone.

mod boot;
mod cel;
mod csv;
mod error;
mod ima;
mod pcr;
mod tdx;

pub use boot::{Authority, Boot, BootOption, Image, Key, Keys, MeasuredFile, Numbering, Section};
pub use cel::{CelCheck, cel_matches_digest, replay_cel};
pub use csv::{CSV_RTMR_NAMES, check_csv};
pub use error::Error;
pub use ima::{Covered, replay_with_ima};
pub use pcr::{PCR_NAMES, PcrCheck, PcrLog, check_pcrs};
pub use tdx::{RTMR_NAMES, RegisterCheck, Replayed, check_tdx, check_tdx_logs};

use crate::hash::{Hash, Value};
use sealwright_wire::tcg2::{AlgorithmId, Digested, Event, Log, event_type};

/// MR indexes at or above this are refused: a TPM has 24 PCRs.
pub const MAX_REGISTERS: u32 = 24;

/// One register in one bank, replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    mr_index: u32,
    algorithm: AlgorithmId,
    value: Value,
    padded: Option<Value>,
    events: usize,
    zero_digests: usize,
    left_out: Option<usize>,
}

impl Register {
    /// The register's index as the log has it.
    pub fn mr_index(&self) -> u32 {
        self.mr_index
    }

    /// The bank.
    pub fn algorithm(&self) -> AlgorithmId {
        self.algorithm
    }

    /// What the register must hold.
    pub fn value(&self) -> &[u8] {
        self.value.as_bytes()
    }

    /// What the register must hold instead if the kernel that joined an IMA list had no hash for this bank: it then extends the SHA-1
    /// template digest, padded with zeros. `None` where no list was joined, and in the SHA-1 bank.
    pub fn value_if_padded(&self) -> Option<&[u8]> {
        self.padded.as_ref().map(Value::as_bytes)
    }

    /// How many events extended it.
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many of its events have a digest of zeros in this bank: firmware writes them into banks that are not in use.
    pub fn zero_digests(&self) -> usize {
        self.zero_digests
    }

    /// Whether a register that was read elsewhere holds this value.
    pub fn equals(&self, seen: &[u8]) -> bool {
        self.value() == seen
    }

    fn extend(&mut self, hash: Hash, digest: &[u8]) {
        self.value = hash.extend(&self.value, digest);
        if let Some(padded) = &mut self.padded {
            *padded = hash.extend(padded, digest);
        }
        self.count(digest);
    }

    fn count(&mut self, digest: &[u8]) {
        self.events = self.events.saturating_add(1);
        if digest.iter().all(|byte| *byte == 0) {
            self.zero_digests = self.zero_digests.saturating_add(1);
        }
    }
}

/// The registers of one bank, by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bank {
    algorithm: AlgorithmId,
    hash: Hash,
    registers: Vec<Register>,
}

impl Bank {
    fn new(algorithm: AlgorithmId, hash: Hash) -> Self {
        let value = Value::padded(&[], hash.size());
        let register = |mr_index| Register {
            mr_index,
            algorithm,
            value,
            padded: None,
            events: 0,
            zero_digests: 0,
            left_out: None,
        };
        Self { algorithm, hash, registers: (0..MAX_REGISTERS).map(register).collect() }
    }

    fn register(&mut self, mr_index: u32) -> Option<&mut Register> {
        self.registers.get_mut(usize::try_from(mr_index).ok()?)
    }

    /// Extends a register, or notes the record that has no digest for it.
    fn extend(&mut self, mr_index: u32, digest: Option<&[u8]>, record: usize) {
        let hash = self.hash;
        let Some(register) = self.register(mr_index) else { return };
        match digest {
            Some(digest) => register.extend(hash, digest),
            None => register.left_out = register.left_out.or(Some(record)),
        }
    }
}

/// A replayed log: every register in every bank that this program can hash.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Replay {
    banks: Vec<Bank>,
    unsupported: Vec<AlgorithmId>,
    ima_lines: usize,
    nv_records: usize,
}

impl Replay {
    /// Nothing measured yet, in these banks; for lists and logs that are not behind a firmware's.
    pub fn of_banks(banks: impl IntoIterator<Item = AlgorithmId>) -> Self {
        let mut replay = Self::default();
        banks.into_iter().for_each(|algorithm| replay.add_bank(algorithm));
        replay
    }

    fn add_bank(&mut self, algorithm: AlgorithmId) {
        match Hash::of(algorithm) {
            Some(hash) => {
                let place = self.banks.partition_point(|bank| bank.algorithm < algorithm);
                if self.banks.get(place).is_none_or(|bank| bank.algorithm != algorithm) {
                    self.banks.insert(place, Bank::new(algorithm, hash));
                }
            }
            None if !self.unsupported.contains(&algorithm) => self.unsupported.push(algorithm),
            None => {}
        }
    }

    /// The banks in which registers were replayed.
    pub fn banks(&self) -> impl Iterator<Item = AlgorithmId> {
        self.banks.iter().map(|bank| bank.algorithm)
    }

    /// The registers that something extended, by MR index and then by bank. A bank that an event leaves out is missing for its register.
    pub fn registers(&self) -> impl Iterator<Item = &Register> {
        let of_index = |mr_index| self.banks.iter().filter_map(move |bank| bank.registers.get(mr_index));
        (0..)
            .take(self.banks.first().map_or(0, |bank| bank.registers.len()))
            .flat_map(of_index)
            .filter(|register| register.events > 0 && register.left_out.is_none())
    }

    /// One register in one bank; `None` when nothing extended it, or an event leaves the bank out.
    pub fn register(&self, mr_index: u32, algorithm: AlgorithmId) -> Option<&Register> {
        self.any(mr_index, algorithm).filter(|register| register.events > 0 && register.left_out.is_none())
    }

    /// A register whatever happened to it; `None` without its bank.
    fn any(&self, mr_index: u32, algorithm: AlgorithmId) -> Option<&Register> {
        let bank = self.banks.iter().find(|bank| bank.algorithm == algorithm)?;
        bank.registers.get(usize::try_from(mr_index).ok()?)
    }

    /// Banks of the log for which this program has no hash; they were not replayed.
    pub fn unsupported_banks(&self) -> &[AlgorithmId] {
        &self.unsupported
    }

    /// How many lines of an IMA list were joined.
    pub fn ima_lines(&self) -> usize {
        self.ima_lines
    }

    /// How many records of a canonical event log extended indexes of non-volatile memory, which are not replayed.
    pub fn nv_records(&self) -> usize {
        self.nv_records
    }

    /// The first of these registers that holds another value than `seen`, with the replayed one; a register that nothing extended is zero.
    pub fn first_difference<'s>(
        &self,
        algorithm: AlgorithmId,
        seen: impl IntoIterator<Item = (u32, &'s [u8])>,
    ) -> Option<(u32, Vec<u8>)> {
        seen.into_iter().find_map(|(mr_index, seen)| {
            let register = self.register(mr_index, algorithm);
            let replayed = register.map_or_else(|| vec![0; seen.len()], |register| register.value().to_vec());
            (replayed != seen).then_some((mr_index, replayed))
        })
    }

    /// A register that only grows; zero when nothing extended it.
    fn rtmr(&self, mr_index: u32, algorithm: AlgorithmId) -> Result<(Value, usize), Error> {
        let Some(register) = self.any(mr_index, algorithm) else {
            return Ok((Value::padded(&[], algorithm.digest_size().unwrap_or_default()), 0));
        };
        match register.left_out {
            Some(record) => Err(Error::NoDigest { record, algorithm }),
            None => Ok((register.value, register.events)),
        }
    }
}

/// Replays a log: a TPM's of either generation, or a CCEL with or without runtime records behind it.
///
/// # Errors
/// When the log is not readable, names a register that no machine has, or contradicts itself on the startup locality.
pub fn replay(log: &[u8]) -> Result<Replay, Error> {
    replay_parsed(&Log::parse(log)?)
}

/// Replays a log that was read before.
///
/// # Errors
/// When the log names a register that no machine has, or contradicts itself on the startup locality.
pub fn replay_parsed(log: &Log<'_>) -> Result<Replay, Error> {
    let mut replay = Replay::of_banks(log.banks().iter().map(|bank| bank.algorithm()));
    let mut start = Startup::default();
    for event in log.events() {
        if !extends(&event) {
            start.see(&event)?;
            continue;
        }
        if event.mr_index >= MAX_REGISTERS {
            let (record, mr_index) = (event.index, event.mr_index);
            return Err(Error::NoRegister { record, mr_index, expected: "0 to 23" });
        }
        if event.mr_index == 0 && start.first.is_none() {
            start.begin(log, &event, &mut replay);
        }
        for bank in &mut replay.banks {
            bank.extend(event.mr_index, event.digests.get(bank.algorithm), event.index);
        }
    }
    Ok(replay)
}

fn extends(event: &Event<'_>) -> bool {
    event.event_type != event_type::EV_NO_ACTION
}

/// With what PCR 0 starts: the locality of the TPM's startup, or 4 where the hardware's root of trust measured first.
#[derive(Default)]
struct Startup {
    locality: Option<u8>,
    first: Option<usize>,
}

impl Startup {
    fn see(&mut self, event: &Event<'_>) -> Result<(), Error> {
        let Some(stated) = event.startup_locality() else { return Ok(()) };
        match self.locality.replace(stated) {
            Some(before) if before != stated => Err(Error::StartupLocality { record: event.index }),
            _ => Ok(()),
        }
    }

    /// Sets PCR 0 before its first event.
    fn begin(&mut self, log: &Log<'_>, first: &Event<'_>, replay: &mut Replay) {
        self.first = Some(first.index);
        let initial = self.initial(log, first);
        for bank in &mut replay.banks {
            if let Some(pcr0) = bank.register(0) {
                pcr0.value.set_last(initial);
            }
        }
    }

    /// The last byte of PCR 0 before its first event; firmware may state the locality behind it.
    fn initial(&self, log: &Log<'_>, first: &Event<'_>) -> u8 {
        if first.event_type == event_type::EV_EFI_HCRTM_EVENT {
            return 4;
        }
        let stated = || log.events().find_map(|event| event.startup_locality()).unwrap_or(0);
        self.locality.unwrap_or_else(stated)
    }
}

/// The last byte with which PCR 0 starts.
fn initial_pcr0(log: &Log<'_>) -> Result<u8, Error> {
    let mut start = Startup::default();
    for event in log.events().filter(|event| !extends(event)) {
        start.see(&event)?;
    }
    let first = log.events().find(|event| event.mr_index == 0 && extends(event));
    Ok(first.map_or_else(|| start.locality.unwrap_or(0), |first| start.initial(log, &first)))
}

/// Whether an event's data is what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataMatch {
    /// Every digest that could be computed is over the data (or its measured part).
    Yes,
    /// A digest is over something else than this kind of event measures: the words in the log are not to be believed.
    No,
    /// The digest is over something that the log does not hold, or in no bank that this program can hash.
    NotApplicable,
}

/// Whether the data of an event is what its digests are over.
pub fn data_matches_digest(event: &Event<'_>) -> DataMatch {
    matches(event.digested(), event.digests)
}

/// Whether one of the possible data is what all of the digests are over.
fn matches<'d>(digested: Digested<'_>, digests: impl IntoIterator<Item = (AlgorithmId, &'d [u8])>) -> DataMatch {
    let candidates = match digested {
        Digested::Bytes(bytes) => [bytes, bytes],
        Digested::Either(one, other) => [one, other],
        Digested::Elsewhere => return DataMatch::NotApplicable,
    };
    let mut seen = DataMatch::NotApplicable;
    for (algorithm, stated) in digests {
        let Some(hash) = Hash::of(algorithm) else { continue };
        if !candidates.iter().any(|bytes| hash.digest(bytes).as_bytes() == stated) {
            return DataMatch::No;
        }
        seen = DataMatch::Yes;
    }
    seen
}
