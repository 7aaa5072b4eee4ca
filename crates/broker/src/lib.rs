//! The relying party's service: challenge, appraisal, resources, audit, storage.
#![forbid(unsafe_code)]

pub mod admin;
pub mod audit;
mod broker;
mod clock;
pub mod config;
mod files;
mod grant;
mod http;
pub mod init;
mod judge;
mod metrics;
mod policies;
mod rate;
mod readiness;
mod references;
mod secrets;
mod server;
mod service;
mod session;
pub mod storage;
mod tls;
mod upkeep;
pub mod worker;

pub use broker::{Broker, Error};
pub use clock::Clock;
pub use config::{Config, ConfigError};
pub use files::FileError;
pub use grant::{Grant, ReleaseError};
pub use policies::PoliciesError;
pub use references::ReferenceError;
pub use secrets::{Requires, RequiresError};
pub use tls::TlsError;
