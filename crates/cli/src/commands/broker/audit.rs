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
            let behind = match torn {
                0 => String::new(),
                torn => format!("; the {torn} bytes behind the last one are no entry, and nobody's word"),
            };
            output.result(&fields, format!("yes: each line follows on the one before it{behind}\n\n{fields}"))?;
            Ok(Outcome::Yes)
        }
        Err(ChainError::File(error)) => Err(error.into()),
        Err(error) => {
            let reason = error.to_string();
            let fields = Fields::new()
                .with("holds", false)
                .with_some("code", error.code())
                .with_some("offset", error.offset())
                .with("reason", reason.as_str());
            output.result(&fields, format!("no: {reason}\n"))?;
            Ok(Outcome::No)
        }
    }
}
