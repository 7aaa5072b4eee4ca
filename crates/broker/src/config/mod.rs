//! What the operator decides, checked before anything starts.
//!
//! Two stages: the text of `broker.toml` ([`file`]) with every name known and nothing else, then [`Config`], whose values can be used as they are.
//! There is no entry that turns a check off: no plain HTTP, no administrator without a key, no anchor of any kind but those that are named.

mod file;

use crate::{clock::Clock, files::FileError};
use sealwright_appraise::{KeyError, VerifyingKey};
use sealwright_verify::{Anchors, TcbStatus};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use file::MAX_FILE;

/// Everything that a broker needs to know to start.
#[derive(Debug)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The TLS certificate chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub certificate_key: PathBuf,
    /// The database.
    pub database: PathBuf,
    /// The root key that encrypts it.
    pub root_key: PathBuf,
    /// The key that signs tokens, PKCS#8 PEM.
    pub token_key: PathBuf,
    /// The issuer that tokens name.
    pub issuer: String,
    /// For how long a token, and the session that it came with, is good.
    pub token_lifetime: Duration,
    /// Who may change what the broker holds, by name.
    pub administrators: Vec<(String, VerifyingKey)>,
    /// What evidence is held against.
    pub attestation: Attestation,
    /// The policy for releases that no administrator's policy covers; the built-in one when `None`.
    pub resource_policy: Option<PathBuf>,
    /// The audit log.
    pub audit: PathBuf,
    /// How `/metrics` is served.
    pub metrics: Metrics,
    /// How much anybody may ask for.
    pub limits: Limits,
    /// How policies that somebody else wrote are evaluated.
    pub worker: Worker,
    /// What time it is.
    pub clock: Clock,
}

/// What evidence is held against.
#[derive(Debug)]
pub struct Attestation {
    /// The roots that evidence may stand under.
    pub anchors: Anchors,
    /// The names of anchors, besides the vendors', that the policy is to accept.
    pub accepted_anchors: Vec<String>,
    /// The folder with the vendors' collateral.
    pub collateral: PathBuf,
    /// The folder with reference values.
    pub reference_values: PathBuf,
    /// The states of a platform that are good enough, beside `UpToDate`.
    pub accepted_tcb: Vec<TcbStatus>,
    /// The advisories that may apply to a platform; any when `None`.
    pub accepted_advisories: Option<Vec<String>>,
    /// The policy for evidence while no administrator has set one; the built-in one when `None`.
    pub policy: Option<PathBuf>,
}

/// How `/metrics` is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metrics {
    /// To whoever asks. No label holds a resource's path or anything about a workload.
    Open,
    /// To administrators.
    Admin,
    /// To nobody.
    Off,
}

/// How much anybody may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time.
    pub connections: usize,
    /// The most connections of one address at a time.
    pub connections_per_peer: usize,
    /// The most requests that are worked on at a time, once they have come whole; one more is told to come back later.
    pub requests: usize,
    /// The most requests of one address that are read or worked on at a time.
    pub requests_per_peer: usize,
    /// The most bytes of bodies that are held at a time, administrators' apart.
    pub body_bytes: usize,
    /// The most bytes of bodies of one address that are held at a time.
    pub body_bytes_per_peer: usize,
    /// The most bytes of an attestation.
    pub attestation_bytes: usize,
    /// The most bytes of a secret.
    pub secret_bytes: usize,
    /// The most sessions of one state that are remembered.
    pub sessions: usize,
    /// The most bytes that sessions may hold.
    pub session_bytes: usize,
    /// How many challenges one address may ask for in a second; 0 for any number.
    pub auth_per_second: u32,
    /// How many it may ask for at once.
    pub auth_burst: u32,
    /// How long a TLS handshake, or the head of a request, may take.
    pub head_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long requests that are under way get when the broker stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_peer: 512,
            requests: 128,
            requests_per_peer: 64,
            body_bytes: 256 << 20,
            body_bytes_per_peer: 16 << 20,
            attestation_bytes: 2 << 20,
            secret_bytes: 1 << 20,
            sessions: 65_536,
            session_bytes: 64 << 20,
            auth_per_second: 50,
            auth_burst: 100,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// The process that evaluates policies which somebody else wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// The program; this one when `None`.
    pub program: Option<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long one evaluation may take.
    pub wall: Duration,
    /// How many seconds of processor time it may use.
    pub cpu_seconds: u64,
    /// How much memory it may have, in bytes of address space.
    pub memory_bytes: u64,
    /// How many may run at a time.
    pub processes: usize,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            program: None,
            arguments: vec!["policy-worker".to_owned()],
            wall: Duration::from_secs(5),
            cpu_seconds: 2,
            memory_bytes: 256 << 20,
            processes: 4,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not the text of a configuration.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// What is wrong, and where.
        message: String,
    },
    /// A value that cannot be used.
    #[error("{entry}: {message}")]
    Value {
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        message: String,
    },
    /// An administrator's key cannot be used.
    #[error("administrator {name:?}: {source}")]
    Administrator {
        /// The name.
        name: String,
        /// What is wrong with the key.
        #[source]
        source: KeyError,
    },
}

impl ConfigError {
    fn value(entry: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self::Value { entry: entry.into(), message: message.to_string() }
    }
}

impl Config {
    /// Reads `broker.toml`. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read, has an entry that this program does not know, or one whose value cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::files::read_text(path, MAX_FILE)?;
        let file: file::File = toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { path: path.display().to_string(), message: error.to_string() })?;
        file.into_config(path.parent().unwrap_or(Path::new("")))
    }
}
