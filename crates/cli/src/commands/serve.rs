//! `sealwright serve`: a model server that has sealed files and nothing else.

use crate::args;
use crate::explain;
use crate::inspect::MAX_FILE;
use crate::kept::{TOKEN, Witness};
use crate::output::{Outcome, Output};
use crate::service;
use anyhow::{Context, Result};
use sealwright_channel::kbs;
use sealwright_channel::tls::Trust;
use sealwright_evidence::Backend;
use sealwright_serving::{
    Engine, Limits, Measured, Registry, Rten, Runtime, SealedModel, StartupError, Transport, policy_of_token,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Measures every model, asks for the keys, opens the models in memory and serves them.
pub(crate) async fn run(args: &args::Serve, output: Output) -> Result<Outcome> {
    service::log_to_stderr(output);
    let backend = crate::backend::open(args.backend.backend.as_ref())?;
    let witness = Witness::default();
    let keys = kbs::Client::new(&broker(args)?, witness.beside(Arc::clone(&backend)))?;
    // Before anything else: from here on all evidence tells of these files.
    let measured = tokio::task::block_in_place(|| measure(&args.models, backend.as_ref()))?;
    let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
    let registry = Arc::new(Registry::new());
    let loaded = load(measured, &keys, runtime.as_ref(), &registry).await;
    if let Some(dir) = &args.keep {
        keep(dir, &witness, &keys).await?;
    }
    match loaded {
        Ok(()) => {}
        Err(StartupError::Key(error)) => return explain::refused_key(error, output),
        Err(error) => return Err(error.into()),
    }
    let policy = keys.token().await.and_then(|token| policy_of_token(&token));
    if policy.is_none() {
        tracing::warn!("the broker's token names no policy, and so no receipt will");
    }
    let transport = Arc::new(Transport::new(backend, policy).await?);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let engine = Arc::new(Engine::start(registry, &runtime, workers, Limits::default())?);
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let stop = service::stop_signal(args.exit_with_stdin)?;
    service::ready(args.ready_file.as_deref(), &listener.local_addr()?.to_string())?;
    sealwright_serving::serve(listener, transport, engine, stop).await;
    Ok(Outcome::Yes)
}

fn broker(args: &args::Serve) -> Result<kbs::Config> {
    let ca = crate::files::read(&args.broker_ca, MAX_FILE)?;
    let trust = Trust::issuers_from_pem(&ca).with_context(|| format!("{}", args.broker_ca.display()))?;
    Ok(kbs::Config { url: args.broker.clone(), trust, timeout: kbs::DEFAULT_TIMEOUT })
}

fn measure(models: &[PathBuf], backend: &dyn Backend) -> Result<Vec<Measured>> {
    let read = models.iter().map(|path| SealedModel::read(path).with_context(|| format!("{}", path.display())));
    // All are read before the first is measured: a bad file must not leave a mark in the register.
    let read = read.collect::<Result<Vec<_>>>()?;
    read.into_iter().map(|model| Ok(model.measure(backend)?)).collect()
}

/// Gets each model's key, opens the model and registers it.
async fn load(
    measured: Vec<Measured>,
    keys: &kbs::Client,
    runtime: &dyn Runtime,
    registry: &Registry,
) -> Result<(), StartupError> {
    for model in measured {
        registry.insert(model.open(keys).await?.load(runtime)?);
    }
    Ok(())
}

/// Keeps what the broker was shown, whatever it said; and its token, which tells of this environment and opens nothing without its key.
async fn keep(dir: &Path, witness: &Witness, keys: &kbs::Client) -> Result<()> {
    if let Some(shown) = witness.last() {
        crate::kept::evidence(dir, &shown)?;
    }
    match keys.token().await {
        Some(token) => crate::files::replace(&dir.join(TOKEN), token.as_bytes()),
        None => Ok(()),
    }
}
