//! A running broker.

use crate::{
    Clock, Config,
    admin::{AdminVerifier, Horizon, KeyError, load_key},
    audit::{Audit, AuditError, ChainError, Decided, Entry, Event, Head},
    config::Attestation,
    files::FileError,
    grant::Release,
    http,
    judge::{Judge, Unchanged},
    metrics::Metrics,
    policies::{Policies, PoliciesError},
    rate::RateLimit,
    readiness::Readiness,
    references::{ReferenceError, References},
    secrets::Secrets,
    server::Server,
    service::Service,
    session::{Bounds, Sessions},
    storage::{Embedded, RootKey, StoreError, Vault, VaultError},
    tls::{self, TlsError},
    upkeep::{self, known_head, log_report, note_head, reload},
    worker::Workers,
};
use sealwright_appraise::{Evaluator, Failure, Issuer, TokenVerifier, Trust};
use sealwright_channel::peers::Shared;
use sealwright_collateral::{Age, Library, Report};
use sealwright_verify::{Anchor, AnchorKind};
use sealwright_wire::{Digest, time::UnixTime};
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

/// The file beside the database that keeps which issues of collateral were seen, out of reach of whoever fills the folder of bundles.
const COLLATERAL_SEEN: &str = "collateral-seen.json";

/// How long a start waits for the next second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database or its root key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The TLS certificate or its key.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The key that signs tokens.
    #[error("token key: {0}")]
    TokenKey(#[from] KeyError),
    /// The token's header cannot be written.
    #[error("token: {0}")]
    Token(#[from] sealwright_wire::Error),
    /// The audit log is not what was written.
    #[error("audit log: {0}")]
    Chain(#[from] ChainError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The collateral's folder.
    #[error("collateral: {0}")]
    Collateral(#[from] sealwright_collateral::Error),
    /// The reference values.
    #[error("reference values: {0}")]
    References(#[from] ReferenceError),
    /// Both folders that a running broker looks at again.
    #[error("{collateral}; {references}")]
    Folders {
        /// What is wrong with the collateral.
        collateral: Box<Error>,
        /// What is wrong with the reference values.
        references: Box<Error>,
    },
    /// A policy.
    #[error(transparent)]
    Policies(#[from] PoliciesError),
    /// The built-in policies cannot be compiled.
    #[error(transparent)]
    BuiltIn(#[from] Failure),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A task of the broker failed.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

impl From<Unchanged> for Error {
    fn from(error: Unchanged) -> Self {
        match error {
            Unchanged::Policies(error) => error.into(),
            Unchanged::References(error) => error.into(),
        }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::Vault(error.into())
    }
}

/// A broker that serves until it is stopped. Dropping it stops it at once; [`Broker::stop`] lets requests finish.
pub struct Broker {
    local_addr: SocketAddr,
    service: Arc<Service>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    stop_upkeep: Option<oneshot::Sender<()>>,
    upkeep: JoinHandle<()>,
    noted: Head,
}

impl Broker {
    /// Opens everything that the configuration names, and listens.
    ///
    /// # Errors
    /// When anything of it cannot be used.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let listen = config.listen;
        let unheard = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(unheard)?;
        let local_addr = listener.local_addr().map_err(unheard)?;
        let tls = tls::server(&config.certificate, &config.certificate_key)?;
        let (limits, key) = (config.limits, tls.key_sha256);
        let Opened { service, torn, administrators_from } =
            tokio::task::spawn_blocking(move || open(config, &key)).await??;
        let service = Arc::new(service);
        let noted = note_opening(&service, torn).await?;
        // Whoever connects meanwhile is answered when it is over.
        wait_until(&service.clock, administrators_from).await;
        let (stop, stopped) = oneshot::channel();
        let (router, metrics) = (http::router(&service), Arc::clone(&service.metrics));
        let server = Server { listener, tls: tls.config, router, limits, metrics }.start(stopped);
        let (stop_upkeep, upkeep_stopped) = oneshot::channel();
        let upkeep = upkeep::start(Arc::clone(&service), noted, upkeep_stopped);
        tracing::info!(%local_addr, "listening");
        let (stop, stop_upkeep) = (Some(stop), Some(stop_upkeep));
        Ok(Self { local_addr, service, stop, server, stop_upkeep, upkeep, noted })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Looks at the folders of collateral and reference values again, as it does by itself within seconds of a change.
    ///
    /// # Errors
    /// When a folder cannot be read; what was in it before stays in use, and the other is taken up all the same. A file that cannot be used
    /// is no error: it costs itself alone.
    pub async fn reload(&self) -> Result<Report, Error> {
        let service = Arc::clone(&self.service);
        tokio::task::spawn_blocking(move || reload(&service)).await?
    }

    /// How old each bundle of collateral is.
    pub fn collateral_ages(&self) -> Vec<Age> {
        self.service.judge.library().ages(self.service.clock.now())
    }

    /// Stops: no new connections, requests under way finish, the audit log is closed.
    ///
    /// # Errors
    /// When the end cannot be recorded.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        (&mut self.server).await?;
        self.service.finish().await;
        // Once it is over, nobody but this function holds the database.
        drop(self.stop_upkeep.take());
        (&mut self.upkeep).await?;
        let now = self.service.clock.now();
        self.service.audit.record(Entry::new(now, Event::Closed, Decided::Yes)).await?;
        let (service, noted) = (Arc::clone(&self.service), self.noted);
        tokio::task::spawn_blocking(move || note_head(&service, noted).map(drop)).await??;
        tracing::info!("stopped");
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.server.abort();
        self.upkeep.abort();
    }
}

/// What [`open`] opened.
struct Opened {
    service: Service,
    /// How many bytes of an interrupted write were cut off the audit log.
    torn: u64,
    /// The first second whose signed requests are taken, as far as this start is the reason.
    administrators_from: UnixTime,
}

/// Opens everything but the socket. `key` is the TLS key's digest, by which administrators name this broker.
fn open(config: Config, key: &Digest<32>) -> Result<Opened, Error> {
    let now = config.clock.now();
    // The database first: it is locked, so that two brokers never write one audit log.
    let vault = Arc::new(Vault::open(Arc::new(Embedded::open(&config.database)?), RootKey::load(&config.root_key)?)?);
    let (audit, torn) = Audit::open(&config.audit, known_head(&vault)?)?;
    let ran_before = audit.head() != Head::START;
    let evaluator: Arc<dyn Evaluator> = Arc::new(Workers::new(&config.worker)?);
    let (attestation, release) = (config.attestation.policy.as_ref(), config.resource_policy.as_ref());
    let policies = Arc::new(Policies::open(Arc::clone(&vault), Arc::clone(&evaluator), attestation, release)?);
    let references = Arc::new(References::open(&config.attestation.reference_values, Arc::clone(&vault))?);
    let seen = config.database.with_file_name(COLLATERAL_SEEN);
    let metrics = Arc::new(Metrics::new());
    metrics.refused_files("references", references.current().refused.len());
    let library = open_library(&config.attestation, &seen, now, &metrics)?;
    let trust = trust(&config.attestation);
    let judge = Judge::new(library, Arc::clone(&policies), Arc::clone(&references), trust, evaluator)?;
    let secrets = Arc::new(Secrets::new(Arc::clone(&vault)));
    let horizon = Horizon::load(Arc::clone(&vault))?;
    // Nothing was used before a broker that has not run before.
    let (unused_from, administrators_from) =
        if ran_before { (horizon.unused_from(now), now.plus(1)) } else { (now, now) };
    let lifetime = config.token_lifetime.as_secs();
    let issuer = Issuer::new(&*config.issuer, load_key(&config.token_key)?)?.with_lifetime(lifetime);
    let limits = config.limits;
    let service = Service {
        metrics,
        metrics_for: config.metrics,
        requests: Shared::new(usize::MAX, limits.requests_per_peer),
        bodies: Shared::new(limits.body_bytes, limits.body_bytes_per_peer),
        places: Arc::new(Semaphore::new(limits.requests)),
        refusals: RateLimit::new(http::record::PER_SECOND, http::record::BURST),
        auth_rate: RateLimit::new(limits.auth_per_second, limits.auth_burst),
        readiness: Readiness::default(),
        sessions: Sessions::new(Bounds { sessions: limits.sessions, bytes: limits.session_bytes, seconds: lifetime }),
        audit,
        administrators: AdminVerifier::new(config.administrators, key, unused_from),
        horizon,
        release: Release::new(Arc::clone(&secrets), Arc::clone(&policies)),
        // The one who issues and the one who checks share a clock.
        token_verifier: TokenVerifier::new().trusting(issuer.name(), *issuer.public_key()).with_leeway(0),
        clock: config.clock,
        limits,
        vault,
        secrets,
        policies,
        references,
        judge,
        issuer,
        lifetime,
    };
    Ok(Opened { service, torn, administrators_from })
}

/// Waits until it is this time: a second at most, should the clock stand.
async fn wait_until(clock: &Clock, time: UnixTime) {
    let began = Instant::now();
    while clock.now() < time && began.elapsed() < LONGEST_WAIT {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn open_library(config: &Attestation, seen: &Path, now: UnixTime, metrics: &Metrics) -> Result<Library, Error> {
    for anchor in config.anchors.iter().map(Anchor::id).filter(|anchor| anchor.kind == AnchorKind::Simulated) {
        tracing::warn!(
            name = anchor.name,
            "evidence under a simulated root is accepted: its keys are in the simulator's process, and sign whatever whoever runs it likes"
        );
    }
    let (library, report) = Library::open_remembering(&config.collateral, config.anchors.clone(), seen, now)?;
    log_report(&report);
    metrics.refused_files("collateral", report.refused.len());
    Ok(library)
}

fn trust(config: &Attestation) -> Trust {
    Trust {
        accepted_anchors: config.accepted_anchors.iter().cloned().collect(),
        accepted_statuses: config.accepted_tcb.iter().map(ToString::to_string).collect(),
        accepted_advisories: config.accepted_advisories.as_ref().map(|list| list.iter().cloned().collect()),
    }
}

async fn note_opening(service: &Arc<Service>, torn: u64) -> Result<Head, Error> {
    let mut entry = Entry::new(service.clock.now(), Event::Opened, Decided::Yes);
    if torn > 0 {
        tracing::warn!(torn, "cut an unfinished entry off the audit log");
        entry.headline = format!("cut {torn} bytes of an unfinished entry off the end; nobody was answered by it");
    }
    service.audit.record(entry).await?;
    let service = Arc::clone(service);
    tokio::task::spawn_blocking(move || note_head(&service, Head::START)).await?
}
