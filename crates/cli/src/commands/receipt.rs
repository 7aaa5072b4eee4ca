//! `sealwright receipt ...`.

use crate::args::{PolicyArg, ReceiptCommand, ReceiptVerify, TrustArgs};
use crate::explain;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use crate::shelf::{self, COLLATERAL, EVIDENCE};
use anyhow::{Result, bail};
use sealwright_channel::receipt::{self, Error, Expected, Unverified};
use sealwright_wire::receipt::Model;
use sealwright_wire::sealed::LoadModel;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Runs one of the verbs.
pub(crate) fn run(command: &ReceiptCommand, output: Output) -> Result<Outcome> {
    match command {
        ReceiptCommand::Verify(args) => verify(args, output),
    }
}

/// Offline: nothing is asked of anybody, and the time is the receipt's own. Collateral that was good then is good for it.
fn verify(args: &ReceiptVerify, output: Output) -> Result<Outcome> {
    let jws = crate::files::read(&args.receipt, MAX_FILE)?;
    let jws = String::from_utf8_lossy(&jws);
    let unverified = match Unverified::parse(&jws) {
        Ok(unverified) => unverified,
        Err(error) => return refused(error, output),
    };
    let named_evidence = unverified.evidence_sha384();
    let file = shelf::find(&args.evidence, &named_evidence, EVIDENCE);
    if file.is_dir() {
        bail!("{} has no evidence {named_evidence}, which the receipt names", file.display());
    }
    let evidence = match receipt::evidence(&crate::files::read(&file, MAX_FILE)?) {
        Ok(evidence) => evidence,
        Err(error) => return refused(error, output),
    };
    let read = |path: &Option<PathBuf>| path.as_deref().map(|path| crate::files::read(path, MAX_FILE)).transpose();
    let (request, response) = (read(&args.request)?, read(&args.response)?);
    let models = args.model_files.iter().map(|file| named(file)).collect::<Result<Vec<_>>>()?;
    let expected = Expected {
        request: request.as_deref(),
        response: response.as_deref(),
        policy_sha384: args.policy.as_ref().map(PolicyArg::sha384).transpose()?,
        models: &models,
    };
    let collateral = shelf::find(&args.trust.collateral, &named_evidence, COLLATERAL);
    let trust = TrustArgs { collateral, ..args.trust.clone() };
    // The receipt names its one model, so it does not matter which others its server had measured.
    let judge = match crate::trust::judge(&trust, &[], unverified.issued_at())? {
        Ok(judge) => judge,
        Err(explanation) => return explain::refused(&explanation, output),
    };
    match unverified.verify(&evidence, &judge, &expected) {
        Ok(verified) => {
            let printed = json!({ "accepted": true, "receipt": verified.receipt, "explanation": verified.explanation });
            output.result(&printed, format_args!("{}\n", verified.explanation))?;
            Ok(Outcome::Yes)
        }
        Err(error) => refused(error, output),
    }
}

fn refused(error: Error, output: Output) -> Result<Outcome> {
    match error.explanation() {
        Some(explanation) => explain::refused(explanation, output),
        None => Err(error.into()),
    }
}

/// A sealed file as receipts name its model.
fn named(file: &Path) -> Result<Model> {
    let LoadModel { digest, name, version } = super::broker::measured(file)?;
    Ok(Model { name, sha384: digest, version })
}
