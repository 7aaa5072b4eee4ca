//! `sealwright broker audit`: the last decisions of a running broker, and the chain of a log, which needs no broker.

use super::admin::connect;
use crate::args::{BrokerAudit, BrokerTarget};
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use anyhow::{Result, bail};
use sealwright_broker::audit::{self, ChainError, Head, Summary};
use std::path::Path;

/// Either of the two.
pub(super) async fn run(args: &BrokerAudit, output: Output) -> Result<Outcome> {
    match (&args.verify, &args.target) {
        (Some(log), _) => verify(log, output),
        (None, Some(target)) => last(target, args.limit, output).await,
        // The definition asks for one of them.
        (None, None) => bail!("neither a broker nor a log was named"),
    }
}

/// The lines as they stand in the file, with and without `--json`.
async fn last(target: &BrokerTarget, limit: usize, output: Output) -> Result<Outcome> {
    let lines = connect(target)?.audit(limit).await?;
    output.bytes(lines.as_bytes())?;
    Ok(Outcome::Yes)
}

/// Reads a log from its beginning to its end.
fn verify(log: &Path, output: Output) -> Result<Outcome> {
    match audit::verify(log) {
        Ok(Summary { first, prev, head: Head { seq, sha256, end }, torn }) => {
            let fields = Fields::new()
                .with("holds", true)
                .with("first", first)
                .with("prev", prev.to_string())
                .with("last", seq)
                .with("head_sha256", sha256.to_string())
                .with("bytes", end)
                .with("torn_bytes", torn);
            output.result(&fields, format!("yes: each line follows on the one before it\n\n{fields}"))?;
            Ok(Outcome::Yes)
        }
        Err(error @ (ChainError::Line { offset, .. } | ChainError::Broken { offset, .. })) => {
            let reason = error.to_string();
            let fields = Fields::new().with("holds", false).with("offset", offset).with("reason", reason.as_str());
            output.result(&fields, format!("no: {reason}\n"))?;
            Ok(Outcome::No)
        }
        Err(error) => Err(error.into()),
    }
}
