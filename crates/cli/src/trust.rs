//! From the command line's words to anchors, collateral, reference values and the judge that holds evidence against them.

use crate::args::TrustArgs;
use crate::inspect::MAX_FILE;
use anyhow::{Context, Result, bail};
use sealwright_appraise::{Appraiser, InProcess, Policy, References, Trust};
use sealwright_channel::Judge;
use sealwright_collateral::Library;
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::reference::{self, ReferenceValues};
use sealwright_wire::time::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, Encode};

/// A root certificate in DER or PEM, named after its file. A simulated one names itself.
pub(crate) fn anchor(path: &Path) -> Result<Anchor> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let der = match Certificate::from_pem(&bytes) {
        Ok(certificate) => certificate.to_der()?,
        Err(_) => bytes,
    };
    let name = path.file_stem().map_or_else(|| "root".into(), |stem| stem.to_string_lossy());
    Anchor::from_certificate(&name, &der).with_context(|| format!("{} is no root certificate", path.display()))
}

/// What the user trusts, ready to judge evidence of the time `at`: the built-in policy, what was named and nothing else. The
/// environment must have measured one of the sealed `models` and no other model, where any are named.
pub(crate) fn judge(args: &TrustArgs, models: &[PathBuf], at: UnixTime) -> Result<Judge> {
    let named = args.anchors.iter().map(|path| anchor(path)).collect::<Result<Vec<_>>>()?;
    let accepted_anchors = named.iter().map(|anchor| anchor.id().sha256.to_string()).collect();
    let anchors = named.into_iter().fold(Anchors::vendor(), Anchors::with);
    let (library, report) = Library::open(&args.collateral, anchors, at)?;
    if report.held == 0 {
        let refused: Vec<_> = report.refused.iter().map(|(file, reason)| format!("{file}: {reason}")).collect();
        bail!("no usable collateral in {}: {}", args.collateral.display(), refused.join("; "));
    }
    let trust = Trust {
        accepted_anchors,
        accepted_statuses: args.accept_statuses.iter().map(ToString::to_string).collect(),
        accepted_advisories: None,
    };
    let appraiser =
        Appraiser::new(Arc::new(InProcess::new()?), Policy::default_attestation(), references(args)?, trust)?;
    let workloads = models.iter().map(|model| workload(model)).collect::<Result<Vec<_>>>()?;
    Ok(Judge::new(Arc::new(library), appraiser).running_only(workloads))
}

fn references(args: &TrustArgs) -> Result<References> {
    args.references.iter().try_fold(References::none(), |references, path| {
        let json = crate::files::read(path, u64::try_from(reference::MAX_FILE)?)?;
        let values = ReferenceValues::from_json(&json).with_context(|| format!("{}", path.display()))?;
        Ok(references.with(path.display().to_string(), values))
    })
}

/// What an environment measures that serves this sealed file.
fn workload(model: &Path) -> Result<RuntimeEvent> {
    Ok(crate::commands::broker::measured(model)?.event()?)
}
