//! The text of `broker.toml`.

use super::{Attestation, Config, ConfigError, Limits, Metrics, Worker};
use crate::{clock::Clock, files};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sealwright_appraise::VerifyingKey;
use sealwright_verify::{Anchor, Anchors, TcbStatus};
use sealwright_wire::kbs::{self, Message};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest configuration that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// The longest root certificate that is read, in bytes.
const MAX_CERTIFICATE: u64 = 64 << 10;
/// The longest life of a token, in seconds: what was revoked since stays good for so long.
const MAX_LIFETIME: u64 = 3_600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    listen: SocketAddr,
    tls: Tls,
    storage: Storage,
    token: Token,
    #[serde(default)]
    administrator: Vec<Administrator>,
    attestation: AttestationEntries,
    #[serde(default)]
    release: Release,
    audit: Audit,
    #[serde(default)]
    metrics: MetricsEntries,
    #[serde(default)]
    limits: LimitEntries,
    #[serde(default)]
    policy_worker: WorkerEntries,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    database: PathBuf,
    root_key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    key: PathBuf,
    #[serde(default = "default_issuer")]
    issuer: String,
    #[serde(default = "default_lifetime")]
    lifetime_seconds: u64,
}

fn default_issuer() -> String {
    "sealwright".to_owned()
}

const fn default_lifetime() -> u64 {
    300
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Administrator {
    name: String,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttestationEntries {
    collateral: PathBuf,
    reference_values: PathBuf,
    #[serde(default = "default_accept_tcb")]
    accept_tcb: Vec<String>,
    accept_advisories: Option<Vec<String>>,
    policy: Option<PathBuf>,
    #[serde(default)]
    anchor: Vec<AnchorEntry>,
}

fn default_accept_tcb() -> Vec<String> {
    vec![TcbStatus::UpToDate.to_string()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorEntry {
    name: String,
    kind: Kind,
    certificate: PathBuf,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Simulated,
    Configured,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    policy: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Audit {
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsEntries {
    serve: Metrics,
}

impl Default for MetricsEntries {
    fn default() -> Self {
        Self { serve: Metrics::Open }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitEntries {
    connections: Option<usize>,
    connections_per_peer: Option<usize>,
    requests: Option<usize>,
    requests_per_peer: Option<usize>,
    body_bytes: Option<usize>,
    body_bytes_per_peer: Option<usize>,
    attestation_bytes: Option<usize>,
    secret_bytes: Option<usize>,
    sessions: Option<usize>,
    session_bytes: Option<usize>,
    auth_per_second: Option<u32>,
    auth_burst: Option<u32>,
    head_seconds: Option<u64>,
    body_seconds: Option<u64>,
    shutdown_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerEntries {
    program: Option<PathBuf>,
    arguments: Option<Vec<String>>,
    wall_seconds: Option<u64>,
    cpu_seconds: Option<u64>,
    memory_mebibytes: Option<u64>,
    processes: Option<usize>,
}

impl File {
    pub(super) fn into_config(self, folder: &Path) -> Result<Config, ConfigError> {
        let lifetime = self.token.lifetime_seconds;
        if !(1..=MAX_LIFETIME).contains(&lifetime) {
            let message = format!("expected 1 to {MAX_LIFETIME}, found {lifetime}");
            return Err(ConfigError::value("token.lifetime_seconds", message));
        }
        Ok(Config {
            listen: self.listen,
            certificate: folder.join(self.tls.certificate),
            certificate_key: folder.join(self.tls.key),
            database: folder.join(self.storage.database),
            root_key: folder.join(self.storage.root_key),
            token_key: folder.join(self.token.key),
            issuer: self.token.issuer,
            token_lifetime: Duration::from_secs(lifetime),
            administrators: administrators(self.administrator)?,
            attestation: self.attestation.into_attestation(folder)?,
            resource_policy: self.release.policy.map(|path| folder.join(path)),
            audit: folder.join(self.audit.file),
            metrics: self.metrics.serve,
            limits: self.limits.into_limits()?,
            worker: self.policy_worker.into_worker(folder)?,
            clock: Clock::default(),
        })
    }
}

fn administrators(entries: Vec<Administrator>) -> Result<Vec<(String, VerifyingKey)>, ConfigError> {
    let mut administrators: Vec<(String, VerifyingKey)> = Vec::new();
    for Administrator { name, public_key } in entries {
        let key = VerifyingKey::from_spki_pem(&public_key)
            .map_err(|source| ConfigError::Administrator { name: name.clone(), source })?;
        if let Some((other, _)) = administrators.iter().find(|(_, known)| known.sec1() == key.sec1()) {
            return Err(ConfigError::value("administrator", format!("{name:?} and {other:?} have one key")));
        }
        administrators.push((name, key));
    }
    Ok(administrators)
}

impl AttestationEntries {
    fn into_attestation(self, folder: &Path) -> Result<Attestation, ConfigError> {
        let known = |text: &String| {
            let status = text.parse::<TcbStatus>();
            status.map_err(|_| ConfigError::value("attestation.accept_tcb", format!("{text:?} is no TCB status")))
        };
        let accepted_tcb = self.accept_tcb.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        if accepted_tcb.contains(&TcbStatus::Revoked) {
            return Err(ConfigError::value("attestation.accept_tcb", "Revoked can not be accepted"));
        }
        let vendor = Anchors::vendor();
        let mut names: Vec<&str> = vendor.iter().map(|anchor| anchor.id().name.as_str()).collect();
        for AnchorEntry { name, .. } in &self.anchor {
            if name.is_empty() || names.contains(&name.as_str()) {
                return Err(ConfigError::value(
                    "attestation.anchor",
                    format!("{name:?} is no name, or another anchor's"),
                ));
            }
            names.push(name);
        }
        let accepted_anchors = self.anchor.iter().map(|anchor| anchor.name.clone()).collect();
        let mut anchors = self.anchor.iter().map(|anchor| anchor.read(folder));
        let anchors = anchors.try_fold(vendor.clone(), |all, anchor| anchor.map(|anchor| all.with(anchor)))?;
        Ok(Attestation {
            anchors,
            accepted_anchors,
            collateral: folder.join(self.collateral),
            reference_values: folder.join(self.reference_values),
            accepted_tcb,
            accepted_advisories: self.accept_advisories,
            policy: self.policy.map(|path| folder.join(path)),
        })
    }
}

impl AnchorEntry {
    fn read(&self, folder: &Path) -> Result<Anchor, ConfigError> {
        let file = files::read(&folder.join(&self.certificate), MAX_CERTIFICATE)?;
        let pem = CertificateDer::from_pem_slice(&file);
        let der = pem.as_ref().map_or(file.as_slice(), |certificate| certificate.as_ref());
        let anchor = Anchor::from_certificate(&self.name, der)
            .map_err(|error| ConfigError::value(format!("attestation.anchor {:?}", self.name), error))?;
        Ok(match self.kind {
            Kind::Simulated => anchor.simulated(),
            Kind::Configured => anchor,
        })
    }
}

impl LimitEntries {
    fn into_limits(self) -> Result<Limits, ConfigError> {
        let default = Limits::default();
        let count = |name: &str, value: Option<usize>, default: usize, most: usize| match value.unwrap_or(default) {
            value if (1..=most).contains(&value) => Ok(value),
            value => Err(ConfigError::value(format!("limits.{name}"), format!("expected 1 to {most}, found {value}"))),
        };
        Ok(Limits {
            connections: count("connections", self.connections, default.connections, 1 << 20)?,
            connections_per_peer: count(
                "connections_per_peer",
                self.connections_per_peer,
                default.connections_per_peer,
                1 << 20,
            )?,
            requests: count("requests", self.requests, default.requests, 1 << 16)?,
            requests_per_peer: count("requests_per_peer", self.requests_per_peer, default.requests_per_peer, 1 << 16)?,
            body_bytes: count("body_bytes", self.body_bytes, default.body_bytes, 1 << 34)?,
            body_bytes_per_peer: count(
                "body_bytes_per_peer",
                self.body_bytes_per_peer,
                default.body_bytes_per_peer,
                1 << 34,
            )?,
            // Not more than is parsed of what was read.
            attestation_bytes: count(
                "attestation_bytes",
                self.attestation_bytes,
                default.attestation_bytes,
                kbs::Attestation::LIMIT,
            )?,
            secret_bytes: count("secret_bytes", self.secret_bytes, default.secret_bytes, 4 << 20)?,
            sessions: count("sessions", self.sessions, default.sessions, 1 << 24)?,
            session_bytes: count("session_bytes", self.session_bytes, default.session_bytes, 1 << 34)?,
            auth_per_second: self.auth_per_second.unwrap_or(default.auth_per_second),
            auth_burst: self.auth_burst.unwrap_or(default.auth_burst),
            head_timeout: seconds("limits.head_seconds", self.head_seconds, default.head_timeout)?,
            body_timeout: seconds("limits.body_seconds", self.body_seconds, default.body_timeout)?,
            shutdown_timeout: seconds("limits.shutdown_seconds", self.shutdown_seconds, default.shutdown_timeout)?,
        })
    }
}

impl WorkerEntries {
    fn into_worker(self, folder: &Path) -> Result<Worker, ConfigError> {
        let default = Worker::default();
        let memory = self.memory_mebibytes.unwrap_or(default.memory_bytes >> 20);
        let processes = self.processes.unwrap_or(default.processes);
        if !(64..=65_536).contains(&memory) || processes == 0 {
            return Err(ConfigError::value("policy_worker", "expected 64 to 65536 mebibytes and at least one process"));
        }
        Ok(Worker {
            program: self.program.map(|path| folder.join(path)),
            arguments: self.arguments.unwrap_or(default.arguments),
            wall: seconds("policy_worker.wall_seconds", self.wall_seconds, default.wall)?,
            cpu_seconds: self.cpu_seconds.unwrap_or(default.cpu_seconds).max(1),
            memory_bytes: memory << 20,
            processes,
        })
    }
}

fn seconds(entry: &str, value: Option<u64>, default: Duration) -> Result<Duration, ConfigError> {
    match value {
        None => Ok(default),
        Some(value @ 1..=3_600) => Ok(Duration::from_secs(value)),
        Some(value) => Err(ConfigError::value(entry, format!("expected 1 to 3600, found {value}"))),
    }
}
