//! Whether a CCEL, and what came behind it, explains the runtime registers of a TDX quote.

use super::cel::CelCheck;
use super::ima::{RTMR2, TdxDigests};
use super::{DataMatch, Error, Replay, data_matches_digest, extends, replay_parsed};
use crate::hash::{Hash, Value};
use sealwright_wire::Error as WireError;
use sealwright_wire::aael::{self, RuntimeEvent};
use sealwright_wire::cel::{self, Content, Register};
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
    cel: Option<CelCheck>,
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

    /// The canonical log, where one was given. The quote covers all of its records.
    pub const fn cel(&self) -> Option<&CelCheck> {
        self.cel.as_ref()
    }
}

impl Serialize for Replayed {
    /// `{"present":true,"enforced":[names],"unexplained":[names],"events":n,"ima_lines":n,"opaque_runtime":n,"contradicted":[n],"runtime":[..]}`,
    /// and `"cel":{..}` ([`CelCheck`]) where a canonical log was given
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
            #[serde(skip_serializing_if = "Option::is_none")]
            cel: Option<&'a CelCheck>,
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
            cel: self.cel(),
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
    check_tdx_logs(Some(log), None, None, rtmrs)
}

/// As [`check_tdx`], with what was measured behind the log, or without the log. The kernel extends RTMR2 with the lines of `ima`; lines behind
/// the one at which RTMR2 has the quote's value are not covered by the quote and not counted. `cel` is a canonical log whose records name
/// registers by their MR index, 1 to 4, and goes on where the others end; a runtime event in it is one as in the log.
///
/// # Errors
/// As [`check_tdx`] and [`super::replay_with_ima`]; and when there is a list without the log that comes before it.
pub fn check_tdx_logs(
    log: Option<&[u8]>,
    ima: Option<&[u8]>,
    cel: Option<&[u8]>,
    rtmrs: &[[u8; 48]; 4],
) -> Result<Replayed, Error> {
    if log.is_none() && ima.is_some() {
        return Err(Error::ImaAlone);
    }
    let log = log.map(Log::parse).transpose()?;
    let cel = cel.map(cel::Log::parse).transpose().map_err(Error::Canonical)?;
    check(log.as_ref(), ima, cel.as_ref(), &Machine::tdx(rtmrs))
}

pub(super) fn check(
    log: Option<&Log<'_>>,
    ima: Option<&[u8]>,
    cel: Option<&cel::Log<'_>>,
    machine: &Machine,
) -> Result<Replayed, Error> {
    let mut replay = match log {
        Some(log) => replay_of(log, machine)?,
        None => Replay::of_banks([machine.algorithm]),
    };
    if let Some(ima) = ima {
        join_ima(&mut replay, ima, machine)?;
    }
    if let Some(cel) = cel {
        join_cel(&mut replay, cel, machine)?;
    }
    let mut runtime = Runtime::default();
    log.map_or(Ok(()), |log| runtime.read_log(log, machine))?;
    cel.map_or(Ok(()), |cel| runtime.read_cel(cel, machine))?;
    // Behind a log that something else goes on from, no place in it is where the quote was made.
    let whole = log.filter(|_| cel.is_none());
    let registers = check_registers(whole, &replay, machine, runtime.opaque)?;
    let contradicted =
        log.into_iter().flat_map(Log::events).filter(|event| data_matches_digest(event) == DataMatch::No);
    Ok(Replayed {
        registers,
        events: log.map_or(0, Log::event_count),
        runtime: runtime.events,
        opaque_runtime: runtime.opaque,
        contradicted: contradicted.map(|event| event.index).collect(),
        ima_lines: replay.ima_lines,
        cel: cel.map(|cel| CelCheck::of_part(cel, cel.record_count())),
    })
}

/// The registers behind a log that extends the machine's alone.
fn replay_of(log: &Log<'_>, machine: &Machine) -> Result<Replay, Error> {
    if !log.banks().iter().any(|bank| bank.algorithm() == machine.algorithm) {
        return Err(Error::NoBank(machine.algorithm));
    }
    if let Some(event) = log.events().find(|event| extends(event) && !(1..=4).contains(&event.mr_index)) {
        let (record, mr_index) = (event.index, event.mr_index);
        return Err(Error::NoRegister { record, mr_index, expected: machine.expected });
    }
    replay_parsed(log)
}

/// Extends the registers by the records of a canonical log.
fn join_cel(replay: &mut Replay, log: &cel::Log<'_>, machine: &Machine) -> Result<(), Error> {
    for (record, extended) in log.records().enumerate().filter(|(_, record)| record.extends()) {
        let (Register::Pcr(mr_index) | Register::NvIndex(mr_index)) = extended.register;
        if !matches!(extended.register, Register::Pcr(1..=4)) {
            return Err(Error::NoRegister { record, mr_index, expected: machine.expected });
        }
        if extended.digest(machine.algorithm).is_none() {
            return Err(Error::CanonicalDigest { record, algorithm: machine.algorithm });
        }
    }
    replay.join_cel(log)
}

fn check_registers(
    log: Option<&Log<'_>>,
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

/// What the records of the last register say.
#[derive(Default)]
struct Runtime {
    events: Vec<RuntimeEvent>,
    /// How many say it in another form.
    opaque: usize,
}

impl Runtime {
    fn read_log(&mut self, log: &Log<'_>, machine: &Machine) -> Result<(), Error> {
        let of_register = log.events().filter(|event| event.mr_index == aael::MR_INDEX && extends(event));
        for event in of_register {
            let stated = event.digests.get(machine.algorithm);
            self.read(event.index, RuntimeEvent::from_record(&event), event.data, stated, machine)?;
        }
        Ok(())
    }

    fn read_cel(&mut self, log: &cel::Log<'_>, machine: &Machine) -> Result<(), Error> {
        let extending = |record: &cel::Record<'_>| record.register == Register::Pcr(aael::MR_INDEX) && record.extends();
        for (place, record) in log.records().enumerate().filter(|(_, record)| extending(record)) {
            let (parsed, data) = match &record.content {
                Content::PcClient { event_type, data } => (RuntimeEvent::of_event(*event_type, data), data.as_ref()),
                _ => (None, [].as_slice()),
            };
            self.read(place, parsed, data, record.digest(machine.algorithm), machine)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        record: usize,
        parsed: Option<Result<RuntimeEvent, WireError>>,
        data: &[u8],
        stated: Option<&[u8]>,
        machine: &Machine,
    ) -> Result<(), Error> {
        let Some(parsed) = parsed else {
            self.opaque = self.opaque.saturating_add(1);
            return Ok(());
        };
        let stated = stated.ok_or(Error::NoDigest { record, algorithm: machine.algorithm })?;
        let computed = machine.hash()?.digest(data);
        if stated != computed.as_bytes() {
            let (stated, computed) = (Box::new(stated.into()), Box::new(computed));
            return Err(Error::RuntimeData { record, stated, computed });
        }
        self.events.push(parsed.map_err(|error| Error::RuntimeEvent { record, error })?);
        Ok(())
    }
}

/// Says how a register differs; looks whether the quote's value occurs before the log's end.
fn differs(log: Option<&Log<'_>>, mr_index: u32, machine: &Machine, check: &RegisterCheck) -> Error {
    let mut value = Value::padded(&[], check.quoted.as_ref().len());
    let mut of_register =
        log.into_iter().flat_map(Log::events).filter(|event| extends(event) && event.mr_index == mr_index);
    let reached_after = of_register.find_map(|event| {
        value = machine.hash().ok()?.extend(&value, event.digests.get(machine.algorithm)?);
        (value == check.quoted).then_some(event.index)
    });
    let RegisterCheck { name: register, replayed, quoted, events, .. } = *check;
    Error::Differs { register, replayed: Box::new(replayed), quoted: Box::new(quoted), events, reached_after }
}
