//! `sealwright serve`: a model server that has sealed files and nothing else.

use crate::args::{self, Label};
use crate::explain;
use crate::inspect::MAX_FILE;
use crate::kept::{TOKEN, Witness};
use crate::output::{Outcome, Output};
use crate::service::{self, ReadyFile};
use anyhow::{Context, Result, bail};
use sealwright_channel::tls::Trust;
use sealwright_channel::{kbs, seal};
use sealwright_evidence::Backend;
use sealwright_serving::{Engine, Measured, Registry, Rten, Runtime, SealedModel, StartupError, Transport, load_all};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Measures every model, asks for the keys, opens the models in memory and serves them. It listens before they are open, so
/// that it can say that they are not; one that does not open is said to have failed, and the others are served.
pub(crate) async fn run(args: &args::Serve, output: Output) -> Result<Outcome> {
    let ready = ReadyFile::new(args.ready_file.as_deref())?;
    service::log_to_stderr(output);
    let backend = crate::backend::open(args.backend.backend.as_ref())?;
    let witness = Witness::default();
    let keys = kbs::Client::new(&broker(args)?, witness.beside(Arc::clone(&backend)))?;
    // Before anything else: from here on all evidence tells of these files.
    let measured = tokio::task::block_in_place(|| measure(&args.models, &args.labels, backend.as_ref()))?;
    let attested = keys.attest().await;
    if let Some(dir) = &args.keep {
        keep(dir, &witness, &keys).await?;
    }
    let policy = match attested {
        Ok(token) => kbs::policy_of_token(&token),
        Err(error) => return explain::refused_key(error.into(), output),
    };
    if policy.is_none() {
        tracing::warn!("the broker's token names no policy, and so no receipt will");
    }
    let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
    let registry = Arc::new(Registry::new());
    args.labels.iter().for_each(|Label { model, label, version }| registry.set_label(model, label, *version));
    let transport = Arc::new(Transport::new(backend, policy).await?);
    let engine = Engine::start(Arc::clone(&registry), &runtime, args.limits.threads(), args.limits.limits())?;
    let listener =
        TcpListener::bind(args.listen.resolve()?).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?.to_string();
    let stop = service::stop_signal(args.exit_with_stdin, &ready)?;
    let mut serving = std::pin::pin!(sealwright_serving::serve(listener, transport, Arc::new(engine), stop));
    let failed = tokio::select! {
        failed = load_all(measured, &keys, &runtime, &registry) => failed,
        () = serving.as_mut() => return Ok(Outcome::Yes),
    };
    if let Some(error) = failed.filter(|_| !registry.has_available()) {
        return refused(error, output);
    }
    ready.ready(&address)?;
    serving.await;
    Ok(Outcome::Yes)
}

/// Why nothing is served: the broker's no, or that the file is not what was sealed.
fn refused(error: StartupError, output: Output) -> Result<Outcome> {
    match error {
        StartupError::Unseal(ref reason) if !matches!(reason, seal::Error::Resources(_)) => {
            let printed = serde_json::json!({ "accepted": false, "reason": error.to_string() });
            output.result(&printed, format_args!("no: {error}\n"))?;
            Ok(Outcome::No)
        }
        error => explain::refused_key(error.into(), output),
    }
}

fn broker(args: &args::Serve) -> Result<kbs::Config> {
    let ca = crate::files::read(&args.broker_ca, MAX_FILE)?;
    let trust = Trust::issuers_from_pem(&ca).with_context(|| format!("{}", args.broker_ca.display()))?;
    Ok(kbs::Config { url: args.broker.clone(), trust, timeout: kbs::DEFAULT_TIMEOUT })
}

fn measure(models: &[PathBuf], labels: &[Label], backend: &dyn Backend) -> Result<Vec<Measured>> {
    let read = models.iter().map(|path| SealedModel::read(path).with_context(|| format!("{}", path.display())));
    // All are read before the first is measured: a bad file must not leave a mark in the register.
    let read = read.collect::<Result<Vec<_>>>()?;
    distinct(models, &read)?;
    for Label { model, label, version } in labels {
        let names = |sealed: &SealedModel| sealed.header().name == *model && sealed.header().version == *version;
        if !read.iter().any(names) {
            bail!(args::nonsense(format!("--label {model}={label}:{version}: no sealed file holds this version")));
        }
    }
    read.into_iter().map(|model| Ok(model.measure(backend)?)).collect()
}

/// That no two files claim to be one version of a model: clients that ask for it would get either.
fn distinct(paths: &[PathBuf], read: &[SealedModel]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (path, sealed) in paths.iter().zip(read) {
        let (name, version) = (&sealed.header().name, sealed.header().version);
        if let Some(before) = seen.insert((name, version), path) {
            let (one, other) = (before.display(), path.display());
            bail!("{one} and {other} are both version {version} of the model {name}: serve one of them");
        }
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
