mod yaml;

use crate::args::{EventLogCommand, EventLogReplay, EventLogShow, LogFormat, Tpm2Tools, nonsense};
use crate::fields::{Fields, FromJson};
use crate::inspect::{AnyLog, MAX_FILE, instead_of_evidence, is_tdx, register_name};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result, bail};
use sealwright_verify::any::{self, Kind, decoded};
use sealwright_verify::hash::Hash;
use sealwright_verify::replay::{self, Boot, Register, Replay};
use sealwright_wire::cel;
use sealwright_wire::quote::Quote;
use sealwright_wire::tcg2::{AlgorithmId, Log};
use std::borrow::Cow;
use std::path::Path;

/// The banks of a kernel's list that is not behind a firmware's log.
const IMA_BANKS: [AlgorithmId; 4] = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512];
/// From the bank that says most to the one that says least.
const STRONGEST: [AlgorithmId; 5] =
    [AlgorithmId::SHA512, AlgorithmId::SHA384, AlgorithmId::SHA256, AlgorithmId::SM3_256, AlgorithmId::SHA1];

/// `sealwright eventlog ...`.
pub(crate) fn run(command: &EventLogCommand, output: Output) -> Result<Outcome> {
    match command {
        EventLogCommand::Show(args) => show(args, output),
        EventLogCommand::Replay(args) => replay(args, output),
    }
}

/// A log, which may be written as hex or base64.
fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let written = match decoded(&bytes) {
        Cow::Owned(decoded) => Some(decoded),
        Cow::Borrowed(_) => None,
    };
    Ok(written.unwrap_or(bytes))
}

fn show(args: &EventLogShow, output: Output) -> Result<Outcome> {
    let yaml = args.format == LogFormat::Yaml;
    if yaml && output.is_json() {
        return Err(nonsense("--json and --format yaml are two formats").into());
    }
    if !yaml && (args.tpm2_tools.is_some() || args.eventlog_version.is_some()) {
        return Err(nonsense("--tpm2-tools and --eventlog-version say how YAML is written: --format yaml").into());
    }
    let bytes = read(&args.log)?;
    let shown = args.log.display();
    let log = AnyLog::parse(&bytes).with_context(|| format!("{shown} is no event log"))?;
    if yaml {
        let AnyLog::Firmware(log) = &log else {
            bail!("{shown} is no firmware's log but a {}, which tpm2_eventlog does not print", log.kind())
        };
        output.stream(|out| {
            let build = args.tpm2_tools.unwrap_or(Tpm2Tools::Efivar38);
            yaml::document(out, log, build, args.eventlog_version.unwrap_or(1))
        })?;
        return Ok(Outcome::Yes);
    }
    let fields = match &log {
        AnyLog::Firmware(firmware) if args.boot => boot(&log, firmware)?,
        _ if args.boot => bail!("{shown} is no firmware's log but a {}, which does not tell of a boot", log.kind()),
        _ => log.fields().with("log", log.kind()),
    };
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

/// What was measured of the boot, in the log's strongest bank.
fn boot(log: &AnyLog<'_>, firmware: &Log<'_>) -> Result<Fields> {
    let has = |algorithm: &&AlgorithmId| firmware.banks().iter().any(|bank| bank.algorithm() == **algorithm);
    let Some(bank) = STRONGEST.iter().find(has) else {
        bail!("the log has no bank that this program can hash");
    };
    // Without a quote: what the log tells if its registers are what it replays to.
    let registers: Vec<_> = (0..replay::MAX_REGISTERS).collect();
    let boot = serde_json::to_vec(&Boot::read(firmware, *bank, &registers))?;
    // What is not known is left out.
    let FromJson(boot) = serde_json::from_slice(&boot)?;
    Ok(Fields::new().with("log", log.kind()).with("bank", bank.to_string()).with_some("boot", boot))
}

fn replay(args: &EventLogReplay, output: Output) -> Result<Outcome> {
    let bytes = read(&args.log)?;
    let shown = args.log.display();
    let log = AnyLog::parse(&bytes).with_context(|| format!("{shown} is no event log"))?;
    let tdx = matches!(&log, AnyLog::Firmware(log) if is_tdx(log));
    let mut replayed =
        replayed(&log, &bytes, tdx, args.ima.as_deref()).with_context(|| format!("cannot replay {shown}"))?;
    if let Some(path) = &args.cel {
        let bytes = read(path)?;
        let shown = path.display();
        let cel = cel::Log::parse(&bytes).with_context(|| format!("{shown} is no canonical event log"))?;
        replayed.join_cel(&cel).with_context(|| format!("cannot replay {shown}"))?;
    }
    let registers: Vec<_> = replayed.registers().map(|register| shown_register(tdx, register)).collect();
    let unsupported: Vec<_> = replayed.unsupported_banks().iter().map(ToString::to_string).collect();
    let fields = Fields::new()
        .with("log", log.kind())
        .with("registers", registers)
        .with("ima_lines", replayed.ima_lines())
        .with_some("unsupported_banks", (!unsupported.is_empty()).then_some(unsupported))
        .with_some("nv_records", (replayed.nv_records() > 0).then(|| replayed.nv_records()));
    let Some(path) = &args.quote else {
        output.result(&fields, &fields)?;
        return Ok(Outcome::Yes);
    };
    let differing = differences(&replayed, &log, tdx, path, args.pcrs.as_deref())?;
    let outcome = if differing.is_empty() { Outcome::Yes } else { Outcome::No };
    let fields = fields.with("explains_the_quote", differing.is_empty()).with("differing", differing);
    output.result(&fields, &fields)?;
    Ok(outcome)
}

/// The registers of a log, and of the kernel's list behind it. In a trust domain the list extends RTMR2.
fn replayed(log: &AnyLog<'_>, bytes: &[u8], tdx: bool, ima: Option<&Path>) -> Result<Replay> {
    if let (AnyLog::Ima(_), Some(ima)) = (log, ima) {
        return Err(nonsense(format!("--ima {}: the log is an IMA list itself", ima.display())).into());
    }
    let list = ima.map(read).transpose()?;
    if let (true, Some(list)) = (tdx, &list) {
        return Ok(replay::replay_with_ima(bytes, list)?);
    }
    let mut replayed = match log {
        AnyLog::Firmware(log) => replay::replay_parsed(log)?,
        AnyLog::Canonical(log) => replay::replay_cel(log)?,
        AnyLog::Ima(list) => {
            let mut replayed = Replay::of_banks(ima_banks(list.first().as_ref()));
            replayed.join_ima(bytes)?;
            replayed
        }
    };
    if let Some(list) = &list {
        replayed.join_ima(list)?;
    }
    Ok(replayed)
}

/// The usual banks; that of the list's own digests alone where the kernel names registers of a trust domain.
fn ima_banks(first: Option<&sealwright_wire::ima::Entry<'_>>) -> Vec<AlgorithmId> {
    let size = first.map_or(20, |entry| entry.template_digest.len());
    let of_size = |bank: &AlgorithmId| Hash::of(*bank).is_some_and(|hash| hash.size() == size);
    match size {
        20 => IMA_BANKS.to_vec(),
        _ => IMA_BANKS.into_iter().filter(of_size).collect(),
    }
}

fn shown_register(tdx: bool, register: &Register) -> Fields {
    Fields::new()
        .with("index", register.mr_index())
        .with("register", register_name(tdx, register.mr_index()))
        .with("algorithm", register.algorithm().to_string())
        .with("events", register.events())
        .hex("value", register.value())
        .with_some("value_if_padded", register.value_if_padded().map(hex::encode))
        .with_some("zero_digests", (register.zero_digests() > 0).then(|| register.zero_digests()))
}

/// The registers of a quote that hold something else than the replay gives.
fn differences(
    replayed: &Replay,
    log: &AnyLog<'_>,
    tdx: bool,
    path: &Path,
    pcrs: Option<&Path>,
) -> Result<Vec<Fields>> {
    let shown = path.display();
    let bytes = crate::files::read(path, MAX_FILE)?;
    let Some((kind, quote)) = Kind::of_text(&bytes) else {
        bail!("{shown} is no quote, but {}", instead_of_evidence(&bytes));
    };
    if matches!(kind, Kind::Tpm | Kind::TpmJson | Kind::TpmQuote | Kind::AzVtpm) {
        if tdx {
            bail!("{shown} is {kind}, whose PCRs a trust domain's log does not tell of");
        }
        let pcrs = pcrs.map(|path| crate::files::read(path, MAX_FILE)).transpose()?;
        let quoted = any::quoted_pcrs(kind, &quote, pcrs.as_deref()).map_err(crate::commands::verify::unusable)?;
        has_a_bank_of(replayed, &mut quoted.iter().map(|(bank, ..)| bank))?;
        return Ok(quoted
            .iter()
            .filter_map(|(bank, pcr, quoted)| pcr_difference(replayed, bank, pcr, quoted))
            .collect());
    }
    if let Some(pcrs) = pcrs {
        return Err(nonsense(format!("--pcrs {}: {shown} is no quote of a TPM", pcrs.display())).into());
    }
    let quote = Quote::parse(&quote).with_context(|| format!("{shown} is no quote"))?;
    let Some(td) = quote.body.td() else { bail!("{shown} is a quote of {}, which has no RTMRs", quote.tee().name()) };
    has_a_bank_of(replayed, &mut [AlgorithmId::SHA384].into_iter())?;
    // A canonical log may be of either.
    if !tdx && !matches!(log, AnyLog::Canonical(_)) {
        bail!("{shown} is a trust domain's quote, of whose registers no {} tells", log.kind());
    }
    let registers = (1..).zip(&td.rt_mr);
    Ok(registers.filter_map(|(mr_index, quoted)| difference(replayed, mr_index, quoted)).collect())
}

/// Of a log without any of the banks that are quoted there is nothing to hold against the quote.
fn has_a_bank_of(replayed: &Replay, quoted: &mut dyn Iterator<Item = AlgorithmId>) -> Result<()> {
    let mut missing = None;
    for bank in quoted {
        if replayed.banks().any(|replayed| replayed == bank) {
            return Ok(());
        }
        missing = Some(bank);
    }
    missing.map_or(Ok(()), |bank| Err(replay::Error::NoBank(bank)).context("cannot hold the log against the quote"))
}

/// What a PCR holds that the log does not explain, in one bank. One that nothing extended is as it was at the start: zeros, or ones up to a dynamic
/// launch.
fn pcr_difference(replayed: &Replay, bank: AlgorithmId, pcr: u32, quoted: &[u8]) -> Option<Fields> {
    let register = replayed.register(pcr, bank);
    let start = if (17..=22).contains(&pcr) { 0xff } else { 0 };
    let reached = match register {
        Some(register) => register.equals(quoted) || register.value_if_padded() == Some(quoted),
        None => quoted.iter().all(|byte| *byte == start),
    };
    (!reached).then(|| {
        Fields::new()
            .with("register", register_name(false, pcr))
            .with("algorithm", bank.to_string())
            .with_some("replayed", register.map(|register| hex::encode(register.value())))
            .hex("quoted", quoted)
    })
}

/// What a register of the quote holds that the log does not explain.
fn difference(replayed: &Replay, mr_index: u32, quoted: &[u8; 48]) -> Option<Fields> {
    let zero = [0; 48];
    let computed = replayed.register(mr_index, AlgorithmId::SHA384).map_or(zero.as_slice(), Register::value);
    (computed != quoted.as_slice()).then(|| {
        Fields::new().with("register", register_name(true, mr_index)).hex("replayed", computed).hex("quoted", quoted)
    })
}
