use crate::args;
use crate::fields::Fields;
use crate::inspect::{self, Inspected};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};

/// `sealwright inspect FILE`.
pub(crate) fn run(args: &args::Inspect, output: Output) -> Result<Outcome> {
    let Inspected { kind, fields } =
        inspect::file(&args.file).with_context(|| format!("cannot tell what {} is", args.file.display()))?;
    let text = format!("{kind}\n\n{fields}");
    output.result(&Fields::new().with("kind", kind).with("fields", fields), text)?;
    Ok(Outcome::Yes)
}
