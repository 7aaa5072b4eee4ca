//! `sealwright collateral fetch`: from a service into the store.

use super::{jitter, make, reason, services, upkeep};
use crate::args::{CollateralFetch, IntelTee, Source, nonsense};
use crate::fields::Fields;
use crate::inspect::{MAX_FILE, instead_of_evidence};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result, bail};
use sealwright_collateral::http::Error as HttpError;
use sealwright_collateral::{
    Error, FetchError, Item, Kept, Key, NoItem, RefreshError, SerialNumber, Service, Services, Store, Upkeep, Wanted,
    hygon, kds,
};
use sealwright_verify::any::Kind;
use sealwright_wire::quote::{CertificationData, Quote};
use sealwright_wire::time::UnixTime;
use sealwright_wire::{Tee, csv, snp};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What came of asking for one bundle or item.
#[derive(Serialize)]
struct Asked<W> {
    /// Unknown where nothing says so: the service has no certificate, or the report names no chip.
    #[serde(flatten)]
    wanted: Option<W>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Fields>,
}

/// All of them.
#[derive(Default, Serialize)]
struct Fetched {
    from: Vec<String>,
    bundles: Vec<Asked<Wanted>>,
    items: Vec<Asked<Item>>,
}

/// Whom to ask, where to keep it, and when it is.
struct Desk {
    services: Services,
    store: Store,
    upkeep: Upkeep,
    at: UnixTime,
}

/// Fetches, verifies and keeps.
pub(super) async fn run(args: &CollateralFetch, output: Output) -> Result<Outcome> {
    let evidence = args.evidence.as_deref().map(read).transpose()?;
    let services = services(&args.service, evidence.as_ref().and_then(|(kind, _)| vendor(*kind)).as_ref())?;
    let names = [
        services.intel.as_ref().map(Service::url),
        services.amd.as_ref().map(kds::Kds::url),
        services.hygon.as_ref().map(hygon::Hygon::url),
    ];
    let from: Vec<_> = names.into_iter().flatten().map(ToOwned::to_owned).collect();
    if from.is_empty() {
        bail!(nonsense("--from: name a service"));
    }
    let at = crate::clock::now();
    let (store, _, _) = make(&args.store, at)?;
    let desk = Desk { services, store, upkeep: upkeep(&args.upkeep), at };
    let fetched = match (evidence, &args.evidence) {
        (Some((kind, bytes)), Some(path)) => desk.for_evidence(kind, &bytes, path, args.product).await?,
        _ if args.due => desk.due().await?,
        _ if args.qve_identity => desk.qve_identity().await?,
        _ => desk.named(named(args)?).await?,
    };
    let fetched = Fetched { from, ..fetched };
    output.result(&fetched, &fetched)?;
    let mut reasons =
        fetched.bundles.iter().map(|asked| &asked.reason).chain(fetched.items.iter().map(|asked| &asked.reason));
    Ok(if reasons.any(Option::is_some) { Outcome::No } else { Outcome::Yes })
}

/// Evidence, or the hardware's evidence in it.
fn read(path: &Path) -> Result<(Kind, Vec<u8>)> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let Some((kind, evidence)) = Kind::of_text(&bytes) else {
        bail!("{} is no evidence, but {}", path.display(), instead_of_evidence(&bytes));
    };
    Ok(kind.hardware(&evidence).unwrap_or((kind, evidence)))
}

/// Whose own service is asked about a report where nobody else was named. Intel's and its caches are many: one must be named.
fn vendor(kind: Kind) -> Option<Source> {
    match kind {
        Kind::Snp => Some(Source::Amd(kds::AMD.to_owned())),
        Kind::Csv => Some(Source::Hygon(hygon::HYGON.to_owned())),
        _ => None,
    }
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

impl Desk {
    fn intel(&self) -> Result<&Service> {
        match &self.services.intel {
            Some(service) => Ok(service),
            None => bail!(nonsense("--from: name Intel's service, or a cache of it")),
        }
    }

    async fn named(&self, wanted: Wanted) -> Result<Fetched> {
        let outcome = self.store.fetch(self.intel()?, &wanted, &self.upkeep, self.at, jitter()).await;
        Ok(Fetched { bundles: vec![asked(Some(wanted), outcome)?], ..Fetched::default() })
    }

    async fn qve_identity(&self) -> Result<Fetched> {
        self.intel()?;
        let item = Item::IntelQveIdentity;
        let outcome = self.store.fetch_item(&self.services, &item, &self.upkeep, self.at, jitter()).await;
        Ok(Fetched { items: vec![asked(Some(item), outcome)?], ..Fetched::default() })
    }

    async fn due(&self) -> Result<Fetched> {
        let mut fetched = Fetched::default();
        if let Some(service) = &self.services.intel {
            for refreshed in self.store.refresh(service, &self.upkeep, self.at, jitter).await {
                fetched.bundles.push(asked(Some(refreshed.wanted), refreshed.outcome)?);
            }
        }
        for refreshed in self.store.refresh_items(&self.services, &self.upkeep, self.at, jitter).await {
            fetched.items.push(asked(Some(refreshed.wanted), refreshed.outcome)?);
        }
        Ok(fetched)
    }

    async fn for_evidence(
        &self,
        kind: Kind,
        bytes: &[u8],
        path: &Path,
        product: Option<snp::Product>,
    ) -> Result<Fetched> {
        let unread = || format!("{} is no {}", path.display(), kind.name());
        match kind {
            Kind::Quote => {
                let quote = Quote::parse(bytes).with_context(unread)?;
                let (wanted, outcome) = self.of_quote(&quote).await.with_context(unread)?;
                Ok(Fetched { bundles: vec![asked(wanted, outcome)?], ..Fetched::default() })
            }
            Kind::Snp => self.of_snp(&snp::Report::parse(bytes).with_context(unread)?, product).await,
            Kind::Csv => self.of_csv(&csv::Report::parse(bytes).with_context(unread)?).await,
            _ => bail!(nonsense(format!("--for: no collateral is fetched for a {}", kind.name()))),
        }
    }

    /// What a quote needs. Where it carries no certificate, the service is asked for that first: it says what else is wanted.
    async fn of_quote(&self, quote: &Quote<'_>) -> Result<(Option<Wanted>, Result<Kept, RefreshError>)> {
        let service = self.intel()?;
        let (chain, looked_up) = match quote.certification {
            CertificationData::PckChain(chain) | CertificationData::PckCertificate(chain) => (chain.to_vec(), None),
            CertificationData::Platform(_) | CertificationData::Other { .. } => match service.pck_chain(quote).await {
                Ok(chain) => (chain.clone().into_bytes(), Some(chain)),
                Err(error) => return Ok((None, Err(error.into()))),
            },
        };
        let key = Key::wanted(quote.tee(), &chain)?;
        let wanted = Wanted::of(&key).with_context(|| format!("{} issued the PCK certificate", key.pck_ca()))?;
        let fetched = service.fetch_with(&wanted, looked_up, self.store.library().anchors(), self.at).await;
        let kept = fetched.map_err(RefreshError::from).and_then(|fetched| Ok(self.store.put(&fetched, self.at)?));
        Ok((Some(wanted), kept))
    }

    async fn of_snp(&self, report: &snp::Report<'_>, product: Option<snp::Product>) -> Result<Fetched> {
        let items = match Item::of_snp(report.body, product) {
            Ok(items) => items,
            Err(error) => return Ok(nothing(&error)),
        };
        let mut fetched = Fetched::default();
        for item in items {
            let outcome = self.store.fetch_item(&self.services, &item, &self.upkeep, self.at, jitter()).await;
            let asked = asked(Some(item), outcome)?;
            let refused = asked.reason.is_some();
            fetched.items.push(asked);
            if refused {
                // What comes next stands on this one.
                break;
            }
        }
        Ok(fetched)
    }

    async fn of_csv(&self, report: &csv::Report<'_>) -> Result<Fetched> {
        let serial_number = match SerialNumber::of_report(report) {
            Ok(serial_number) => serial_number,
            Err(error) => return Ok(nothing(&error)),
        };
        let (services, upkeep) = (&self.services, &self.upkeep);
        let outcome = self.store.fetch_chip_of(services, report, &serial_number, upkeep, self.at, jitter()).await;
        let asked = asked(Some(Item::HygonChip { serial_number }), outcome)?;
        Ok(Fetched { items: vec![asked], ..Fetched::default() })
    }
}

/// A report that does not say what to ask for.
fn nothing(error: &NoItem) -> Fetched {
    let reason = Some(reason(error.code(), error, error.remedy()));
    Fetched { items: vec![Asked { wanted: None, kept: None, reason }], ..Fetched::default() }
}

/// A service that was not reached, and a folder that cannot be written, are failures; what was refused is an answer.
fn asked<W>(wanted: Option<W>, outcome: Result<Kept, RefreshError>) -> Result<Asked<W>> {
    let reason = match &outcome {
        Err(RefreshError::Fetch(error)) if !is_failure(error) => Some(reason(error.code(), error, error.remedy())),
        Err(RefreshError::Keep(
            error @ (Error::TakenBack { .. } | Error::NotUsed { .. } | Error::OtherChip { .. }),
        )) => Some(reason(error.code(), error, error.remedy())),
        _ => None,
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
        writeln!(f, "from {}", self.from.join(", "))?;
        if self.bundles.is_empty() && self.items.is_empty() {
            writeln!(f, "nothing is due")?;
        }
        let unnamed = "the quote's PCK certificate";
        self.bundles.iter().try_for_each(|asked| asked.show(f, Wanted::file, unnamed))?;
        let unnamed = "the report does not say what it needs";
        self.items.iter().try_for_each(|asked| asked.show(f, Item::file, unnamed))
    }
}

impl<W: fmt::Display> Asked<W> {
    fn show(&self, f: &mut fmt::Formatter<'_>, file: fn(&W) -> String, unnamed: &str) -> fmt::Result {
        match (self.kept, &self.wanted, &self.reason) {
            (Some(Kept::New), Some(wanted), _) => writeln!(f, "kept: {wanted}, in {}", file(wanted)),
            (Some(Kept::Unchanged), Some(wanted), _) => writeln!(f, "unchanged: {wanted}"),
            (_, Some(wanted), Some(reason)) => write!(f, "refused: {wanted}\n\n{reason}"),
            (_, None, Some(reason)) => write!(f, "refused: {unnamed}\n\n{reason}"),
            _ => Ok(()),
        }
    }
}
