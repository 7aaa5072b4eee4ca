//! Which TEE to ask.

use anyhow::Context;
use sealwright_evidence::{Backend, Collected, Error, Measurement};
use sealwright_wire::Tee;
use sealwright_wire::aael::RuntimeEvent;
#[cfg(feature = "simulator")]
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

const CONFIGFS_TSM: &str = "configfs-tsm";
#[cfg(feature = "simulator")]
const SIM: &str = "sim:";

/// A back end as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Linux's configfs-tsm.
    ConfigfsTsm,
    /// A simulated trust domain, by its socket.
    #[cfg(feature = "simulator")]
    Simulated(PathBuf),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == CONFIGFS_TSM {
            return Ok(Self::ConfigfsTsm);
        }
        #[cfg(feature = "simulator")]
        {
            let socket = name.strip_prefix(SIM).filter(|socket| !socket.is_empty());
            socket.map(|socket| Self::Simulated(socket.into())).ok_or(format!("expected {CONFIGFS_TSM} or {SIM}SOCKET"))
        }
        #[cfg(not(feature = "simulator"))]
        Err(format!("expected {CONFIGFS_TSM}; this program was built without the simulator"))
    }
}

/// Opens the back end that the user named, or the one that this machine has. A simulated one must be named.
pub(crate) fn open(named: Option<&Named>) -> anyhow::Result<Arc<dyn Backend>> {
    match named {
        None | Some(Named::ConfigfsTsm) => {
            let backend = sealwright_evidence::detect().context("no TEE; `sealwright doctor` says what is missing")?;
            Ok(Arc::from(backend))
        }
        #[cfg(feature = "simulator")]
        Some(Named::Simulated(socket)) => {
            let client = sealwright_sim::Client::connect(socket);
            Ok(Arc::new(client.with_context(|| format!("no simulated trust domain at {}", socket.display()))?))
        }
    }
}

/// A back end whose evidence passes through somebody's hands on its way out: someone who keeps a copy, or who meddles.
pub(crate) struct Passing<F> {
    backend: Arc<dyn Backend>,
    hands: F,
}

impl<F: Fn(Collected) -> Collected> Passing<F> {
    /// What `backend` gives, as it comes out of `hands`.
    pub(crate) fn new(backend: Arc<dyn Backend>, hands: F) -> Self {
        Self { backend, hands }
    }
}

impl<F: Fn(Collected) -> Collected + Send + Sync> Backend for Passing<F> {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn tee(&self) -> Tee {
        self.backend.tee()
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        self.backend.quote(report_data)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, Error> {
        self.backend.event_log()
    }

    fn measurements(&self) -> Result<Vec<Measurement>, Error> {
        self.backend.measurements()
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), Error> {
        self.backend.extend(event)
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Collected, Error> {
        self.backend.evidence(report_data).map(&self.hands)
    }
}
