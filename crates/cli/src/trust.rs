//! From the command line's words to anchors, collateral, reference values and the judge that holds evidence against them.

use crate::args::TrustArgs;
use crate::inspect::MAX_FILE;
use anyhow::{Context, Result, bail};
use sealwright_appraise::{Appraiser, Check, Explanation, InProcess, Policy, References, Trust};
use sealwright_channel::Judge;
use sealwright_collateral::{Library, Report};
use sealwright_verify::{Anchor, AnchorId, AnchorKind, Anchors, Collateral, Error as EvidenceError, pem};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::collateral::{Bundle, pem_chain};
use sealwright_wire::reference::{self, ReferenceValues};
use sealwright_wire::time::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A root certificate in DER or PEM, named after its file. A simulated one names itself.
pub(crate) fn anchor(path: &Path) -> Result<Anchor> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let name = path.file_stem().map_or_else(|| "root".into(), |stem| stem.to_string_lossy());
    Anchor::from_certificate(&name, &pem::certificate(&bytes))
        .with_context(|| format!("{} is no root certificate", path.display()))
}

/// A judge, or why there is nothing to judge by: no collateral holds.
pub(crate) type Judging = std::result::Result<Judge, Box<Explanation>>;

/// What the user trusts, ready to judge evidence of the time `at`: the built-in policy, what was named and nothing else. The
/// environment must have measured one of the sealed `models` and no other model, where any are named.
pub(crate) fn judge(args: &TrustArgs, models: &[PathBuf], at: UnixTime) -> Result<Judging> {
    let named = args.anchors.iter().map(|path| anchor(path)).collect::<Result<Vec<_>>>()?;
    let accepted_anchors = named.iter().map(|anchor| anchor.id().sha256.to_string()).collect();
    let ids: Vec<_> = named.iter().map(|anchor| anchor.id().clone()).collect();
    let anchors = named.into_iter().fold(Anchors::vendor(), Anchors::with);
    let (library, report) = Library::open(&args.collateral, anchors.clone(), at)?;
    if report.held == 0 {
        let refused = Refused::all(&args.collateral, &report, &anchors, at)?;
        if let Some(explanation) = explanation(&refused, &ids) {
            return Ok(Err(Box::new(explanation)));
        }
        let files: Vec<_> = report.refused.iter().map(|(file, reason)| format!("{file}: {reason}")).collect();
        let files = if files.is_empty() { "no JSON file".to_owned() } else { files.join("; ") };
        bail!("no collateral in {}: {files}", args.collateral.display());
    }
    let trust = Trust {
        accepted_anchors,
        accepted_statuses: args.accept_statuses.iter().map(ToString::to_string).collect(),
        accepted_advisories: None,
    };
    let appraiser =
        Appraiser::new(Arc::new(InProcess::new()?), Policy::default_attestation(), references(args)?, trust)?;
    let workloads = models.iter().map(|model| workload(model)).collect::<Result<Vec<_>>>()?;
    Ok(Ok(Judge::new(Arc::new(library), appraiser).running_only(workloads)))
}

/// A bundle of collateral that is one, and does not hold.
struct Refused {
    file: String,
    bundle: Bundle,
    error: EvidenceError,
}

impl Refused {
    /// Those of a folder. What is no collateral at all is not among them.
    fn all(folder: &Path, report: &Report, anchors: &Anchors, at: UnixTime) -> Result<Vec<Self>> {
        let mut refused = Vec::new();
        for (file, _) in &report.refused {
            let Ok(bundle) = Bundle::from_json(&crate::files::read(&folder.join(file), MAX_FILE)?) else { continue };
            if let Err(error) = Collateral::verify(&bundle, anchors, at) {
                refused.push(Self { file: file.clone(), bundle, error });
            }
        }
        Ok(refused)
    }

    /// The named root under which it stands.
    fn anchor<'a>(&self, named: &'a [AnchorId]) -> Option<&'a AnchorId> {
        let chain = pem_chain("pck_crl_issuer_chain", self.bundle.pck_crl_issuer_chain.as_bytes()).ok()?;
        let root = Anchor::from_certificate("root", chain.last()?).ok()?;
        named.iter().find(|anchor| anchor.sha256 == root.id().sha256)
    }
}

/// Why no bundle holds: each reason once, with the files that it is about. Under a simulated root it says so.
fn explanation(refused: &[Refused], named: &[AnchorId]) -> Option<Explanation> {
    let mut checks: Vec<Check> = Vec::new();
    for Refused { file, error, .. } in refused {
        let why = Explanation::of_evidence_error(error, None);
        let check = why.reason()?.clone().source("");
        match checks.iter_mut().find(|other| Check { source: String::new(), ..(*other).clone() } == check) {
            Some(same) => same.source = format!("{}, {file}", same.source),
            None => checks.push(check.source(file)),
        }
    }
    let simulated = |anchor: &&AnchorId| anchor.kind == AnchorKind::Simulated;
    let anchor = refused.iter().filter_map(|refused| refused.anchor(named)).find(simulated);
    (!checks.is_empty()).then(|| Explanation::new(checks, "", anchor))
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
