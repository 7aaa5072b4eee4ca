//! `sealwright broker ...`.

mod admin;
mod audit;

pub(crate) use admin::{connect, having_measured, measured};

use crate::args::{BrokerCommand, BrokerInit, BrokerServe};
use crate::explain;
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use crate::service::{self, ReadyFile};
use anyhow::{Context, Result};
use sealwright_broker::init::{ExtraAnchor, Options, init as make};
use sealwright_broker::{Broker, Config};
use std::path::Path;

/// Runs one of the verbs.
pub(crate) async fn run(command: &BrokerCommand, output: Output) -> Result<Outcome> {
    let answered = match command {
        BrokerCommand::Init(args) => init(args, output),
        BrokerCommand::Serve(args) => serve(args, output).await,
        BrokerCommand::Secret(command) => admin::secret(command, output).await,
        BrokerCommand::Policy(command) => admin::policy(command, output).await,
        BrokerCommand::Reference(command) => admin::reference(command, output).await,
        BrokerCommand::Audit(args) => audit::run(args, output).await,
    };
    answered.or_else(|error| explain::refused_administrator(error, output))
}

fn init(args: &BrokerInit, output: Output) -> Result<Outcome> {
    let anchors = args.anchors.iter().map(|path| extra_anchor(path)).collect::<Result<_>>()?;
    let options = Options {
        names: args.names.clone(),
        listen: args.listen.resolve()?,
        administrator: args.administrator.clone(),
        anchors,
        at: crate::clock::now(),
    };
    let made = make(&args.dir, &options)?;
    let fields = Fields::new()
        .with("configuration", made.config.display().to_string())
        .with("certificate_authority", made.certificate_authority.display().to_string())
        .with("administrator_key", made.administrator_key.display().to_string())
        .with("administrator_thumbprint", made.administrator_thumbprint)
        .with("token_public_key", made.token_public_key.display().to_string());
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

/// A root as the configuration names it: by its file, and as simulated when its certificate says so itself.
fn extra_anchor(path: &Path) -> Result<ExtraAnchor> {
    let anchor = crate::trust::anchor(path)?;
    let simulated = anchor.id().kind == sealwright_verify::AnchorKind::Simulated;
    let certificate = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    Ok(ExtraAnchor { name: anchor.id().name.clone(), simulated, certificate })
}

async fn serve(args: &BrokerServe, output: Output) -> Result<Outcome> {
    let ready = ReadyFile::new(args.ready_file.as_deref())?;
    let mut config = Config::load(&args.dir.join(admin::CONFIG))?;
    if let Some(listen) = &args.listen {
        config.listen = listen.resolve()?;
    }
    service::log_to_stderr(output);
    let broker = Broker::start(config).await.context("the broker cannot start")?;
    let url = format!("https://{}", broker.local_addr());
    let stop = service::stop_signal(args.exit_with_stdin, &ready)?;
    ready.ready(&url)?;
    stop.await;
    broker.stop().await?;
    Ok(Outcome::Yes)
}
