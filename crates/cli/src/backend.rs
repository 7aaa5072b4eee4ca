//! Which TEE to ask.

use anyhow::{Context, Result};
use sealwright_evidence::Backend;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

const CONFIGFS_TSM: &str = "configfs-tsm";
const SIM: &str = "sim:";

/// A back end as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Linux's configfs-tsm.
    ConfigfsTsm,
    /// A simulated trust domain, by its socket.
    Simulated(PathBuf),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.strip_prefix(SIM) {
            Some(socket) if !socket.is_empty() => Ok(Self::Simulated(socket.into())),
            None if name == CONFIGFS_TSM => Ok(Self::ConfigfsTsm),
            _ => Err(format!("expected {CONFIGFS_TSM} or {SIM}SOCKET")),
        }
    }
}

/// Opens the back end that the user named, or the one that this machine has. A simulated one must be named.
pub(crate) fn open(named: Option<&Named>) -> Result<Arc<dyn Backend>> {
    match named {
        None | Some(Named::ConfigfsTsm) => {
            let backend = sealwright_evidence::detect().context("no TEE; `sealwright doctor` says what is missing")?;
            Ok(Arc::from(backend))
        }
        Some(Named::Simulated(socket)) => {
            let client = sealwright_sim::Client::connect(socket);
            Ok(Arc::new(client.with_context(|| format!("no simulated trust domain at {}", socket.display()))?))
        }
    }
}
