//! From a sealed file to a model that answers, in the order that makes the evidence true.
//!
//! ```text
//! SealedModel --measure--> Measured --open--> Opened --load--> Servable
//! read, hashed             digest in the      key released,    runtime has it,
//!                          runtime register   file unsealed    cleartext wiped
//! ```
//!
//! Each step takes the value of the step before, so none can be left out or come too early: a key cannot be asked for
//! before the file's digest stands in the register that the evidence shows.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sealwright_channel::{
    KeyError, KeySource, seal,
    wire::{
        Digest,
        sealed::{Header, LoadModel, SealedFile},
    },
};
use sealwright_evidence::Backend;

use crate::{
    error::Error,
    pace::Pace,
    registry::{Registry, Servable, State},
    runtime::Runtime,
};

/// The kind of sealed file that this server opens.
pub const KIND: &str = "onnx";
/// The longest sealed file that is read, in bytes.
pub const MAX_SEALED: u64 = 4 << 30;

/// Why a model is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartupError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is larger than this server reads.
    #[error("{path}: expected at most {MAX_SEALED} bytes, found more")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no sealed file.
    #[error("not a sealed model: {0}")]
    Format(#[from] sealwright_channel::wire::Error),
    /// The file holds something else than a model.
    #[error("kind: expected `{KIND}`, found `{0}`")]
    Kind(String),
    /// The digest cannot be measured into the runtime register. Without that no key is asked for.
    #[error("measuring the model: {0}")]
    Measure(#[from] sealwright_evidence::Error),
    /// Nobody released the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file does not open under the key.
    #[error("unsealing the model: {0}")]
    Unseal(#[from] seal::Error),
    /// The runtime does not take the model.
    #[error(transparent)]
    Load(#[from] Error),
    /// A worker thread ended early.
    #[error("a worker thread ended before its work")]
    Interrupted,
}

impl StartupError {
    /// What everybody may know of it: a model's state is told without attestation.
    #[must_use]
    pub const fn public(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } | Self::Format(_) | Self::Kind(_) => "its file cannot be used",
            Self::Measure(_) => "it could not be measured",
            Self::Key(_) => "its key was not released",
            Self::Unseal(_) => "it does not open under its key",
            Self::Load(_) => "the runtime does not take it",
            Self::Interrupted => "loading it was interrupted",
        }
    }
}

/// A sealed file in memory: ciphertext, with a header that nobody has authenticated yet.
pub struct SealedModel {
    sealed: Vec<u8>,
    header: Header,
    sha384: Digest<48>,
}

impl SealedModel {
    /// Reads a sealed file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is no sealed model.
    pub fn read(path: &Path) -> Result<Self, StartupError> {
        let failed = |source| StartupError::Read { path: path.to_owned(), source };
        let mut sealed = Vec::new();
        let mut file = File::open(path).map_err(failed)?.take(MAX_SEALED + 1);
        let read = file.read_to_end(&mut sealed).map_err(failed)?;
        if read as u64 > MAX_SEALED {
            return Err(StartupError::TooLarge { path: path.to_owned() });
        }
        Self::new(sealed)
    }

    /// A sealed file that is in memory already.
    ///
    /// # Errors
    /// If it is no sealed model.
    pub fn new(sealed: Vec<u8>) -> Result<Self, StartupError> {
        let header = SealedFile::parse(&sealed)?.prelude.header;
        if header.kind != KIND {
            return Err(StartupError::Kind(header.kind));
        }
        let sha384 = seal::sha384(&sealed);
        Ok(Self { sealed, header, sha384 })
    }

    /// What the file says about itself: name, version, where its key is.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-384 of the whole file.
    #[must_use]
    pub const fn sha384(&self) -> Digest<48> {
        self.sha384
    }

    /// Extends the runtime register with the digest. From here on all evidence of this environment tells of this file.
    ///
    /// # Errors
    /// [`StartupError::Measure`] if the register cannot be extended.
    pub fn measure(self, backend: &dyn Backend) -> Result<Measured, StartupError> {
        let event = LoadModel::new(&self.header, self.sha384).event()?;
        backend.extend(&event)?;
        tracing::info!(model = self.header.name, version = self.header.version, sha384 = %self.sha384, "measured");
        Ok(Measured(self))
    }
}

/// A sealed file whose digest stands in the runtime register. Only [`SealedModel::measure`] makes one.
pub struct Measured(SealedModel);

impl Measured {
    /// What the file says about itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        self.0.header()
    }

    /// Asks for the key and unseals the file, in memory.
    ///
    /// # Errors
    /// [`StartupError::Key`] if nobody releases the key, [`StartupError::Unseal`] if it is not the file's, or the file was
    /// altered.
    pub async fn open(self, keys: &dyn KeySource) -> Result<Opened, StartupError> {
        let Self(SealedModel { sealed, header, sha384 }) = self;
        let key = keys.get(&header.key).await?;
        let unsealed = tokio::task::spawn_blocking(move || seal::unseal(&sealed, &key)).await;
        let cleartext = unsealed.map_err(|_| StartupError::Interrupted)??;
        Ok(Opened { cleartext, sha384 })
    }
}

/// A model in cleartext; it is wiped when this is dropped. Only [`Measured::open`] makes one.
pub struct Opened {
    cleartext: seal::Unsealed,
    sha384: Digest<48>,
}

impl Opened {
    /// Gives the model to a runtime and wipes the cleartext of the file. What the runtime keeps of it, the weights, stays in
    /// the environment's memory for as long as it is served.
    ///
    /// # Errors
    /// [`StartupError::Load`] if the runtime does not take it.
    pub fn load(self, runtime: &dyn Runtime) -> Result<Servable, StartupError> {
        let Header { name, version, .. } = self.cleartext.header;
        let model = runtime.load(&name, &self.cleartext.cleartext)?;
        tracing::info!(model = name, version, "loaded");
        Ok(Servable { name, version, sha384: self.sha384, platform: runtime.name(), model, pace: Pace::default() })
    }
}

/// Opens and loads models one after the other, and says in the registry how far each is. One that fails keeps none of the
/// others from being served; the first such error is returned, and all are logged.
pub async fn load_all(
    models: Vec<Measured>,
    keys: &dyn KeySource,
    runtime: &Arc<dyn Runtime>,
    registry: &Registry,
) -> Option<StartupError> {
    for model in &models {
        registry.set(&model.header().name, model.header().version, State::Loading);
    }
    let mut first = None;
    for model in models {
        let Header { name, version, .. } = model.header().clone();
        match load(model, keys, Arc::clone(runtime)).await {
            Ok(servable) => registry.insert(servable),
            Err(error) => {
                tracing::error!(model = name, version, %error, "not served");
                registry.set(&name, version, State::Failed(error.public().to_owned()));
                first.get_or_insert(error);
            }
        }
    }
    first
}

/// Loading computes for long, so it has a thread of its own.
async fn load(model: Measured, keys: &dyn KeySource, runtime: Arc<dyn Runtime>) -> Result<Servable, StartupError> {
    let opened = model.open(keys).await?;
    let loaded = tokio::task::spawn_blocking(move || opened.load(runtime.as_ref())).await;
    loaded.map_err(|_| StartupError::Interrupted)?
}
