//! Whether a boot log, an IMA list and a canonical event log explain the PCRs of a TPM's quote.
//!
//! A log that was read after the quote may have gone on since, and so may a list and a canonical log on a running machine: what is looked for is the part
//! of it, from its beginning, at which all registers have the quoted values at once. What lies behind that part is counted and not believed.

mod canonical;
mod list;

use canonical::Canonical;
use list::List;

use super::cel::CelCheck;
use super::{DataMatch, Error, MAX_REGISTERS, data_matches_digest, extends, initial_pcr0};
use crate::hash::{Hash, Value};
use sealwright_wire::cel;
use sealwright_wire::tcg2::{AlgorithmId, Event, Log};
use sealwright_wire::tpm::PcrValues;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The names of a PC client's PCRs, by number.
pub const PCR_NAMES: [&str; 24] = [
    "pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr5", "pcr6", "pcr7", "pcr8", "pcr9", "pcr10", "pcr11", "pcr12", "pcr13",
    "pcr14", "pcr15", "pcr16", "pcr17", "pcr18", "pcr19", "pcr20", "pcr21", "pcr22", "pcr23",
];

/// PCRs that firmware and boot loader extend, and a record tells each time. The operating system extends those above without one.
const BOOT_PCRS: std::ops::RangeInclusive<u32> = 0..=9;
/// PCRs that start at all ones, until a dynamic root of trust resets them.
const DYNAMIC_PCRS: std::ops::RangeInclusive<u32> = 17..=22;
/// The PCR that IMA extends.
const IMA_PCR: u32 = 10;

/// A register in one bank.
type Key = (u32, AlgorithmId);

/// One PCR of a quote, compared with log and list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrCheck {
    /// The PCR's number.
    pub pcr: u32,
    /// Its name, one of [`PCR_NAMES`].
    pub name: &'static str,
    /// How many events or lines of the part that the quote covers extend it.
    pub events: usize,
    /// Whether they give the quoted value in every bank that can be replayed, one of which is stronger than SHA-1.
    pub explained: bool,
}

/// Logs that explain a quote's PCRs. PCR 0 to 9 are explained wherever the quote has them in a bank of the log, and those that a canonical log
/// extends in a bank of that; see [`PcrLog::unexplained`] for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrLog {
    registers: Vec<PcrCheck>,
    events: usize,
    events_behind: usize,
    ima_lines: usize,
    ima_lines_behind: usize,
    ima_padded: Vec<AlgorithmId>,
    contradicted: Vec<usize>,
    cel: Option<CelCheck>,
}

impl PcrLog {
    /// The quoted PCRs, ascending.
    pub fn registers(&self) -> &[PcrCheck] {
        &self.registers
    }

    /// Names of the PCRs whose quoted value log and list give.
    pub fn enforced(&self) -> impl Iterator<Item = &'static str> {
        self.registers.iter().filter(|register| register.explained).map(|register| register.name)
    }

    /// Names of the PCRs that hold something that log and list do not tell: the operating system extends PCR 10 to 23 without a record in
    /// the boot log. A PCR that is quoted in the SHA-1 bank alone is among them.
    pub fn unexplained(&self) -> impl Iterator<Item = &'static str> {
        self.registers.iter().filter(|register| !register.explained).map(|register| register.name)
    }

    /// How many records the part of the log has that the quote covers.
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many records the log has behind that part: nothing vouches for them.
    pub fn events_behind(&self) -> usize {
        self.events_behind
    }

    /// How many lines of the IMA list the quote covers.
    pub fn ima_lines(&self) -> usize {
        self.ima_lines
    }

    /// How many lines the list has behind them: nothing vouches for them.
    pub fn ima_lines_behind(&self) -> usize {
        self.ima_lines_behind
    }

    /// Banks in which the kernel extended PCR 10 with SHA-1 digests filled up with zeros: no stronger than SHA-1.
    pub fn ima_padded(&self) -> &[AlgorithmId] {
        &self.ima_padded
    }

    /// Numbers of the covered records whose data is not what their digest is over, though their kind says so: do not believe their words.
    pub fn contradicted(&self) -> &[usize] {
        &self.contradicted
    }

    /// How far the quote covers the canonical log, where one was given.
    pub const fn cel(&self) -> Option<&CelCheck> {
        self.cel.as_ref()
    }
}

impl Serialize for PcrLog {
    /// `{"present":true,"enforced":[names],"unexplained":[names],"events":n,"events_behind":n,"ima_lines":n,"ima_lines_behind":n,
    /// "ima_padded":[banks],"contradicted":[n],"runtime":[]}`, and `"cel":{..}` ([`CelCheck`]) where a canonical log was given
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Claims<'a> {
            present: bool,
            enforced: Vec<&'static str>,
            unexplained: Vec<&'static str>,
            events: usize,
            events_behind: usize,
            ima_lines: usize,
            ima_lines_behind: usize,
            ima_padded: Vec<String>,
            contradicted: &'a [usize],
            runtime: [(); 0],
            #[serde(skip_serializing_if = "Option::is_none")]
            cel: Option<&'a CelCheck>,
        }
        let claims = Claims {
            present: true,
            enforced: self.enforced().collect(),
            unexplained: self.unexplained().collect(),
            events: self.events,
            events_behind: self.events_behind,
            ima_lines: self.ima_lines,
            ima_lines_behind: self.ima_lines_behind,
            ima_padded: self.ima_padded.iter().map(ToString::to_string).collect(),
            contradicted: &self.contradicted,
            runtime: [],
            cel: self.cel(),
        };
        claims.serialize(serializer)
    }
}

/// Compares a TPM's boot log and IMA list (ASCII, or binary with SHA-1 template digests) with the quoted PCRs. PCR 0 to 9 must be what a part
/// of the log from its beginning replays to, all at once; PCR 10 what a part of the list replays to, in all banks at once, where a list is
/// given. A canonical log goes on where the boot log ends: the PCRs that its records extend must be what a part of it leads to from there, all
/// at once, be they among the former or not. Without a boot log it begins at the TPM's start.
///
/// # Errors
/// When a log or list is not readable, extends something else than PCRs (the list: than PCR 10), has no digest in any quoted bank, or no
/// part of it has the quoted values.
pub fn check_pcrs(
    log: Option<&[u8]>,
    ima: Option<&[u8]>,
    cel: Option<&[u8]>,
    quoted: &PcrValues,
) -> Result<PcrLog, Error> {
    let cel = cel.map(cel::Log::parse).transpose().map_err(Error::Canonical)?;
    let extended_behind = cel.as_ref().map(canonical::pcrs).transpose()?.unwrap_or_default();
    let boot =
        log.map(|log| Boot::replay(&Log::parse(log)?, &extended_behind, quoted)).transpose()?.unwrap_or_default();
    let list = ima.map(|list| List::replay(list, &boot, quoted)).transpose()?.unwrap_or_default();
    let canonical = cel.as_ref().map(|log| Canonical::replay(log, &boot, quoted)).transpose()?;
    let pcrs: BTreeSet<u32> = quoted.iter().map(|(_, pcr, _)| pcr).collect();
    let registers = pcrs.into_iter().filter_map(|pcr| match &canonical {
        Some(canonical) if extended_behind.contains(&pcr) => canonical.check(pcr, &boot),
        _ => check(pcr, &boot, &list, quoted),
    });
    Ok(PcrLog {
        registers: registers.collect(),
        events: boot.covered,
        events_behind: boot.behind,
        ima_lines: list.covered,
        ima_lines_behind: list.behind,
        ima_padded: list.padded.clone(),
        contradicted: boot.contradicted,
        cel: canonical.map(|canonical| canonical.checked),
    })
}

/// One PCR behind the covered parts.
fn check(pcr: u32, boot: &Boot, list: &List, quoted: &PcrValues) -> Option<PcrCheck> {
    let name = name(pcr)?;
    let of_pcr = || quoted.iter().filter(|(_, number, _)| *number == pcr);
    if pcr == IMA_PCR && list.given {
        let explained = list.replayed.iter().any(|bank| is_strong(*bank) && !list.padded.contains(bank));
        let events = boot.events_of(pcr).saturating_add(list.covered);
        return Some(PcrCheck { pcr, name, events, explained });
    }
    let replayed = of_pcr().filter_map(|(bank, _, value)| Some((bank, boot.value((pcr, bank))? == value)));
    let mut explained = false;
    for (bank, equal) in replayed {
        if !equal {
            return Some(PcrCheck { pcr, name, events: boot.events_of(pcr), explained: false });
        }
        explained |= is_strong(bank);
    }
    Some(PcrCheck { pcr, name, events: boot.events_of(pcr), explained })
}

fn name(pcr: u32) -> Option<&'static str> {
    PCR_NAMES.get(usize::try_from(pcr).ok()?).copied()
}

/// A bank in which nobody finds two events with one digest.
fn is_strong(bank: AlgorithmId) -> bool {
    bank != AlgorithmId::SHA1 && Hash::of(bank).is_some()
}

/// The registers behind the part of a boot log that a quote covers.
#[derive(Debug, Default)]
struct Boot {
    registers: BTreeMap<Key, Vec<u8>>,
    /// Registers that an event leaves out in a bank, or whose bank the log does not have.
    unknown: BTreeSet<Key>,
    events: BTreeMap<u32, usize>,
    covered: usize,
    behind: usize,
    contradicted: Vec<usize>,
}

impl Boot {
    /// Compares the registers but those that something extends behind the log.
    fn replay(log: &Log<'_>, extended_behind: &BTreeSet<u32>, quoted: &PcrValues) -> Result<Self, Error> {
        let mut whole = Walk::new(log, extended_behind, quoted)?;
        // The last place at which all registers have the quoted values, unless nothing has happened since.
        let mut covered = whole.differing.is_empty().then_some(0usize);
        for (place, event) in (1usize..).zip(log.events()) {
            whole.step(&event)?;
            if whole.differing.is_empty() {
                covered = Some(place);
            }
        }
        let Some(covered) = covered else { return Err(whole.difference(quoted)) };
        let mut part = Walk::new(log, extended_behind, quoted)?;
        for event in log.events().take(covered) {
            part.step(&event)?;
        }
        let contradicted = log.events().take(covered).filter(|event| data_matches_digest(event) == DataMatch::No);
        Ok(Self {
            contradicted: contradicted.map(|event| event.index).collect(),
            registers: part.registers,
            unknown: part.unknown,
            events: part.events,
            covered,
            behind: log.event_count().saturating_sub(covered),
        })
    }

    fn events_of(&self, pcr: u32) -> usize {
        self.events.get(&pcr).copied().unwrap_or_default()
    }

    /// What a register holds; a register that nothing extended holds what it started with.
    fn value(&self, key: Key) -> Option<Vec<u8>> {
        if self.unknown.contains(&key) {
            return None;
        }
        self.registers.get(&key).cloned().or_else(|| initial(key, 0))
    }
}

/// What a register starts with. PCR 0 starts with `locality` in its last byte.
fn initial((pcr, bank): Key, locality: u8) -> Option<Vec<u8>> {
    let filler = if DYNAMIC_PCRS.contains(&pcr) { 0xff } else { 0 };
    let mut value = vec![filler; bank.digest_size()?];
    if let (0, Some(last)) = (pcr, value.last_mut()) {
        *last = locality;
    }
    Some(value)
}

/// A log being replayed against the quoted values.
struct Walk<'q> {
    banks: Vec<(AlgorithmId, Hash)>,
    extended_behind: &'q BTreeSet<u32>,
    quoted: &'q PcrValues,
    registers: BTreeMap<Key, Vec<u8>>,
    unknown: BTreeSet<Key>,
    events: BTreeMap<u32, usize>,
    /// Quoted registers of [`BOOT_PCRS`] that hold something else.
    differing: BTreeSet<Key>,
}

impl<'q> Walk<'q> {
    fn new(log: &Log<'_>, extended_behind: &'q BTreeSet<u32>, quoted: &'q PcrValues) -> Result<Self, Error> {
        let is_quoted = |bank: AlgorithmId| quoted.iter().any(|(hash, ..)| hash == bank);
        let banks = log.banks().iter().map(|bank| bank.algorithm()).filter(|bank| is_quoted(*bank));
        let banks: Vec<_> = banks.filter_map(|bank| Some((bank, Hash::of(bank)?))).collect();
        if banks.is_empty() && !quoted.is_empty() {
            let first = quoted.iter().next().map_or(AlgorithmId::SHA256, |(bank, ..)| bank);
            return Err(Error::NoBank(first));
        }
        let locality = initial_pcr0(log)?;
        let (mut registers, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for (bank, pcr, _) in quoted.iter() {
            let key = (pcr, bank);
            match initial(key, locality) {
                Some(value) if banks.iter().any(|(known, _)| *known == bank) => drop(registers.insert(key, value)),
                _ => drop(unknown.insert(key)),
            }
        }
        let (events, differing) = (BTreeMap::new(), BTreeSet::new());
        let mut walk = Self { banks, extended_behind, quoted, registers, unknown, events, differing };
        let keys: Vec<_> = walk.registers.keys().copied().collect();
        keys.into_iter().for_each(|key| walk.compare(key));
        Ok(walk)
    }

    fn step(&mut self, event: &Event<'_>) -> Result<(), Error> {
        if !extends(event) {
            return Ok(());
        }
        let (record, pcr) = (event.index, event.mr_index);
        if pcr >= MAX_REGISTERS {
            return Err(Error::NoRegister { record, mr_index: pcr, expected: "0 to 23" });
        }
        let events = self.events.entry(pcr).or_default();
        *events = events.saturating_add(1);
        let mut seen = false;
        for (bank, hash) in self.banks.clone() {
            let key = (pcr, bank);
            let Some(digest) = event.digests.get(bank) else {
                self.registers.remove(&key);
                self.differing.remove(&key);
                self.unknown.insert(key);
                continue;
            };
            seen = true;
            if let Some(register) = self.registers.get_mut(&key) {
                *register = extended(pcr, hash, register, digest);
                self.compare(key);
            }
        }
        let is_quoted = self.quoted.iter().any(|(_, number, _)| number == pcr);
        let algorithm = self.banks.first().map_or(AlgorithmId::SHA256, |(bank, _)| *bank);
        if is_quoted && !seen { Err(Error::NoDigest { record, algorithm }) } else { Ok(()) }
    }

    fn compare(&mut self, key: Key) {
        let (pcr, bank) = key;
        let equal = self.registers.get(&key).map(Vec::as_slice) == self.quoted.get(bank, pcr);
        if BOOT_PCRS.contains(&pcr) && !self.extended_behind.contains(&pcr) && !equal {
            self.differing.insert(key);
        } else {
            self.differing.remove(&key);
        }
    }

    /// The first register that differs at the end.
    fn difference(&self, quoted: &PcrValues) -> Error {
        let key = self.differing.first().copied();
        // Where nothing differs at the end, it would have been covered.
        let (pcr, bank) = key.unwrap_or((0, AlgorithmId::SHA256));
        let events = self.events.get(&pcr).copied().unwrap_or_default();
        differs(pcr, bank, self.registers.get(&(pcr, bank)), quoted, events)
    }
}

fn differs(pcr: u32, bank: AlgorithmId, replayed: Option<&Vec<u8>>, quoted: &PcrValues, events: usize) -> Error {
    Error::PcrDiffers {
        register: name(pcr).unwrap_or("PCR"),
        bank,
        replayed: replayed.map(hex::encode).unwrap_or_default(),
        quoted: quoted.get(bank, pcr).map(hex::encode).unwrap_or_default(),
        events,
    }
}

/// `H(register || digest)`. A record of a dynamic root of trust is the first one behind the reset to zero.
fn extended(pcr: u32, hash: Hash, register: &[u8], digest: &[u8]) -> Vec<u8> {
    let reset = DYNAMIC_PCRS.contains(&pcr) && register.iter().all(|byte| *byte == 0xff);
    let before = if reset { Value::padded(&[], hash.size()) } else { register.into() };
    hash.extend(&before, digest).as_bytes().to_vec()
}
