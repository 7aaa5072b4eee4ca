//! What the command line says beside the evidence itself.

use crate::args;
use crate::inspect::MAX_FILE;
use anyhow::{Context, Error, Result};
use sealwright_collateral::{LookupError, lookup};
use sealwright_verify::Anchors;
use sealwright_verify::any::{self, Beside, Kind, Missing, Request, Root, Supplied};
use sealwright_verify::nitro::Freshness;
use sealwright_verify::snp::Revocation;
use sealwright_wire::time::UnixTime;
use std::path::{Path, PathBuf};

/// The files that a command names.
pub(super) struct Files {
    supplied: Supplied,
    roots: Vec<(String, Vec<u8>)>,
    event_log: Option<Vec<u8>>,
    ima: Option<Vec<u8>>,
    cel: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    pcrs: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    vtpm_quote: Option<Vec<u8>>,
    td_quote: Option<Vec<u8>>,
}

impl Files {
    pub(super) fn read(args: &args::Verify, kind: Kind, evidence: &[u8], at: UnixTime) -> Result<Self> {
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| crate::files::read(path, MAX_FILE)).transpose();
        let td_quote = file(&args.td_quote)?;
        let below = td_quote.as_deref().and_then(Kind::of_text);
        let (of_kind, hardware) = below.as_ref().map_or((kind, evidence), |(kind, quote)| (*kind, quote));
        let mut supplied = Supplied::default();
        for path in &args.collateral {
            let found = if path.is_dir() {
                kept(path, &args.anchors, of_kind, hardware, at)?
            } else {
                vec![crate::files::read(path, MAX_FILE)?]
            };
            for bytes in found {
                supplied.add(&bytes).with_context(|| format!("{} is no collateral", path.display()))?;
            }
        }
        let root = |path: &PathBuf| -> Result<_> { Ok((name(path), crate::files::read(path, MAX_FILE)?)) };
        Ok(Self {
            supplied,
            roots: args.anchors.iter().map(root).collect::<Result<_>>()?,
            event_log: file(&args.event_log)?,
            ima: file(&args.ima)?,
            cel: file(&args.cel)?,
            signature: file(&args.signature)?,
            pcrs: file(&args.pcrs)?,
            key: file(&args.key)?,
            vtpm_quote: file(&args.vtpm_quote)?,
            td_quote,
        })
    }

    /// With them, and with what else the command says.
    pub(super) fn request<'a>(&'a self, args: &args::Verify, at: UnixTime) -> Request<'a> {
        let roots = self.roots.iter().map(|(name, bytes)| Root { name, bytes });
        Request {
            roots: roots.collect(),
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: self.cel.as_deref(),
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            key: self.key.as_deref(),
            vtpm_quote: self.vtpm_quote.as_deref(),
            td_quote: self.td_quote.as_deref(),
            revocation: if args.without_crl { Revocation::IfPresent } else { Revocation::Required },
            freshness: args
                .max_age
                .map_or_else(Freshness::default, |max_age| Freshness { max_age, ..Freshness::default() }),
            ..Request::new(&self.supplied, at)
        }
    }
}

/// What a directory of collateral has for the evidence.
fn kept(folder: &Path, anchors: &[PathBuf], kind: Kind, evidence: &[u8], at: UnixTime) -> Result<Vec<Vec<u8>>> {
    let anchors = match anchors {
        [] => Anchors::vendor(),
        named => named
            .iter()
            .try_fold(Anchors::none(), |anchors, path| Ok::<_, Error>(anchors.with(crate::trust::anchor(path)?)))?,
    };
    if matches!(kind, Kind::Tpm | Kind::TpmJson | Kind::TpmQuote | Kind::Nitro | Kind::Cca | Kind::Nvidia) {
        return Err(
            args::nonsense(format!("--collateral {}: a directory keeps nothing for {kind}", folder.display())).into()
        );
    }
    lookup(folder, anchors, kind, evidence, at).map_err(|error| match error {
        error @ (LookupError::Missing { .. } | LookupError::NoItem(_)) => {
            args::nonsense(format!("--collateral {}: {error}", folder.display())).into()
        }
        error => error.into(),
    })
}

/// What verdicts call the root in a file.
fn name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "root".into(), |stem| stem.to_string_lossy().into_owned())
}

/// Settings of a kind's own that were given for another kind: they must not seem to have had a say.
pub(super) fn check_settings(args: &args::Verify, kind: Kind) -> Result<()> {
    let of_amd = matches!(kind, Kind::Snp | Kind::AzVtpm | Kind::HclReport);
    let given =
        [("--without-crl", args.without_crl, of_amd), ("--max-age", args.max_age.is_some(), kind == Kind::Nitro)];
    match given.into_iter().find(|(_, given, of_use)| *given && !of_use) {
        Some((option, ..)) => Err(args::nonsense(format!("{option} has no say in the verification of {kind}")).into()),
        None => Ok(()),
    }
}

/// By which option something came.
const fn option(beside: Beside) -> &'static str {
    match beside {
        Beside::EventLog => "--event-log",
        Beside::Ima => "--ima",
        Beside::Cel => "--cel",
        Beside::Signature => "--signature",
        Beside::Pcrs => "--pcrs",
        Beside::Key => "--key",
        Beside::VtpmQuote => "--vtpm-quote",
        Beside::TdQuote => "--td-quote",
        Beside::OtherCollateral | Beside::OtherList => "--collateral",
    }
}

/// A request that makes no sense, in the command line's words; or what is wrong with a file.
pub(in crate::commands) fn unusable(error: any::Error) -> Error {
    let option = match &error {
        any::Error::Missing { missing, .. } => match missing {
            Missing::Signature => "--signature FILE",
            Missing::Pcrs => "--pcrs FILE",
            Missing::AttestationKey => "--anchor KEY",
            Missing::EventLog => "--event-log FILE",
            Missing::VtpmQuote => "--vtpm-quote FILE",
            Missing::TdQuote => "--td-quote FILE",
            _ => "--collateral FILE",
        },
        any::Error::Unused { beside, .. } => option(*beside),
        _ => return error.into(),
    };
    args::nonsense(format!("{error} ({option})")).into()
}
