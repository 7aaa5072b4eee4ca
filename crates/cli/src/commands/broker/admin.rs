//! The administrator's verbs: requests to a running broker, signed with the administrator's key.

use crate::args::{BrokerTarget, PolicyCommand, PolicyKind, ReferenceCommand, SecretCommand, SecretPut};
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwright_appraise::SigningKey;
use sealwright_broker::admin::{Client, PolicyInfo};
use sealwright_broker::{Config, Requires};
use sealwright_channel::seal::{self, Sealed};
use sealwright_channel::tls::Trust;
use sealwright_wire::reference::{self, ReferenceValues};
use sealwright_wire::sealed::{EVENT_DOMAIN, EVENT_OPERATION, LoadModel};
use std::fs::File;
use std::path::Path;
use zeroize::Zeroizing;

/// The configuration's name in a broker's directory.
pub(super) const CONFIG: &str = "broker.toml";
/// Where `broker init` puts the certificate authority and the administrator's key.
const AUTHORITY: &str = "tls/ca.pem";
const ADMIN_KEY: &str = "admin.key";

/// A client for the broker of this directory.
pub(crate) fn connect(target: &BrokerTarget) -> Result<Client> {
    let authority = crate::files::read(&target.broker.join(AUTHORITY), MAX_FILE)?;
    let key = administrator_key(&target.broker.join(ADMIN_KEY))?;
    let url = match &target.url {
        Some(url) => url.clone(),
        None => format!("https://{}", Config::load(&target.broker.join(CONFIG))?.listen),
    };
    Ok(Client::new(&url, &Trust::issuers_from_pem(&authority)?, key)?)
}

fn administrator_key(path: &Path) -> Result<SigningKey> {
    let pem = Zeroizing::new(crate::files::read(path, MAX_FILE)?);
    let pem = std::str::from_utf8(&pem).with_context(|| format!("{} is no PEM", path.display()))?;
    SigningKey::from_pkcs8_pem(pem).with_context(|| format!("{} is no administrator's key", path.display()))
}

/// `sealwright broker secret ...`.
pub(super) async fn secret(command: &SecretCommand, output: Output) -> Result<Outcome> {
    match command {
        SecretCommand::Put(args) => put(args, output).await,
        SecretCommand::Get { target, path } => {
            let secret = connect(target)?.get_secret(path).await?;
            if output.is_json() {
                let fields = Fields::new().with("path", path.to_string()).with("secret", STANDARD.encode(&*secret));
                output.result(&fields, "")?;
            } else {
                output.bytes(&secret)?;
            }
            Ok(Outcome::Yes)
        }
        SecretCommand::List { target } => {
            let secrets = connect(target)?.list_secrets("").await?;
            let text: String = secrets
                .iter()
                .map(|secret| format!("{}  version {}, {} bytes\n", secret.path, secret.version, secret.bytes))
                .collect();
            output.result(&secrets, text)?;
            Ok(Outcome::Yes)
        }
        SecretCommand::Delete { target, path } => {
            connect(target)?.delete_secret(path).await?;
            output.result(&Fields::new().with("deleted", path.to_string()), format!("{path} deleted\n"))?;
            Ok(Outcome::Yes)
        }
    }
}

async fn put(args: &SecretPut, output: Output) -> Result<Outcome> {
    let client = connect(&args.target)?;
    let secret = Zeroizing::new(read_or_stdin(&args.file)?);
    let models = args.models.iter().map(|model| measured(model)).collect::<Result<Vec<_>>>()?;
    let requires = having_measured(&models)?;
    let version = client.put_secret(&args.path, &secret, &requires, None).await?;
    let fields = Fields::new().with("path", args.path.to_string()).with("version", version);
    output.result(&fields, format!("{} stored, version {version}\n", args.path))?;
    if requires == Requires::default() {
        output.aside(format_args!(
            "warning: {} requires nothing: whoever passes the policies gets it, whatever it measured; --for-model SEALED_FILE asks for a model",
            args.path
        ));
    }
    Ok(Outcome::Yes)
}

fn read_or_stdin(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return crate::files::read(path, MAX_FILE);
    }
    crate::files::read(Path::new("/dev/stdin"), MAX_FILE).context("standard input")
}

/// The condition "has measured one of these models", or none for no models.
pub(crate) fn having_measured(models: &[LoadModel]) -> Result<Requires> {
    if models.is_empty() {
        return Ok(Requires::default());
    }
    let accepted = models.iter().map(LoadModel::content).collect::<Result<Vec<_>, _>>()?;
    Ok(Requires::event(&format!("{EVENT_DOMAIN}/{EVENT_OPERATION}"), accepted))
}

/// What a workload measures that opens this sealed file.
pub(crate) fn measured(model: &Path) -> Result<LoadModel> {
    let file = File::open(model).with_context(|| format!("cannot open {}", model.display()))?;
    let Sealed { header, sha384 } = seal::measure(file).with_context(|| format!("{}", model.display()))?;
    Ok(LoadModel::new(&header, sha384))
}

/// `sealwright broker policy ...`.
pub(super) async fn policy(command: &PolicyCommand, output: Output) -> Result<Outcome> {
    match command {
        PolicyCommand::Set { target, kind, file, repository } => {
            let text = String::from_utf8(crate::files::read(file, MAX_FILE)?).context("a policy is text")?;
            let client = connect(target)?;
            let set = match kind {
                PolicyKind::Attestation => client.set_attestation_policy(&text).await?,
                PolicyKind::Resource => client.set_resource_policy(repository.as_deref(), &text).await?,
            };
            output.result(&set, format!("{} policy {} set, sha384:{}\n", name(*kind), set.id, set.sha384))?;
        }
        PolicyCommand::Show { target, kind } => {
            let client = connect(target)?;
            let policies = match kind {
                PolicyKind::Attestation => vec![client.attestation_policy().await?],
                PolicyKind::Resource => client.resource_policies().await?,
            };
            if output.is_json() {
                output.result(&policies, "")?;
            }
            for policy in policies.iter().filter(|_| !output.is_json()) {
                output.aside(heading(policy));
                output.text(&policy.text)?;
            }
        }
        PolicyCommand::Reset { target, kind, repository } => {
            let client = connect(target)?;
            match kind {
                PolicyKind::Attestation => client.reset_attestation_policy().await?,
                PolicyKind::Resource => client.reset_resource_policy(repository.as_deref()).await?,
            }
            output.result(&Fields::new().with("reset", name(*kind)), format!("{} policy reset\n", name(*kind)))?;
        }
    }
    Ok(Outcome::Yes)
}

const fn name(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Attestation => "attestation",
        PolicyKind::Resource => "resource",
    }
}

/// What is not part of the policy's text.
fn heading(policy: &PolicyInfo) -> String {
    format!("# {} ({}), sha384:{}", policy.id, policy.source, policy.sha384)
}

/// `sealwright broker reference ...`.
pub(super) async fn reference(command: &ReferenceCommand, output: Output) -> Result<Outcome> {
    match command {
        ReferenceCommand::Set { target, name, file } => {
            let json = crate::files::read(file, u64::try_from(reference::MAX_FILE)?)?;
            let values = ReferenceValues::from_json(&json).with_context(|| format!("{}", file.display()))?;
            let version = connect(target)?.set_reference_values(name, &values).await?;
            let fields = Fields::new().with("name", name.as_str()).with("version", version);
            output.result(&fields, format!("{name} stored, version {version}\n"))?;
        }
        ReferenceCommand::List { target } => {
            let listed = connect(target)?.reference_values().await?;
            let text: String = listed
                .iter()
                .map(|info| format!("{}  {} ({})\n", info.name, info.values.tee().name(), info.source))
                .collect();
            output.result(&listed, text)?;
        }
        ReferenceCommand::Delete { target, name } => {
            connect(target)?.delete_reference_values(name).await?;
            output.result(&Fields::new().with("deleted", name.as_str()), format!("{name} deleted\n"))?;
        }
    }
    Ok(Outcome::Yes)
}
