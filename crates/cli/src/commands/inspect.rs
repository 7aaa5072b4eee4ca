use crate::args;
use crate::fields::Fields;
use crate::inspect::{self, Inspected};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use serde::Serialize;

/// What is printed as JSON.
#[derive(Serialize)]
struct Document<'a> {
    kind: &'a str,
    fields: &'a Fields,
}

/// `sealwright inspect FILE`.
pub(crate) fn run(args: &args::Inspect, output: Output) -> Result<Outcome> {
    let Inspected { kind, fields } =
        inspect::file(&args.file).with_context(|| format!("cannot tell what {} is", args.file.display()))?;
    output.result(&Document { kind: &kind, fields: &fields }, format_args!("{kind}\n\n{fields}"))?;
    Ok(Outcome::Yes)
}
