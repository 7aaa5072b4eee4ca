use crate::args;
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `sealwright attest`.
pub(crate) fn attest(args: &args::Attest, output: Output) -> Result<Outcome> {
    let backend = crate::backend::open(args.backend.backend.as_ref())?;
    let collected = backend.evidence(&args.report_data)?;
    if let Some(path) = &args.quote {
        crate::files::replace(path, &collected.quote)?;
    }
    if let (Some(path), Some(log)) = (&args.event_log, &collected.event_log) {
        crate::files::replace(path, log)?;
    }
    let fields = Fields::new()
        .with("tee", backend.tee().name())
        .with("backend", backend.name())
        .hex("report_data", args.report_data)
        .with("quote", STANDARD.encode(&collected.quote))
        .with_some("event_log", collected.event_log.map(|log| STANDARD.encode(log)));
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

/// `sealwright measure`.
pub(crate) fn measure(args: &args::Measure, output: Output) -> Result<Outcome> {
    let backend = crate::backend::open(args.backend.backend.as_ref())?;
    let registers: Vec<_> = backend
        .measurements()?
        .iter()
        .map(|register| {
            Fields::new()
                .with("index", register.index)
                .with("register", register.name)
                .with("algorithm", register.algorithm.to_string())
                .hex("value", &register.value)
        })
        .collect();
    let fields =
        Fields::new().with("tee", backend.tee().name()).with("backend", backend.name()).with("registers", registers);
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}
