//! Whether a CCEL explains the runtime registers of a TDX quote.

use super::ima::{RTMR2, TdxDigests};
use super::{DataMatch, Error, Replay, data_matches_digest, extends, replay_parsed};
use crate::hash::{Hash, Value};
use sealwright_wire::aael::{self, RuntimeEvent};
use sealwright_wire::tcg2::{AlgorithmId, Log};
use serde::{Serialize, Serializer};

/// The names of TDX's runtime registers; the log's MR index of each is its place here plus one.
pub const RTMR_NAMES: [&str; 4] = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"];

/// The four registers that logs extend, of one kind of machine, as its evidence states them.
pub(super) struct Machine {
    /// The registers' hash.
    pub(super) algorithm: AlgorithmId,
    /// The names of the registers at MR index 1 to 4.
    pub(super) names: [&'static str; 4],
    /// The MR indexes in words.
    pub(super) expected: &'static str,
    /// What the evidence states.
    pub(super) quoted: [Value; 4],
}

impl Machine {
    fn tdx(rtmrs: &[[u8; 48]; 4]) -> Self {
        Self {
            algorithm: AlgorithmId::SHA384,
            names: RTMR_NAMES,
            expected: "1 to 4 for RTMR0 to RTMR3",
            quoted: rtmrs.each_ref().map(|rtmr| rtmr.as_slice().into()),
        }
    }

    /// The machine has no register in a bank that cannot be hashed here.
    fn hash(&self) -> Result<Hash, Error> {
        Hash::of(self.algorithm).ok_or(Error::NoBank(self.algorithm))
    }
}

/// One runtime register of a quote, compared with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterCheck {
    /// The register's name, one of [`RTMR_NAMES`] or [`super::CSV_RTMR_NAMES`].
    pub name: &'static str,
    /// What the log gives.
    pub replayed: Value,
    /// What the quote states.
    pub quoted: Value,
    /// How many events of the log (and lines of the IMA list) extended it.
    pub events: usize,
    /// Whether the log explains the register, see [`Replayed::unexplained`].
    pub explained: bool,
}

/// A log that explains a quote's registers. The first three are always explained; the last, RTMR3 of TDX and RTMR4 of CSV, may hold what no
/// record tells, see [`Replayed::unexplained`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    registers: [RegisterCheck; 4],
    events: usize,
    runtime: Vec<RuntimeEvent>,
    opaque_runtime: usize,
    contradicted: Vec<usize>,
    ima_lines: usize,
}

impl Replayed {
    /// The four registers in order.
    pub fn registers(&self) -> &[RegisterCheck; 4] {
        &self.registers
    }

    /// Names of the registers whose quoted value the log gives.
    pub fn enforced(&self) -> impl Iterator<Item = &'static str> {
        self.registers.iter().filter(|register| register.explained).map(|register| register.name)
    }

    /// Names of the registers that hold something that the log does not tell: at most the last one, when it has no record for a value that is not
    /// zero, or a record of another kind than [`RuntimeEvent`]. (A record's kind is not measured: whoever hands in the log could
    /// otherwise make an event unreadable to hide what it says.)
    pub fn unexplained(&self) -> impl Iterator<Item = &'static str> {
        self.registers.iter().filter(|register| !register.explained).map(|register| register.name)
    }

    /// How many records the log has behind its header.
    pub fn events(&self) -> usize {
        self.events
    }

    /// What was measured into the last register at run time, in order; each event's digest is over what it says.
    pub fn runtime(&self) -> &[RuntimeEvent] {
        &self.runtime
    }

    /// How many records of the last register are of another kind than [`RuntimeEvent`]: replayed, not understood.
    pub fn opaque_runtime(&self) -> usize {
        self.opaque_runtime
    }

    /// Numbers of the records whose data is not what their digest is over, though their kind says so: do not believe their words.
    pub fn contradicted(&self) -> &[usize] {
        &self.contradicted
    }

    /// How many lines of the IMA list the quote covers; the list may be newer than the quote.
    pub fn ima_lines(&self) -> usize {
        self.ima_lines
    }
}

impl Serialize for Replayed {
    /// `{"present":true,"enforced":[names],"unexplained":[names],"events":n,"ima_lines":n,"opaque_runtime":n,"contradicted":[n],"runtime":[..]}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Claims<'a> {
            present: bool,
            enforced: Vec<&'static str>,
            unexplained: Vec<&'static str>,
            events: usize,
            ima_lines: usize,
            opaque_runtime: usize,
            contradicted: &'a [usize],
            runtime: &'a [RuntimeEvent],
        }
        let claims = Claims {
            present: true,
            enforced: self.enforced().collect(),
            unexplained: self.unexplained().collect(),
            events: self.events,
            ima_lines: self.ima_lines,
            opaque_runtime: self.opaque_runtime,
            contradicted: &self.contradicted,
            runtime: &self.runtime,
        };
        claims.serialize(serializer)
    }
}

/// Compares a CCEL with the RTMRs of a quote. RTMR0, RTMR1 and RTMR2 must be what the log replays to. RTMR3 must be so too when the log holds
/// a record for it; where it holds none, a value that is not zero is reported as unexplained, because the kernel and runtimes may extend
/// RTMR3 without a record.
///
/// # Errors
/// When the log is not readable, has no SHA-384 digest of an event, extends something else than the four registers, has a runtime event
/// that its digest does not confirm, or a register differs.
pub fn check_tdx(log: &[u8], rtmrs: &[[u8; 48]; 4]) -> Result<Replayed, Error> {
    check(&Log::parse(log)?, None, &Machine::tdx(rtmrs))
}

/// As [`check_tdx`], for a guest whose kernel extends RTMR2 with the lines of this IMA list. Lines behind the one at which RTMR2 has
/// the quote's value are not covered by the quote and not counted.
///
/// # Errors
/// As [`check_tdx`] and [`super::replay_with_ima`].
pub fn check_tdx_with_ima(log: &[u8], ima: &[u8], rtmrs: &[[u8; 48]; 4]) -> Result<Replayed, Error> {
    check(&Log::parse(log)?, Some(ima), &Machine::tdx(rtmrs))
}

pub(super) fn check(log: &Log<'_>, ima: Option<&[u8]>, machine: &Machine) -> Result<Replayed, Error> {
    if !log.banks().iter().any(|bank| bank.algorithm() == machine.algorithm) {
        return Err(Error::NoBank(machine.algorithm));
    }
    if let Some(event) = log.events().find(|event| extends(event) && !(1..=4).contains(&event.mr_index)) {
        let (record, mr_index) = (event.index, event.mr_index);
        return Err(Error::NoRegister { record, mr_index, expected: machine.expected });
    }
    let mut replay = replay_parsed(log)?;
    if let Some(ima) = ima {
        join_ima(&mut replay, ima, machine)?;
    }
    let (runtime, opaque_runtime) = runtime_events(log, machine)?;
    let registers = check_registers(log, &replay, machine, opaque_runtime)?;
    let contradicted = log.events().filter(|event| data_matches_digest(event) == DataMatch::No);
    Ok(Replayed {
        registers,
        events: log.event_count(),
        runtime,
        opaque_runtime,
        contradicted: contradicted.map(|event| event.index).collect(),
        ima_lines: replay.ima_lines,
    })
}

fn check_registers(
    log: &Log<'_>,
    replay: &Replay,
    machine: &Machine,
    opaque_runtime: usize,
) -> Result<[RegisterCheck; 4], Error> {
    let zero = Value::padded(&[], 0);
    let none = RegisterCheck { name: "", replayed: zero, quoted: zero, events: 0, explained: false };
    let mut registers = [none; 4];
    for (((place, name), quoted), mr_index) in registers.iter_mut().zip(machine.names).zip(machine.quoted).zip(1u32..) {
        let (replayed, events) = replay.rtmr(mr_index, machine.algorithm)?;
        let equal = replayed == quoted;
        let runtime = mr_index == aael::MR_INDEX;
        let explained = equal && !(runtime && opaque_runtime > 0);
        *place = RegisterCheck { name, replayed, quoted, events, explained };
        let recorded = !runtime || events > 0;
        if !equal && recorded {
            return Err(differs(log, mr_index, machine, place));
        }
    }
    Ok(registers)
}

/// Extends RTMR2 with the list's lines up to the one at which it has the quote's value.
fn join_ima(replay: &mut Replay, list: &[u8], machine: &Machine) -> Result<(), Error> {
    let [_, _, quoted, _] = machine.quoted;
    let mut lines = TdxDigests::new(list)?;
    while replay.rtmr(RTMR2, machine.algorithm)?.0 != quoted {
        let Some(digest) = lines.next() else { break };
        replay.extend_rtmr2(&digest?);
    }
    Ok(())
}

/// What the records of the last register say, and how many say it in another form.
fn runtime_events(log: &Log<'_>, machine: &Machine) -> Result<(Vec<RuntimeEvent>, usize), Error> {
    let hash = machine.hash()?;
    let (mut runtime, mut opaque) = (Vec::new(), 0usize);
    for event in log.events().filter(|event| event.mr_index == aael::MR_INDEX && extends(event)) {
        let record = event.index;
        let Some(parsed) = RuntimeEvent::from_record(&event) else {
            opaque = opaque.saturating_add(1);
            continue;
        };
        let stated = event.digests.get(machine.algorithm);
        let stated = stated.ok_or(Error::NoDigest { record, algorithm: machine.algorithm })?;
        let computed = hash.digest(event.data);
        if stated != computed.as_bytes() {
            let (stated, computed) = (Box::new(stated.into()), Box::new(computed));
            return Err(Error::RuntimeData { record, stated, computed });
        }
        runtime.push(parsed.map_err(|error| Error::RuntimeEvent { record, error })?);
    }
    Ok((runtime, opaque))
}

/// Says how a register differs; looks whether the quote's value occurs before the log's end.
fn differs(log: &Log<'_>, mr_index: u32, machine: &Machine, check: &RegisterCheck) -> Error {
    let mut value = Value::padded(&[], check.quoted.as_ref().len());
    let mut of_register = log.events().filter(|event| extends(event) && event.mr_index == mr_index);
    let reached_after = of_register.find_map(|event| {
        value = machine.hash().ok()?.extend(&value, event.digests.get(machine.algorithm)?);
        (value == check.quoted).then_some(event.index)
    });
    let RegisterCheck { name: register, replayed, quoted, events, .. } = *check;
    Error::Differs { register, replayed: Box::new(replayed), quoted: Box::new(quoted), events, reached_after }
}
