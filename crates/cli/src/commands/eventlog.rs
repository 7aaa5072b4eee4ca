use crate::args::{EventLogCommand, EventLogReplay, EventLogShow};
use crate::fields::Fields;
use crate::inspect::{MAX_FILE, is_tdx, log_events, register_name};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result, bail};
use sealwright_verify::replay::{self, Replay};
use sealwright_wire::quote::Quote;
use sealwright_wire::tcg2::{AlgorithmId, Log};

/// `sealwright eventlog ...`.
pub(crate) fn run(command: &EventLogCommand, output: Output) -> Result<Outcome> {
    match command {
        EventLogCommand::Show(args) => show(args, output),
        EventLogCommand::Replay(args) => replay(args, output),
    }
}

fn show(args: &EventLogShow, output: Output) -> Result<Outcome> {
    let bytes = crate::files::read(&args.log, MAX_FILE)?;
    let log = Log::parse(&bytes).with_context(|| format!("{} is no TCG2 log", args.log.display()))?;
    let fields = log_events(&log);
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

fn replay(args: &EventLogReplay, output: Output) -> Result<Outcome> {
    let log = crate::files::read(&args.log, MAX_FILE)?;
    let replayed = match &args.ima {
        Some(ima) => replay::replay_with_ima(&log, &crate::files::read(ima, MAX_FILE)?),
        None => replay::replay(&log),
    };
    let replayed = replayed.with_context(|| format!("cannot replay {}", args.log.display()))?;
    let tdx = Log::parse(&log).is_ok_and(|log| is_tdx(&log));
    let registers: Vec<_> = replayed
        .registers()
        .map(|register| {
            Fields::new()
                .with("index", register.mr_index())
                .with("register", register_name(tdx, register.mr_index()))
                .with("algorithm", register.algorithm().to_string())
                .with("events", register.events())
                .hex("value", register.value())
        })
        .collect();
    let fields = Fields::new().with("registers", registers).with("ima_lines", replayed.ima_lines());
    let Some(path) = &args.quote else {
        output.result(&fields, &fields)?;
        return Ok(Outcome::Yes);
    };
    let quote = crate::files::read(path, MAX_FILE)?;
    let quote = Quote::parse(&quote).with_context(|| format!("{} is no quote", path.display()))?;
    let Some(td) = quote.body.td() else {
        bail!("{} is a quote of {}, which has no RTMRs", path.display(), quote.tee().name())
    };
    let differing: Vec<_> =
        (1..).zip(&td.rt_mr).filter_map(|(mr_index, quoted)| difference(&replayed, mr_index, quoted)).collect();
    let outcome = if differing.is_empty() { Outcome::Yes } else { Outcome::No };
    let fields = fields.with("explains_the_quote", differing.is_empty()).with("differing", differing);
    output.result(&fields, &fields)?;
    Ok(outcome)
}

/// What a register of the quote holds that the log does not explain.
fn difference(replayed: &Replay, mr_index: u32, quoted: &[u8; 48]) -> Option<Fields> {
    let zero = [0; 48];
    let computed = replayed.register(mr_index, AlgorithmId::SHA384).map_or(zero.as_slice(), replay::Register::value);
    (computed != quoted.as_slice()).then(|| {
        Fields::new().with("register", register_name(true, mr_index)).hex("replayed", computed).hex("quoted", quoted)
    })
}
