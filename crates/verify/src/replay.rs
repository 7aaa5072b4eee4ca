//! Replays event logs: what the registers must hold if the log tells the truth, and whether a TDX quote says the same.
//!
//! Source: TCG PC Client Platform Firmware Profile, "Event Logging"; Linux IMA; the mapping of PCRs to RTMRs of the UEFI specification's
//! CC measurement protocol (a log's MR index 1 to 4 is RTMR0 to RTMR3). A register starts at zero and each event that is not `EV_NO_ACTION`
//! makes it `H(register || digest)`, in every bank.
//!
//! Replaying proves the *digests* of a log, not the words beside them. [`data_matches_digest`] says for one event whether its data is what was
//! measured; for runtime events ([`sealwright_wire::aael`]), whose contents policies read, [`check_tdx`] and [`check_csv`] insist on it.

mod csv;
mod error;
mod pcr;
mod tdx;
mod value;

pub use csv::{CSV_RTMR_NAMES, check_csv};
pub use error::Error;
pub use pcr::{PCR_NAMES, PcrCheck, PcrLog, check_pcrs};
pub use tdx::{RTMR_NAMES, RegisterCheck, Replayed, check_tdx, check_tdx_with_ima};
pub use value::RegisterValue;

use crate::hash::sha384;
use crate::sm2::sm3;
use aws_lc_rs::digest;
use sealwright_wire::tcg2::{AlgorithmId, Digested, Event, Log, event_type};
use sealwright_wire::{Digest, ima};
use std::collections::BTreeMap;

/// MR indexes at or above this are refused: a TPM has 24 PCRs.
pub const MAX_REGISTERS: u32 = 24;

/// The MR index of RTMR2, which IMA extends.
const IMA_MR_INDEX: u32 = 3;
/// What IMA's lists call the register: PCR 10, or RTMR 2 where a kernel patched for TDX names it itself.
const IMA_REGISTERS: [u32; 2] = [10, 2];

/// One register in one bank, replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    mr_index: u32,
    algorithm: AlgorithmId,
    value: Vec<u8>,
    events: usize,
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
        &self.value
    }

    /// How many events extended it.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Whether a register that was read elsewhere holds this value.
    pub fn equals(&self, seen: &[u8]) -> bool {
        self.value == seen
    }

    fn extend(&mut self, hash: Hash, digest: &[u8]) {
        self.value = extended(hash, &self.value, digest);
        self.events = self.events.saturating_add(1);
    }
}

/// `H(register || digest)`.
fn extended(hash: Hash, register: &[u8], digest: &[u8]) -> Vec<u8> {
    hash.over(&[register, digest])
}

/// The hash of a bank.
#[derive(Clone, Copy)]
enum Hash {
    /// One that aws-lc has.
    AwsLc(&'static digest::Algorithm),
    /// SM3, which it has not.
    Sm3,
}

impl Hash {
    /// The hash of a bank; `None` for algorithms that are not known.
    fn of(algorithm: AlgorithmId) -> Option<Self> {
        let of_aws_lc = match algorithm {
            AlgorithmId::SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            AlgorithmId::SHA256 => &digest::SHA256,
            AlgorithmId::SHA384 => &digest::SHA384,
            AlgorithmId::SHA512 => &digest::SHA512,
            AlgorithmId::SHA3_256 => &digest::SHA3_256,
            AlgorithmId::SHA3_384 => &digest::SHA3_384,
            AlgorithmId::SHA3_512 => &digest::SHA3_512,
            AlgorithmId::SM3_256 => return Some(Self::Sm3),
            _ => return None,
        };
        Some(Self::AwsLc(of_aws_lc))
    }

    /// The digest of the parts in a row.
    fn over(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::AwsLc(algorithm) => {
                let mut context = digest::Context::new(algorithm);
                parts.iter().for_each(|part| context.update(part));
                context.finish().as_ref().to_vec()
            }
            Self::Sm3 => sm3(parts).to_vec(),
        }
    }
}

/// A replayed log: every register in every bank that this program can hash.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Replay {
    registers: BTreeMap<(u32, AlgorithmId), Register>,
    incomplete: BTreeMap<(u32, AlgorithmId), usize>,
    unsupported: Vec<AlgorithmId>,
    ima_lines: usize,
}

impl Replay {
    /// The registers that something extended, by MR index and then by bank. A bank that an event leaves out is missing for its register.
    pub fn registers(&self) -> impl Iterator<Item = &Register> {
        self.registers.iter().filter(|(key, _)| !self.incomplete.contains_key(key)).map(|(_, register)| register)
    }

    /// One register in one bank; `None` when nothing extended it.
    pub fn register(&self, mr_index: u32, algorithm: AlgorithmId) -> Option<&Register> {
        self.registers().find(|register| register.mr_index == mr_index && register.algorithm == algorithm)
    }

    /// Banks of the log for which this program has no hash; they were not replayed.
    pub fn unsupported_banks(&self) -> &[AlgorithmId] {
        &self.unsupported
    }

    /// How many lines of an IMA list were joined.
    pub fn ima_lines(&self) -> usize {
        self.ima_lines
    }

    /// The first of these registers that holds another value than `seen`, with the replayed one; a register that nothing extended is zero.
    pub fn first_difference<'s>(
        &self,
        algorithm: AlgorithmId,
        seen: impl IntoIterator<Item = (u32, &'s [u8])>,
    ) -> Option<(u32, Vec<u8>)> {
        seen.into_iter().find_map(|(mr_index, seen)| {
            let replayed = self.register(mr_index, algorithm).map_or_else(|| vec![0; seen.len()], |r| r.value.clone());
            (replayed != seen).then_some((mr_index, replayed))
        })
    }

    fn entry(&mut self, mr_index: u32, algorithm: AlgorithmId, initial: u8) -> &mut Register {
        self.registers.entry((mr_index, algorithm)).or_insert_with(|| {
            let mut value = vec![0; algorithm.digest_size().unwrap_or_default()];
            if let Some(last) = value.last_mut() {
                *last = initial;
            }
            Register { mr_index, algorithm, value, events: 0 }
        })
    }

    /// A register that only grows; zero when nothing extended it.
    fn rtmr(&self, mr_index: u32, algorithm: AlgorithmId) -> Result<(RegisterValue, usize), Error> {
        let key = (mr_index, algorithm);
        if let Some(record) = self.incomplete.get(&key) {
            return Err(Error::NoDigest { record: *record, algorithm });
        }
        let Some(register) = self.registers.get(&key) else {
            return Ok((RegisterValue::zero(algorithm.digest_size().unwrap_or_default()), 0));
        };
        Ok((RegisterValue::from(register.value.as_slice()), register.events))
    }
}

/// The hash of a bank in aws-lc; `None` for SM3 and for algorithms that are not known.
pub(crate) fn hash_of(algorithm: AlgorithmId) -> Option<&'static digest::Algorithm> {
    match Hash::of(algorithm)? {
        Hash::AwsLc(algorithm) => Some(algorithm),
        Hash::Sm3 => None,
    }
}

/// Replays a log: a TPM's, or a CCEL with or without runtime records behind it.
///
/// # Errors
/// When the log is not readable, names a register that no machine has, or contradicts itself on the startup locality.
pub fn replay(log: &[u8]) -> Result<Replay, Error> {
    replay_parsed(&Log::parse(log)?)
}

/// Replays a CCEL and then an IMA list in ASCII form, which extends RTMR2 (MR index 3) without leaving records in the CCEL.
///
/// # Errors
/// As [`replay`]; and when a line names another register, or its SHA-384 template digest is not over its fields.
pub fn replay_with_ima(log: &[u8], ima: &[u8]) -> Result<Replay, Error> {
    let mut replay = replay(log)?;
    for digest in ImaDigests::new(ima)? {
        replay.extend_ima(&digest?);
    }
    Ok(replay)
}

fn replay_parsed(log: &Log<'_>) -> Result<Replay, Error> {
    let mut replay = Replay::default();
    let mut banks = Vec::new();
    for bank in log.banks() {
        match Hash::of(bank.algorithm()) {
            Some(hash) => banks.push((bank.algorithm(), hash)),
            None => replay.unsupported.push(bank.algorithm()),
        }
    }
    let pcr0 = initial_pcr0(log)?;
    for event in log.events().filter(extends) {
        if event.mr_index >= MAX_REGISTERS {
            let (record, mr_index) = (event.index, event.mr_index);
            return Err(Error::NoRegister { record, mr_index, expected: "0 to 23" });
        }
        let initial = if event.mr_index == 0 { pcr0 } else { 0 };
        for (algorithm, hash) in &banks {
            match event.digests.get(*algorithm) {
                Some(digest) => replay.entry(event.mr_index, *algorithm, initial).extend(*hash, digest),
                None => {
                    replay.incomplete.entry((event.mr_index, *algorithm)).or_insert(event.index);
                }
            }
        }
    }
    Ok(replay)
}

fn extends(event: &Event<'_>) -> bool {
    event.event_type != event_type::EV_NO_ACTION
}

/// The last byte with which PCR 0 starts: the locality of the TPM's startup, or 4 where the hardware's root of trust measured first.
fn initial_pcr0(log: &Log<'_>) -> Result<u8, Error> {
    let mut stated = log.events().filter_map(|event| Some((event.index, event.startup_locality()?)));
    let first = stated.next();
    if let (Some((_, locality)), Some((record, other))) = (first, stated.next())
        && locality != other
    {
        return Err(Error::StartupLocality { record });
    }
    let first_of_pcr0 = log.events().find(|event| event.mr_index == 0 && extends(event));
    let hcrtm = first_of_pcr0.is_some_and(|event| event.event_type == event_type::EV_EFI_HCRTM_EVENT);
    Ok(if hcrtm { 4 } else { first.map_or(0, |(_, locality)| locality) })
}

/// The digests with which an IMA list extends RTMR2, each checked against its line's fields.
struct ImaDigests<'a> {
    lines: ima::Ascii<'a>,
    line: usize,
}

impl<'a> ImaDigests<'a> {
    fn new(list: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { lines: ima::ascii(list).map_err(Error::Ima)?, line: 0 })
    }
}

impl Iterator for ImaDigests<'_> {
    type Item = Result<Digest<48>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.lines.next()?;
        self.line = self.line.saturating_add(1);
        Some(entry.map_err(Error::Ima).and_then(|entry| ima_digest(&entry, self.line)))
    }
}

fn ima_digest(entry: &ima::Entry<'_>, line: usize) -> Result<Digest<48>, Error> {
    if !IMA_REGISTERS.contains(&entry.pcr) {
        return Err(Error::ImaRegister { line, register: entry.pcr });
    }
    if entry.is_violation() {
        return Ok(Digest([0xff; 48]));
    }
    let computed = sha384(&[&entry.template_data()]);
    if *entry.template_digest != computed.0 {
        return Err(Error::ImaDigest { line, stated: hex::encode(&entry.template_digest), computed });
    }
    Ok(computed)
}

impl Replay {
    fn extend_ima(&mut self, digest: &Digest<48>) {
        self.entry(IMA_MR_INDEX, AlgorithmId::SHA384, 0).extend(Hash::AwsLc(&digest::SHA384), &digest.0);
        self.ima_lines = self.ima_lines.saturating_add(1);
    }
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
    let candidates = match event.digested() {
        Digested::Bytes(bytes) => [bytes, bytes],
        Digested::Either(one, other) => [one, other],
        Digested::Elsewhere => return DataMatch::NotApplicable,
    };
    let mut seen = DataMatch::NotApplicable;
    for (algorithm, stated) in event.digests {
        let Some(hash) = Hash::of(algorithm) else { continue };
        if !candidates.iter().any(|bytes| hash.over(&[bytes]) == stated) {
            return DataMatch::No;
        }
        seen = DataMatch::Yes;
    }
    seen
}
