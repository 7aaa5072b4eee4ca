//! `sealwright collateral ...`.

mod exchange;
mod fetch;
mod list;
mod serve;

use crate::args::{ApiVersion, CollateralCommand, ServiceArgs, Source, StoreArgs, UpkeepArgs, nonsense};
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::{Result, bail};
use sealwright_collateral::http::Roots;
use sealwright_collateral::pcs::{Config, Version};
use sealwright_collateral::{Access, BackOff, Hygon, Kds, Report, Service, Services, Store, Upkeep};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::time::UnixTime;
use std::time::Duration;

/// Runs one of the verbs.
pub(crate) async fn run(command: &CollateralCommand, output: Output) -> Result<Outcome> {
    match command {
        CollateralCommand::Fetch(args) => fetch::run(args, output).await,
        CollateralCommand::List(args) => list::run(args, output),
        CollateralCommand::Export(args) => exchange::export(args, output),
        CollateralCommand::Import(args) => exchange::import(args, output),
        CollateralCommand::Serve(args) => serve::run(args, output).await,
    }
}

/// The store in a directory that is there, and the root under which it stands.
fn open(args: &StoreArgs, at: UnixTime) -> Result<(Store, Report, Anchor)> {
    if !args.dir.is_dir() {
        bail!("{} is no directory of collateral", args.dir.display());
    }
    make(args, at)
}

/// The same; the directory is made where there is none.
fn make(args: &StoreArgs, at: UnixTime) -> Result<(Store, Report, Anchor)> {
    let (anchors, root) = match &args.anchor {
        Some(path) => {
            let root = crate::trust::anchor(path)?;
            (Anchors::none().with(root.clone()), root)
        }
        None => (Anchors::vendor(), Anchor::intel()),
    };
    let (store, report) = Store::open(&args.dir, anchors, at)?;
    Ok((store, report, root))
}

/// The services that were named, and `also` where its vendor's was not.
fn services(args: &ServiceArgs, also: Option<&Source>) -> Result<Services> {
    let mut services = Services::default();
    for source in &args.from {
        if !add(&mut services, source, args)? {
            bail!(nonsense("--from: one service for each vendor"));
        }
    }
    if let Some(source) = also {
        add(&mut services, source, args)?;
    }
    Ok(services)
}

/// Adds a service; `false` where there is one of its vendor's already.
fn add(services: &mut Services, source: &Source, args: &ServiceArgs) -> Result<bool> {
    match source {
        Source::Intel => put(&mut services.intel, || intel(Config::intel(), args)),
        Source::Pccs(url) => put(&mut services.intel, || intel(Config::pccs(url), args)),
        Source::Amd(url) => put(&mut services.amd, || Ok(Kds::new(&access(url, args)?)?)),
        Source::Hygon(url) => put(&mut services.hygon, || Ok(Hygon::new(&access(url, args)?)?)),
    }
}

fn put<S>(place: &mut Option<S>, make: impl FnOnce() -> Result<S>) -> Result<bool> {
    if place.is_some() {
        return Ok(false);
    }
    *place = Some(make()?);
    Ok(true)
}

fn intel(config: Config, args: &ServiceArgs) -> Result<Service> {
    let version = match args.api {
        ApiVersion::V3 => Version::V3,
        ApiVersion::V4 => Version::V4,
    };
    let Access { roots, plain_http, timeout, .. } = access("", args)?;
    Ok(Service::new(&Config { version, roots, plain_http, timeout, early: args.early, ..config })?)
}

fn access(url: &str, args: &ServiceArgs) -> Result<Access> {
    let roots = match &args.ca_file {
        Some(path) => Roots::issuers_from_pem(&crate::files::read(path, MAX_FILE)?)?,
        None => Roots::default(),
    };
    let timeout = Duration::from_secs(args.timeout);
    Ok(Access { roots, plain_http: args.plain_http, timeout, ..Access::to(url) })
}

fn upkeep(args: &UpkeepArgs) -> Upkeep {
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
    Upkeep {
        max_age: hours(args.max_age),
        stale_after: hours(args.stale_after),
        before_expiry: hours(args.before_expiry),
        back_off: BackOff::default(),
    }
}

/// A number between 0 and 1 that nobody foresees; the middle where the system has no randomness.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
        return 0.5;
    }
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}

/// A refusal's parts, as text and JSON.
fn reason(code: &str, message: &impl ToString, remedy: &str) -> Fields {
    Fields::new().with("code", code).with("message", message.to_string()).with("remedy", remedy)
}
