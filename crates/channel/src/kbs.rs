//! The client of the key protocol: attests to a broker and gets keys, encrypted to a key that the evidence binds.
//!
//! The sequence is the real client's: the resource is asked for first, 401 means "attest first", then challenge, evidence,
//! and the resource again. Each session has a key of its own.

use crate::{
    BoxFuture, KeyError, KeySource, Secret,
    http::{self, Client as Http, Endpoint, Reply},
    jwe::{self, TeeKey},
    tls::{self, Trust},
};
use ::http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_TYPE, COOKIE, HeaderName, SET_COOKIE},
};
use rustls::ClientConfig;
use sealwright_appraise::Explanation;
use sealwright_evidence::{Backend, Collected};
use sealwright_verify::hash;
use sealwright_wire::{
    Digest,
    jws::Compact,
    kbs::{
        Attestation, Challenge, ErrorInformation, Message, PREFIX, PrimaryEvidence, REQUEST_ID, Request, ResourcePath,
        Response, RuntimeData, SESSION_COOKIE, TeeEvidence, Token, report_data, report_data_preimage,
    },
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// How long the client waits for an answer unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest session id that a broker may set, in bytes.
const MAX_COOKIE: usize = 512;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker was not reached, or gave no whole answer. Trying again may help.
    #[error("the broker does not answer: {0}")]
    Http(#[from] http::Error),
    /// The broker's certificate cannot be trusted as configured.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The broker said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The broker's answer is not of this protocol.
    #[error("the broker's answer to {route}: {source}")]
    Answer {
        /// Which request was answered.
        route: &'static str,
        /// What is wrong with the answer.
        source: sealwright_wire::Error,
    },
    /// The environment gave no evidence.
    #[error("no evidence: {0}")]
    Evidence(#[from] sealwright_evidence::Error),
    /// The session's key could not be made, or the resource is for another one.
    #[error(transparent)]
    Jwe(#[from] jwe::Error),
    /// Collecting evidence was interrupted.
    #[error("collecting evidence was interrupted")]
    Interrupted,
}

impl Error {
    /// What the broker said, when it was the broker who said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// The longest name of a request that is repeated, in bytes.
const MAX_REQUEST_ID: usize = 64;

/// A broker's no.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the broker refuses {route} ({status}): {detail}")]
pub struct Refusal {
    /// Which request: `auth`, `attest` or `resource`.
    pub route: &'static str,
    /// The status.
    pub status: StatusCode,
    /// The protocol's word for the kind of failure.
    pub error_type: String,
    /// The broker's sentence about it.
    pub detail: String,
    /// The broker's explanation as JSON, when it is one of ours.
    pub explanation: Option<serde_json::Value>,
    /// The request's name in the broker's audit log, when it is one of ours.
    pub request_id: Option<String>,
}

impl Refusal {
    /// The broker's reasons, when it is one of ours.
    pub fn reasons(&self) -> Option<Explanation> {
        Explanation::deserialize(self.explanation.as_ref()?).ok()
    }
}

/// Where a broker is and how it is known.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://host[:port][/prefix]`.
    pub url: String,
    /// How its certificate is recognised.
    pub trust: Trust,
    /// How long to wait for each answer.
    pub timeout: Duration,
}

/// What attesting gave.
struct Session {
    cookie: Option<Zeroizing<String>>,
    token: Zeroizing<String>,
    key: TeeKey,
}

/// A client of one broker, for the environment it runs in.
pub struct Client {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    backend: Arc<dyn Backend>,
    session: Mutex<Option<Session>>,
}

impl Client {
    /// A client that has not attested yet.
    ///
    /// # Errors
    /// When the URL or the certificates are unusable.
    pub fn new(config: &Config, backend: Arc<dyn Backend>) -> Result<Self, Error> {
        Ok(Self {
            endpoint: Endpoint::parse(&config.url)?,
            tls: config.trust.client_config()?,
            timeout: config.timeout,
            backend,
            session: Mutex::new(None),
        })
    }

    /// Attests anew and returns the broker's token, an EAR as compact JWT. Later calls use the new session.
    ///
    /// # Errors
    /// When there is no evidence, no broker, or the broker says no.
    pub async fn attest(&self) -> Result<Zeroizing<String>, Error> {
        let mut session = self.session.lock().await;
        let mut http = self.http();
        let attested = self.handshake(&mut http, None).await?;
        let token = attested.token.clone();
        *session = Some(attested);
        Ok(token)
    }

    /// The token of the current session, if there is one.
    pub async fn token(&self) -> Option<Zeroizing<String>> {
        self.session.lock().await.as_ref().map(|session| session.token.clone())
    }

    /// The resource with this path; attests first when the broker asks for it.
    ///
    /// # Errors
    /// When there is no evidence, no broker, the broker says no, or the resource does not decrypt.
    pub async fn get(&self, path: &ResourcePath) -> Result<Secret, Error> {
        let mut session = self.session.lock().await;
        let mut http = self.http();
        let first = self.ask(&mut http, path, session.as_ref()).await?;
        let (reply, current) = if first.status == StatusCode::UNAUTHORIZED {
            let cookie = session_cookie(&first.headers);
            let attested = session.insert(self.handshake(&mut http, cookie).await?);
            (self.ask(&mut http, path, Some(attested)).await?, Some(&*attested))
        } else {
            (first, session.as_ref())
        };
        match current {
            Some(current) if reply.status == StatusCode::OK => {
                let response = Response::from_json(&reply.body).map_err(answer("resource"))?;
                Ok(jwe::decrypt(&response, &current.key)?)
            }
            _ => Err(refused("resource", &reply)),
        }
    }

    fn http(&self) -> Http {
        Http::new(self.endpoint.clone(), Arc::clone(&self.tls), self.timeout)
    }

    async fn ask(&self, http: &mut Http, path: &ResourcePath, session: Option<&Session>) -> Result<Reply, Error> {
        let cookie = session.and_then(|session| session.cookie.as_ref());
        let target = format!("{PREFIX}/resource/{path}");
        Ok(http.send(Method::GET, &target, &cookie_header(cookie), Vec::new(), Response::LIMIT).await?)
    }

    /// Challenge and evidence: a session whose key the evidence binds.
    async fn handshake(&self, http: &mut Http, cookie: Option<Zeroizing<String>>) -> Result<Session, Error> {
        let tee = self.backend.tee();
        let request = Request::new(tee).to_json().map_err(answer("auth"))?;
        let reply = post(http, "auth", "/auth", cookie.as_ref(), request, Challenge::LIMIT).await?;
        let cookie = session_cookie(&reply.headers).or(cookie);
        let challenge = Challenge::from_json(&reply.body).map_err(answer("auth"))?;
        challenge.require_sha384().map_err(answer("auth"))?;

        let key = TeeKey::generate()?;
        let runtime_data = RuntimeData { nonce: challenge.nonce, tee_pubkey: key.public().clone() };
        let collected = self.collect(&runtime_data).await?;
        let primary = PrimaryEvidence { quote: collected.quote, event_log: collected.event_log };
        let primary_evidence = primary.into_json(tee).map_err(answer("attest"))?;
        let tee_evidence = TeeEvidence { primary_evidence, additional_evidence: String::new() };
        let attestation = Attestation { init_data: None, runtime_data, tee_evidence };
        let body = attestation.to_json().map_err(answer("attest"))?;
        let reply = post(http, "attest", "/attest", cookie.as_ref(), body, Token::LIMIT).await?;
        let token = Token::from_json(&reply.body).map_err(answer("attest"))?;
        let cookie = session_cookie(&reply.headers).or(cookie);
        Ok(Session { cookie, token: Zeroizing::new(token.token), key })
    }

    /// Evidence over the session's key and nonce. Back ends block, so a thread of its own waits for it.
    async fn collect(&self, runtime_data: &RuntimeData) -> Result<Collected, Error> {
        let preimage = report_data_preimage(runtime_data, "").map_err(answer("auth"))?;
        let data = report_data(&hash::sha384(&[&preimage]));
        let backend = Arc::clone(&self.backend);
        let collected = tokio::task::spawn_blocking(move || backend.evidence(&data)).await;
        Ok(collected.map_err(|_| Error::Interrupted)??)
    }
}

impl KeySource for Client {
    fn get<'a>(&'a self, key: &'a ResourcePath) -> BoxFuture<'a, Result<Secret, KeyError>> {
        Box::pin(
            async move { self.get(key).await.map_err(|error| KeyError { key: key.clone(), source: Box::new(error) }) },
        )
    }
}

async fn post(
    http: &mut Http,
    route: &'static str,
    path: &str,
    cookie: Option<&Zeroizing<String>>,
    body: Vec<u8>,
    limit: usize,
) -> Result<Reply, Error> {
    let mut headers = cookie_header(cookie);
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    // A refusal may be longer than the message that was hoped for.
    let limit = limit.max(ErrorInformation::LIMIT);
    let reply = http.send(Method::POST, &format!("{PREFIX}{path}"), &headers, body, limit).await?;
    if reply.status == StatusCode::OK { Ok(reply) } else { Err(refused(route, &reply)) }
}

fn answer(route: &'static str) -> impl Fn(sealwright_wire::Error) -> Error {
    move |source| Error::Answer { route, source }
}

/// What an answer that is no success says, as far as it can be read.
fn refused(route: &'static str, reply: &Reply) -> Error {
    let said = ErrorInformation::from_json(&reply.body).unwrap_or_else(|_| ErrorInformation {
        error_type: "unknown".to_owned(),
        detail: "the answer says no reason in the protocol's form".to_owned(),
        explanation: None,
    });
    let request_id = reply.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    Error::Refused(Box::new(Refusal {
        request_id: request_id.filter(|id| id.len() <= MAX_REQUEST_ID).map(str::to_owned),
        route,
        status: reply.status,
        error_type: said.error_type,
        detail: said.detail,
        explanation: said.explanation,
    }))
}

/// The session that an answer sets, if it sets one.
fn session_cookie(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let value = headers.get_all(SET_COOKIE).iter().find_map(|value| {
        let (name, value) = value.to_str().ok()?.split(';').next()?.split_once('=')?;
        (name.trim() == SESSION_COOKIE).then(|| value.trim())
    })?;
    (!value.is_empty() && value.len() <= MAX_COOKIE).then(|| Zeroizing::new(value.to_owned()))
}

fn cookie_header(cookie: Option<&Zeroizing<String>>) -> Vec<(HeaderName, HeaderValue)> {
    let value = cookie.and_then(|id| HeaderValue::from_str(&format!("{SESSION_COOKIE}={}", id.as_str())).ok());
    value
        .map(|mut value| {
            value.set_sensitive(true);
            (COOKIE, value)
        })
        .into_iter()
        .collect()
}

/// The policy under which a broker affirmed this environment, from the broker's token (an EAR); `None` if it names none. The
/// token came over the broker's TLS and is not verified again here.
pub fn policy_of_token(token: &str) -> Option<Digest<48>> {
    let claims = Compact::parse(token).ok()?.claims().ok()?;
    let appraisal = claims.get("submods")?.as_object()?.values().next()?;
    appraisal.get("ear.sealwright.policy-sha384")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_that_of_the_tokens_appraisal() {
        let policy = Digest([7; 48]);
        let token = |claims: serde_json::Value| {
            let part = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
            format!("{}.{}.{}", part(br#"{"alg":"ES256"}"#), part(claims.to_string().as_bytes()), part(&[0; 64]))
        };
        let named = |name: &str| serde_json::json!({ "submods": { "cpu0": { name: policy.to_string() } } });
        assert_eq!(policy_of_token(&token(named("ear.sealwright.policy-sha384"))), Some(policy));
        assert_eq!(policy_of_token(&token(named("another"))), None);
        assert_eq!(policy_of_token(&token(serde_json::json!({}))), None);
        assert_eq!(policy_of_token("no token"), None);
    }

    #[test]
    fn cookies() {
        let id = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SET_COOKIE, HeaderValue::from_str(value).unwrap());
            }
            session_cookie(&headers).map(|id| id.to_string())
        };
        assert_eq!(id(&["kbs-session-id=abc; Path=/kbs; HttpOnly"]).as_deref(), Some("abc"));
        assert_eq!(id(&["other=1", "kbs-session-id=abc"]).as_deref(), Some("abc"));
        assert_eq!(id(&["kbs-session-id="]), None);
        assert_eq!(id(&["kbs-session-idx=abc"]), None);
        assert_eq!(id(&[]), None);
        assert_eq!(id(&[&format!("kbs-session-id={}", "a".repeat(600))]), None);
    }
}
