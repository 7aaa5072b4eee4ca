//! The release of a secret: from a token to a [`Grant`], and from a grant to bytes that only the token's environment can read.

use crate::{
    policies::Policies,
    secrets::{Secrets, Stored},
    storage::VaultError,
};
use sealwright_appraise::{Check, Decision, Explanation, Outcome, Policy, Resource, VerifiedToken};
use sealwright_channel::{
    Secret,
    jwe::{self, RecipientKey},
};
use sealwright_wire::kbs::{ResourcePath, Response, TeePubKey};
use serde::Deserialize as _;
use serde_json::Value;
use std::sync::Arc;

/// A secret that a policy lets go to the environment which a token describes. Nothing but [`Release::decide`] makes one, and there is nothing
/// to do with one but to seal it to that environment's key.
pub struct Grant {
    path: ResourcePath,
    version: u64,
    secret: Secret,
    recipient: RecipientKey,
}

impl Grant {
    /// Which secret.
    pub const fn path(&self) -> &ResourcePath {
        &self.path
    }

    /// Which version of it.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The secret, encrypted to the key that the evidence bound.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn seal(self) -> Result<Response, jwe::Error> {
        jwe::encrypt(self.secret.expose(), &self.recipient)
    }
}

/// A decision about one request for a secret.
pub(crate) struct Decided {
    /// What goes to the one who asked, when anything does.
    pub(crate) grant: Option<Grant>,
    /// All reasons, for the audit log.
    pub(crate) reasons: Explanation,
    /// What the one who asked is told: the same for a secret that there is not and for one that they may not have.
    pub(crate) answer: Explanation,
    /// The policy that decided.
    pub(crate) policy: Policy,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The secret cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no policy that could decide.
    #[error("there is no policy for releases")]
    NoPolicy,
    /// The token holds no key that a secret can be sealed to.
    #[error("the token's tee-pubkey: {0}")]
    Recipient(String),
}

/// Decides about releases.
pub(crate) struct Release {
    secrets: Arc<Secrets>,
    policies: Arc<Policies>,
}

impl Release {
    pub(crate) fn new(secrets: Arc<Secrets>, policies: Arc<Policies>) -> Self {
        Self { secrets, policies }
    }

    /// Decides whether the environment of `token` gets the secret at `path`.
    pub(crate) fn decide(&self, token: &VerifiedToken, path: &ResourcePath) -> Result<Decided, ReleaseError> {
        let recipient = recipient(token)?;
        let release = self.policies.release(path.repository()).ok_or(ReleaseError::NoPolicy)?;
        let stored = self.secrets.get(path)?;
        let name = path.to_string();
        let requires = stored.as_ref().map_or(Value::Null, requires_value);
        // A secret that there is not is decided about like any other, and answered like one that is kept back. The time still tells: only
        // what there is was read and decrypted by now, because what a secret requires lies sealed in one record with it.
        let decision = release.decide(token, Resource { path: &name, requires: &requires });
        let policy = release.policy().clone();
        let reasons = match stored {
            Some(stored) if decision.is_allowed() => {
                let secret = Secret::from(stored.bytes);
                let grant = Grant { path: path.clone(), version: stored.version, secret, recipient };
                let reasons = decision.explanation().clone();
                return Ok(Decided { grant: Some(grant), answer: reasons.clone(), reasons, policy });
            }
            Some(_) => decision.explanation().clone(),
            None => Explanation::refused(no_secret(path), token.anchor().as_ref()),
        };
        let of_token_alone = release.decide(token, Resource { path: &name, requires: &Value::Null });
        let answer = unreleased(path, token, &of_token_alone);
        Ok(Decided { grant: None, reasons, answer, policy })
    }
}

fn requires_value(stored: &Stored) -> Value {
    serde_json::to_value(&stored.requires).unwrap_or_default()
}

fn recipient(token: &VerifiedToken) -> Result<RecipientKey, ReleaseError> {
    let key = token.tee_pubkey().ok_or_else(|| ReleaseError::Recipient("missing".to_owned()))?;
    let key = TeePubKey::deserialize(key).map_err(|error| ReleaseError::Recipient(error.to_string()))?;
    RecipientKey::new(&key).map_err(|error| ReleaseError::Recipient(error.to_string()))
}

fn no_secret(path: &ResourcePath) -> Check {
    Check::new(Outcome::Failed, "secret-missing", path.uri())
        .expected("a secret of this name")
        .actual("none")
        .source("the broker's secrets")
        .remedy("put the secret, or correct the name in the workload's configuration")
}

/// What a workload is told that gets nothing. When its token is the reason it hears so; else it hears what it has shown, and not whether
/// there is a secret or what that requires.
fn unreleased(path: &ResourcePath, token: &VerifiedToken, of_token_alone: &Decision) -> Explanation {
    if !of_token_alone.is_allowed() {
        return of_token_alone.explanation().clone();
    }
    let mut checks = of_token_alone.explanation().checks.clone();
    checks.push(
        Check::new(Outcome::Failed, "not-released", path.uri())
            .expected("a secret of this name, for a workload that measured what this one did")
            .actual(shown(token))
            .source("the broker's secrets")
            .remedy(
                "ask the broker's administrator: under this answer's x-request-id the audit log says whether the name is wrong or what \
                 the secret requires",
            ),
    );
    Explanation::new(checks, "", token.anchor().as_ref())
}

/// The runtime events that a workload has shown, in words.
fn shown(token: &VerifiedToken) -> String {
    let runtime = token.evidence().and_then(|evidence| evidence.get("log")?.get("runtime")?.as_array());
    let text = |event: &Value, member| event.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let events = runtime
        .into_iter()
        .flatten()
        .map(|event| format!("{}/{} {}", text(event, "domain"), text(event, "operation"), text(event, "content")));
    match events.collect::<Vec<_>>() {
        events if events.is_empty() => "no runtime event was measured".to_owned(),
        events => format!("measured {}", events.join(", ")),
    }
}
