//! `sealwright collateral fetch`: from a service into the store.

use super::{jitter, make, reason, service, upkeep};
use crate::args::{CollateralFetch, IntelTee, nonsense};
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result, bail};
use sealwright_collateral::http::Error as HttpError;
use sealwright_collateral::{FetchError, Kept, Key, RefreshError, Service, Store, Wanted};
use sealwright_wire::Tee;
use sealwright_wire::quote::{CertificationData, Quote};
use sealwright_wire::time::UnixTime;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What came of asking for one bundle.
#[derive(Serialize)]
struct Asked {
    /// Unknown where the service has no certificate that would say so.
    #[serde(flatten)]
    wanted: Option<Wanted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Fields>,
}

/// All of them.
#[derive(Serialize)]
struct Fetched {
    from: String,
    bundles: Vec<Asked>,
}

/// Fetches, verifies and keeps.
pub(super) async fn run(args: &CollateralFetch, output: Output) -> Result<Outcome> {
    let at = crate::clock::now();
    let Some(service) = service(&args.service)? else { bail!(nonsense("--from: name a service")) };
    let (store, _, _) = make(&args.store, at)?;
    let upkeep = upkeep(&args.upkeep);
    let mut bundles = Vec::new();
    if args.due {
        for refreshed in store.refresh(&service, &upkeep, at, jitter).await {
            bundles.push(asked(Some(refreshed.wanted), refreshed.outcome)?);
        }
    } else {
        let (wanted, outcome) = match &args.quote {
            Some(path) => of_quote(path, &store, &service, at).await?,
            None => {
                let wanted = named(args)?;
                (Some(wanted), store.fetch(&service, &wanted, &upkeep, at, jitter()).await)
            }
        };
        bundles.push(asked(wanted, outcome)?);
    }
    let refused = bundles.iter().any(|asked| asked.reason.is_some());
    let fetched = Fetched { from: service.url().to_owned(), bundles };
    output.result(&fetched, &fetched)?;
    Ok(if refused { Outcome::No } else { Outcome::Yes })
}

fn named(args: &CollateralFetch) -> Result<Wanted> {
    let (Some(fmspc), Some(ca), Some(tee)) = (args.fmspc, args.ca, args.tee) else {
        bail!(nonsense("--fmspc needs --ca and --tee"));
    };
    let tee = match tee {
        IntelTee::Sgx => Tee::Sgx,
        IntelTee::Tdx => Tee::Tdx,
    };
    Ok(Wanted { tee, fmspc, ca })
}

/// What a quote needs. Where it carries no certificate, the service is asked for that first: it says what else is wanted.
async fn of_quote(
    path: &Path,
    store: &Store,
    service: &Service,
    at: UnixTime,
) -> Result<(Option<Wanted>, Result<Kept, RefreshError>)> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let no_quote = || format!("{} is no quote", path.display());
    let quote = Quote::parse(&bytes).with_context(no_quote)?;
    let (chain, looked_up) = match quote.certification {
        CertificationData::PckChain(chain) | CertificationData::PckCertificate(chain) => (chain.to_vec(), None),
        CertificationData::Platform(_) | CertificationData::Other { .. } => match service.pck_chain(&quote).await {
            Ok(chain) => (chain.clone().into_bytes(), Some(chain)),
            Err(error) => return Ok((None, Err(error.into()))),
        },
    };
    let key = Key::wanted(quote.tee(), &chain).with_context(no_quote)?;
    let wanted = Wanted::of(&key).with_context(|| format!("{} issued the PCK certificate", key.pck_ca()))?;
    let fetched = service.fetch_with(&wanted, looked_up, store.library().anchors(), at).await;
    let kept = fetched.map_err(RefreshError::from).and_then(|fetched| Ok(store.put(&fetched, at)?));
    Ok((Some(wanted), kept))
}

/// A service that was not reached, and a folder that cannot be written, are failures; what was refused is an answer.
fn asked(wanted: Option<Wanted>, outcome: Result<Kept, RefreshError>) -> Result<Asked> {
    let reason = match &outcome {
        Ok(_) => None,
        Err(RefreshError::Fetch(error)) if !is_failure(error) => Some(reason(error.code(), error, error.remedy())),
        Err(RefreshError::Keep(
            error @ (sealwright_collateral::Error::TakenBack { .. } | sealwright_collateral::Error::NotUsed { .. }),
        )) => Some(reason(error.code(), error, error.remedy())),
        Err(_) => None,
    };
    match (outcome, reason) {
        (Ok(kept), _) => Ok(Asked { wanted, kept: Some(kept), reason: None }),
        (Err(_), Some(reason)) => Ok(Asked { wanted, kept: None, reason: Some(reason) }),
        (Err(error), None) => Err(error.into()),
    }
}

fn is_failure(error: &FetchError) -> bool {
    match error {
        FetchError::Http(HttpError::TooLong { .. }) => false,
        FetchError::Http(_) => true,
        FetchError::Status { status, .. } => *status >= 500 || *status == 408 || *status == 429,
        _ => false,
    }
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from {}", self.from)?;
        if self.bundles.is_empty() {
            writeln!(f, "nothing is due")?;
        }
        for Asked { wanted, kept, reason } in &self.bundles {
            match (kept, wanted, reason) {
                (Some(Kept::New), Some(wanted), _) => writeln!(f, "kept: {wanted}, in {}", wanted.file())?,
                (Some(Kept::Unchanged), Some(wanted), _) => writeln!(f, "unchanged: {wanted}")?,
                (_, Some(wanted), Some(reason)) => write!(f, "refused: {wanted}\n\n{reason}")?,
                (_, None, Some(reason)) => write!(f, "refused: the quote's PCK certificate\n\n{reason}")?,
                _ => {}
            }
        }
        Ok(())
    }
}
