//! The administrator's end: signs each request with the administrator's key and sends it.

use super::{SignError, authorization};
use crate::{
    clock::Clock,
    references::{NAME, is_name},
    secrets::Requires,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use rustls::ClientConfig;
use sealwright_appraise::SigningKey;
use sealwright_channel::{
    http::{Client as Http, Endpoint, Error as HttpError, escaped},
    tls::{self, Trust},
};
use sealwright_wire::{
    Digest,
    jws::encode_base64url,
    kbs::{ErrorInformation, Message, PREFIX, REQUEST_ID, ResourcePath},
    reference::ReferenceValues,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use zeroize::{Zeroize, Zeroizing};

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 20;
/// How long to wait for an answer. A policy that is set is checked meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The prefix of the routes that the key protocol does not have.
pub(crate) const OWN_PREFIX: &str = "/sealwright/v0";

/// Why a request of an administrator failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker was not reached, or gave no whole answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The broker's certificate authority cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The request cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Not a name of reference values.
    #[error("{name:?} is no name: expected {NAME}")]
    Name {
        /// What was given.
        name: String,
    },
    /// The broker said no.
    #[error(transparent)]
    Refused(Box<Failure>),
    /// The broker's answer is not what it should be.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}

/// What the broker said instead of yes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the broker refuses ({status}): {}", information.detail)]
pub struct Failure {
    /// The status code.
    pub status: StatusCode,
    /// The error's type, sentence and explanation.
    pub information: ErrorInformation,
    /// The request's name in the broker's log and audit.
    pub request_id: Option<String>,
}

/// What the broker tells about a secret. The secret itself is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    /// Its name.
    pub path: ResourcePath,
    /// Counts its changes, from 1.
    pub version: u64,
    /// Its length in bytes.
    pub bytes: usize,
    /// What a workload must have measured to receive it.
    pub requires: Requires,
}

/// A policy as the broker holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInfo {
    /// Its name in verdicts and in the audit log.
    pub id: String,
    /// The repository whose releases it decides; none for a policy of all.
    pub repository: Option<String>,
    /// Where it comes from: `built-in`, `file` or `administrator`.
    pub source: String,
    /// SHA-384 of its text.
    pub sha384: Digest<48>,
    /// Its text.
    pub text: String,
}

/// Reference values by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceInfo {
    /// Their name.
    pub name: String,
    /// Where they come from: `file` or `administrator`.
    pub source: String,
    /// The values.
    pub values: ReferenceValues,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// A broker, and the key with which to ask it.
pub struct Client {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    key: SigningKey,
    clock: Clock,
}

impl Client {
    /// For the broker at `url` (`https://HOST[:PORT][/PREFIX]`), whose certificate `trust` recognises.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn new(url: &str, trust: &Trust, key: SigningKey) -> Result<Self, ClientError> {
        Ok(Self { endpoint: Endpoint::parse(url)?, tls: trust.client_config()?, key, clock: Clock::default() })
    }

    /// The same with another clock, for a broker that runs at another time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Puts a secret and returns its version. With `expect`, only over that version (0: only if there never was one).
    ///
    /// # Errors
    /// When the broker refuses, cannot be reached, or answers something else.
    pub async fn put_secret(
        &self,
        path: &ResourcePath,
        secret: &[u8],
        requires: &Requires,
        expect: Option<u64>,
    ) -> Result<u64, ClientError> {
        let mut target = format!("{PREFIX}/resource/{path}?requires={}", encode_base64url(&json(requires)?));
        if let Some(expect) = expect {
            target.push_str(&format!("&expect={expect}"));
        }
        let secret = Bytes::from_owner(Zeroizing::new(secret.to_vec()));
        let answer = self.send(Method::POST, &target, secret).await?;
        parse::<Version>(&answer).map(|answer| answer.version)
    }

    /// A secret's bytes.
    ///
    /// # Errors
    /// When there is none, or as above.
    pub async fn get_secret(&self, path: &ResourcePath) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let answer = self.send(Method::GET, &format!("{PREFIX}/resource/{path}"), Vec::new()).await?;
        let secret = Zeroizing::new(answer.to_vec());
        if let Ok(mut received) = answer.try_into_mut() {
            received.zeroize();
        }
        Ok(secret)
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// When there is none, or as above.
    pub async fn delete_secret(&self, path: &ResourcePath) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("{PREFIX}/resource/{path}"), Vec::new()).await.map(drop)
    }

    /// All secrets whose path begins with `prefix`, in the order of their paths.
    ///
    /// # Errors
    /// As above.
    pub async fn list_secrets(&self, prefix: &str) -> Result<Vec<SecretInfo>, ClientError> {
        let mut all: Vec<SecretInfo> = Vec::new();
        loop {
            let after = all.last().map(|last| format!("&after={}", last.path)).unwrap_or_default();
            let target = format!("{PREFIX}/resource?prefix={}{after}", escaped(prefix));
            let page: Vec<SecretInfo> = parse(&self.send(Method::GET, &target, Vec::new()).await?)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The policy for evidence.
    ///
    /// # Errors
    /// As above.
    pub async fn attestation_policy(&self) -> Result<PolicyInfo, ClientError> {
        parse(&self.send(Method::GET, &format!("{PREFIX}/attestation-policy"), Vec::new()).await?)
    }

    /// Sets the policy for evidence (Rego text). It is compiled first; one that does not compile changes nothing.
    ///
    /// # Errors
    /// As above.
    pub async fn set_attestation_policy(&self, text: &str) -> Result<PolicyInfo, ClientError> {
        let body =
            serde_json::json!({ "type": "rego", "policy_id": "default", "policy": encode_base64url(text.as_bytes()) });
        parse(&self.send(Method::POST, &format!("{PREFIX}/attestation-policy"), json(&body)?).await?)
    }

    /// Takes the administrator's policy for evidence back: the configuration's or the built-in one holds again.
    ///
    /// # Errors
    /// As above.
    pub async fn reset_attestation_policy(&self) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("{PREFIX}/attestation-policy"), Vec::new()).await.map(drop)
    }

    /// The policies for releases: the default one, and those of single repositories.
    ///
    /// # Errors
    /// As above.
    pub async fn resource_policies(&self) -> Result<Vec<PolicyInfo>, ClientError> {
        parse(&self.send(Method::GET, &format!("{PREFIX}/resource-policy"), Vec::new()).await?)
    }

    /// Sets the policy (Rego text) for releases of one repository's secrets, or with `None` of all that have none of their own.
    ///
    /// # Errors
    /// As above.
    pub async fn set_resource_policy(&self, repository: Option<&str>, text: &str) -> Result<PolicyInfo, ClientError> {
        let body = serde_json::json!({ "policy": encode_base64url(text.as_bytes()), "repository": repository });
        parse(&self.send(Method::POST, &format!("{PREFIX}/resource-policy"), json(&body)?).await?)
    }

    /// Takes an administrator's policy for releases back.
    ///
    /// # Errors
    /// As above.
    pub async fn reset_resource_policy(&self, repository: Option<&str>) -> Result<(), ClientError> {
        let query = repository.map(|name| format!("?repository={}", escaped(name))).unwrap_or_default();
        self.send(Method::DELETE, &format!("{PREFIX}/resource-policy{query}"), Vec::new()).await.map(drop)
    }

    /// All reference values.
    ///
    /// # Errors
    /// As above.
    pub async fn reference_values(&self) -> Result<Vec<ReferenceInfo>, ClientError> {
        parse(&self.send(Method::GET, &format!("{PREFIX}/reference-value"), Vec::new()).await?)
    }

    /// Registers reference values under a name, in place of those that had it.
    ///
    /// # Errors
    /// As above.
    pub async fn set_reference_values(&self, name: &str, values: &ReferenceValues) -> Result<u64, ClientError> {
        let target = format!("{PREFIX}/reference-value/{}", path_segment(name)?);
        parse::<Version>(&self.send(Method::POST, &target, json(values)?).await?).map(|answer| answer.version)
    }

    /// Removes reference values that an administrator registered.
    ///
    /// # Errors
    /// When there are none of this name, or as above.
    pub async fn delete_reference_values(&self, name: &str) -> Result<(), ClientError> {
        let target = format!("{PREFIX}/reference-value/{}", path_segment(name)?);
        self.send(Method::DELETE, &target, Vec::new()).await.map(drop)
    }

    /// The last `limit` lines of the audit log, oldest first, as they stand in the file.
    ///
    /// # Errors
    /// As above.
    pub async fn audit(&self, limit: usize) -> Result<String, ClientError> {
        let answer = self.send(Method::GET, &format!("{OWN_PREFIX}/audit?limit={limit}"), Vec::new()).await?;
        String::from_utf8(answer.to_vec()).map_err(|error| ClientError::Answer(error.to_string()))
    }

    async fn send(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Result<Bytes, ClientError> {
        let body = body.into();
        let mut http = Http::new(self.endpoint.clone(), Arc::clone(&self.tls), TIMEOUT);
        let broker = tls::key_sha256(&http.server_certificate().await?)?;
        let signed = authorization(&self.key, &broker, method.as_str(), target, &body, self.clock.now())?;
        let mut signed = HeaderValue::from_str(&signed).map_err(|_| SignError)?;
        signed.set_sensitive(true);
        let reply = http.send(method, target, &[(header::AUTHORIZATION, signed)], body, MAX_ANSWER).await?;
        if reply.status.is_success() {
            return Ok(reply.body);
        }
        let information = ErrorInformation::from_json(&reply.body)
            .map_err(|error| ClientError::Answer(format!("status {}: {error}", reply.status)))?;
        let request_id = reply.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        Err(ClientError::Refused(Box::new(Failure { status: reply.status, information, request_id })))
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|error| ClientError::Answer(error.to_string()))
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(answer).map_err(|error| ClientError::Answer(error.to_string()))
}

/// Whether reference values may have this name.
///
/// # Errors
/// [`ClientError::Name`] when not.
pub fn check_reference_name(name: &str) -> Result<(), ClientError> {
    path_segment(name).map(drop)
}

/// A name that stands in a path as it is.
fn path_segment(name: &str) -> Result<&str, ClientError> {
    if is_name(name) { Ok(name) } else { Err(ClientError::Name { name: name.to_owned() }) }
}
