//! What administrators do. Every request here is signed with a key that the configuration names. Every change is in the audit log before it
//! is carried out, and everything that is read before it leaves.

use super::{
    body,
    layer::{Place, place},
    record::{self, request_id},
    refusal::Refusal,
};
use crate::{
    admin::{AdminError, Administrator, SecretInfo, is_signed_request},
    audit::{ChainError, Decided, Entry, Event},
    judge::Unchanged,
    policies::{PoliciesError, Which},
    references::{NAME, ReferenceError, is_name},
    secrets::Requires,
    service::Service,
    storage::VaultError,
};
use axum::{
    Json,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use sealwright_appraise::{Explanation, MAX_POLICY};
use sealwright_wire::{
    jws::decode_base64url,
    kbs::{PREFIX, ResourcePath},
    reference::{MAX_FILE, ReferenceValues},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How many secrets a page of the list has.
const PAGE: usize = 50;
/// The most lines of the audit log that are answered at once.
const MAX_LINES: usize = 1000;
/// The longest body of a request that has none.
const NO_BODY: usize = 1024;
/// A policy in base64, and the JSON around it.
const POLICY_BODY: usize = MAX_POLICY * 2;
/// Says which version of a secret was read.
const VERSION: HeaderName = HeaderName::from_static("x-secret-version");

/// An administrator's request, verified.
pub(super) struct Authorised {
    pub(super) administrator: Administrator,
    request: Option<String>,
    uri: Uri,
    _place: Place,
}

/// The bearer token, if it says that it is an administrator's signed request.
pub(super) fn signed_request(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).filter(|token| is_signed_request(token))
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Verifies that an administrator sent this request, which has no body.
pub(super) async fn authorised(service: &Arc<Service>, request: Request) -> Result<Authorised, Refusal> {
    authorised_with_body(service, request, NO_BODY).await.map(|(request, _)| request)
}

/// Verifies that an administrator sent this request. Nobody else's body is read.
async fn authorised_with_body(
    service: &Arc<Service>,
    request: Request,
    limit: usize,
) -> Result<(Authorised, Zeroizing<Vec<u8>>), Refusal> {
    let (head, content) = request.into_parts();
    match verified(service, &head, content, limit).await {
        Ok((administrator, content, place)) => {
            Ok((Authorised { administrator, request: request_id(&head), uri: head.uri, _place: place }, content))
        }
        Err(Denied::NotAdministrator(error)) => {
            tracing::warn!(%error, "not an administrator's request");
            let explanation = Explanation::refused(error.check(), None);
            record::refused(service, &head, Event::Administration, &explanation).await?;
            Err(Refusal::not_administrator(&error, explanation))
        }
        Err(Denied::Otherwise(refusal)) => Err(refusal),
    }
}

/// Why a request is not an administrator's, or not a request yet.
enum Denied {
    NotAdministrator(AdminError),
    Otherwise(Refusal),
}

impl From<AdminError> for Denied {
    fn from(error: AdminError) -> Self {
        Self::NotAdministrator(error)
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Otherwise(refusal)
    }
}

async fn verified(
    service: &Arc<Service>,
    head: &Parts,
    content: Body,
    limit: usize,
) -> Result<(Administrator, Zeroizing<Vec<u8>>, Place), Denied> {
    let token = bearer(&head.headers).ok_or(AdminError::Missing)?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let signed = service.administrators.verify(token, head.method.as_str(), target, service.clock.now())?;
    let content = body::read_secret(service, content, limit).await?;
    let place = place(service).await?;
    let (signed_at, now) = (signed.at(), service.clock.now());
    let administrator = signed.with_body(&content, now)?;
    if signed_at > now {
        let noted = service.blocking(move |service| service.horizon.note(signed_at)).await?;
        noted.map_err(Refusal::from)?;
    }
    Ok((administrator, content, place))
}

impl Authorised {
    fn query<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        Query::try_from_uri(&self.uri).map(|Query(query)| query).map_err(|error| Refusal::malformed(error.body_text()))
    }

    /// The rest of the path behind `PREFIX/route/`, exactly as it was sent.
    fn rest(&self, route: &str) -> &str {
        let path = self.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(route))
            .and_then(|path| path.strip_prefix('/'))
            .unwrap_or_default()
    }

    fn resource(&self) -> Result<ResourcePath, Refusal> {
        ResourcePath::parse(self.rest("resource")).map_err(Refusal::malformed)
    }

    fn reference_name(&self) -> Result<&str, Refusal> {
        let name = self.rest("reference-value");
        if is_name(name) { Ok(name) } else { Err(Refusal::malformed(format!("expected a name of {NAME}"))) }
    }

    pub(super) fn entry(&self, service: &Service, event: Event, resource: Option<String>) -> Entry {
        let mut entry = Entry::new(service.clock.now(), event, Decided::Yes);
        entry.request = self.request.clone();
        entry.resource = resource;
        entry.key = Some(self.administrator.thumbprint.clone());
        entry.administrator = Some(self.administrator.name.clone());
        entry
    }

    /// Records the decision, then carries it out. When that fails, a second line says so.
    async fn carry_out<T: Send + 'static, E: Into<Refusal> + std::fmt::Display + Send + 'static>(
        &self,
        service: &Arc<Service>,
        event: Event,
        resource: Option<String>,
        action: impl FnOnce(&Service) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Refusal> {
        service.audit.record(self.entry(service, event, resource.clone())).await?;
        match service.blocking(action).await? {
            Ok(done) => Ok(done),
            Err(error) => {
                let mut entry = self.entry(service, event, resource);
                entry.verdict = Decided::No;
                entry.headline = error.to_string();
                service.audit.record(entry).await?;
                Err(error.into())
            }
        }
    }
}

/// Records that an administrator is given what was read, or is not and why, so that it may be answered.
pub(super) async fn give<T>(service: &Service, mut entry: Entry, read: Result<T, Unread>) -> Result<T, Refusal> {
    if let Err(error) = &read {
        entry.verdict = Decided::No;
        entry.headline = error.to_string();
    }
    service.audit.record(entry).await?;
    read.map_err(Refusal::from)
}

/// Why an administrator is not given what they asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("there is no secret {0}")]
    NoSecret(ResourcePath),
    #[error("no administrator has registered reference values named {0}")]
    NoReference(String),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Log(#[from] ChainError),
}

impl From<Unread> for Refusal {
    fn from(error: Unread) -> Self {
        match error {
            Unread::NoSecret(_) | Unread::NoReference(_) => Self::not_found(error),
            Unread::Vault(error) => error.into(),
            Unread::Log(error) => Self::internal(&error),
        }
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(Refusal::malformed)
}

impl From<Unchanged> for Refusal {
    fn from(error: Unchanged) -> Self {
        match error {
            Unchanged::Policies(PoliciesError::Vault(error)) | Unchanged::References(ReferenceError::Vault(error)) => {
                error.into()
            }
            Unchanged::Policies(PoliciesError::File(error)) => Self::internal(&error),
            Unchanged::Policies(error) => Self::malformed(error),
            Unchanged::References(error @ ReferenceError::TooMany { .. }) => Self::malformed(error),
            Unchanged::References(error) => Self::internal(&error),
        }
    }
}

impl From<PoliciesError> for Refusal {
    fn from(error: PoliciesError) -> Self {
        Unchanged::from(error).into()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    /// JSON of [`Requires`] in base64url.
    requires: Option<String>,
    expect: Option<u64>,
}

/// `POST /resource/PATH?requires=...&expect=...`: puts a secret.
pub(super) async fn put_secret(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let (request, secret) = authorised_with_body(&service, request, service.limits.secret_bytes).await?;
    let path = request.resource()?;
    let PutQuery { requires, expect } = request.query()?;
    let requires = match requires {
        None => Requires::default(),
        Some(text) => {
            let json = decode_base64url("requires", &text, 1 << 20).map_err(Refusal::malformed)?;
            Requires::from_json(&json).map_err(Refusal::malformed)?
        }
    };
    let (put_at, stored_path) = (service.clock.now(), path.clone());
    let put = move |service: &Service| service.secrets.put(&stored_path, &secret, requires, put_at, expect);
    let version = request.carry_out(&service, Event::SecretPut, Some(path.to_string()), put).await?;
    Ok(Json(json!({ "path": path, "version": version })).into_response())
}

/// `GET /resource/PATH`, signed by an administrator: the secret's bytes.
pub(super) async fn get_secret(service: &Arc<Service>, request: Request) -> Result<Response, Refusal> {
    let request = authorised(service, request).await?;
    let path = request.resource()?;
    let mut entry = request.entry(service, Event::SecretGet, Some(path.to_string()));
    let read = service.blocking(move |service| match service.secrets.get(&path) {
        Ok(stored) => stored.ok_or(Unread::NoSecret(path)),
        Err(error) => Err(error.into()),
    });
    let read = read.await?;
    entry.version = read.as_ref().ok().map(|stored| stored.version);
    let stored = give(service, entry, read).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VERSION, HeaderValue::from(stored.version)),
    ];
    Ok((headers, Bytes::from_owner(stored.bytes)).into_response())
}

/// `DELETE /resource/PATH`.
pub(super) async fn delete_secret(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let request = authorised(&service, request).await?;
    let path = request.resource()?;
    let unwanted = path.clone();
    let delete = move |service: &Service| service.secrets.delete(&unwanted);
    let found = request.carry_out(&service, Event::SecretDelete, Some(path.to_string()), delete).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(Unread::NoSecret(path).into()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
}

/// `GET /resource?prefix=...&after=...`: a page of secrets without their bytes.
pub(super) async fn list_secrets(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Json<Vec<SecretInfo>>, Refusal> {
    let request = authorised(&service, request).await?;
    let ListQuery { prefix, after } = request.query()?;
    let page = service.blocking(move |service| service.secrets.list(&prefix, after.as_deref(), PAGE)).await?;
    let page = give(&service, request.entry(&service, Event::SecretList, None), page.map_err(Unread::from)).await?;
    let infos = page.into_iter().map(|(path, stored)| {
        let (version, bytes, requires) = (stored.version, stored.bytes.len(), stored.requires);
        let path = ResourcePath::parse(&path).map_err(|error| Refusal::internal(&error))?;
        Ok(SecretInfo { path, version, bytes, requires })
    });
    infos.collect::<Result<Vec<_>, Refusal>>().map(Json)
}

/// `POST /attestation-policy`, as the key protocol has it.
#[derive(Deserialize)]
struct AttestationPolicyBody {
    #[serde(default = "default_id")]
    policy_id: String,
    policy: String,
}

fn default_id() -> String {
    "default".to_owned()
}

/// `POST /resource-policy`, as the key protocol has it, with a repository beside.
#[derive(Deserialize)]
struct ResourcePolicyBody {
    policy: String,
    repository: Option<String>,
}

/// The text of a policy, base64url or standard base64, with padding or without: clients differ.
fn policy_text(encoded: &str) -> Result<String, Refusal> {
    let unpadded: String = encoded
        .trim_end_matches('=')
        .chars()
        .map(|character| match character {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let text = decode_base64url("policy", &unpadded, MAX_POLICY).map_err(Refusal::malformed)?;
    String::from_utf8(text).map_err(|_| Refusal::malformed("policy: expected UTF-8 text in base64"))
}

/// `GET /attestation-policy`.
pub(super) async fn attestation_policy(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let request = authorised(&service, request).await?;
    let entry = request.entry(&service, Event::PolicyGet, Some("attestation".to_owned()));
    let policy = give(&service, entry, Ok(service.policies.info(Which::Attestation))).await?;
    Ok(Json(policy).into_response())
}

/// `POST /attestation-policy`.
pub(super) async fn set_attestation_policy(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (request, body) = authorised_with_body(&service, request, POLICY_BODY).await?;
    let body: AttestationPolicyBody = json(&body)?;
    if body.policy_id != "default" {
        return Err(Refusal::malformed("this broker judges evidence by one policy, whose policy_id is `default`"));
    }
    let text = policy_text(&body.policy)?;
    let set = move |service: &Service| service.judge.set_policy(&text);
    let info = request.carry_out(&service, Event::PolicySet, Some("attestation".to_owned()), set).await?;
    Ok(Json(info).into_response())
}

/// `DELETE /attestation-policy`.
pub(super) async fn reset_attestation_policy(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let request = authorised(&service, request).await?;
    let reset = |service: &Service| service.judge.reset_policy();
    let found = request.carry_out(&service, Event::PolicySet, Some("attestation".to_owned()), reset).await?;
    reset_status(found)
}

/// `GET /resource-policy`.
pub(super) async fn resource_policies(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let request = authorised(&service, request).await?;
    let entry = request.entry(&service, Event::PolicyGet, Some(release_name(None)?));
    let policies = give(&service, entry, Ok(service.policies.releases())).await?;
    Ok(Json(policies).into_response())
}

/// `POST /resource-policy`.
pub(super) async fn set_resource_policy(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (request, body) = authorised_with_body(&service, request, POLICY_BODY).await?;
    let ResourcePolicyBody { policy, repository } = json(&body)?;
    let (text, name) = (policy_text(&policy)?, release_name(repository.as_deref())?);
    let set = move |service: &Service| service.policies.set_release(repository.as_deref(), &text);
    let info = request.carry_out(&service, Event::PolicySet, Some(name), set).await?;
    Ok(Json(info).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryQuery {
    repository: Option<String>,
}

/// `DELETE /resource-policy?repository=...`.
pub(super) async fn reset_resource_policy(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let request = authorised(&service, request).await?;
    let RepositoryQuery { repository } = request.query()?;
    let name = release_name(repository.as_deref())?;
    let reset = move |service: &Service| service.policies.reset(Which::Release(repository.as_deref()));
    let found = request.carry_out(&service, Event::PolicySet, Some(name), reset).await?;
    reset_status(found)
}

/// The policy's name in the audit log. A repository that no secret can be in has no policy either.
fn release_name(repository: Option<&str>) -> Result<String, Refusal> {
    let Some(repository) = repository else { return Ok("release".to_owned()) };
    ResourcePath::parse(&format!("{repository}/any/any")).map_err(Refusal::malformed)?;
    Ok(format!("release/{repository}"))
}

fn reset_status(found: bool) -> Result<StatusCode, Refusal> {
    if found {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::not_found("no administrator has set this policy"))
}

/// `GET /reference-value`.
pub(super) async fn list_references(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let request = authorised(&service, request).await?;
    let entry = request.entry(&service, Event::ReferenceList, None);
    let current = give(&service, entry, Ok(service.references.current())).await?;
    Ok(Json(&current.sets).into_response())
}

/// `GET /reference-value/NAME`.
pub(super) async fn get_reference(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let request = authorised(&service, request).await?;
    let name = request.reference_name()?;
    let current = service.references.current();
    let set = current.sets.iter().find(|set| set.name == name);
    let entry = request.entry(&service, Event::ReferenceGet, Some(name.to_owned()));
    let set = give(&service, entry, set.ok_or_else(|| Unread::NoReference(name.to_owned()))).await?;
    Ok(Json(set).into_response())
}

/// `POST /reference-value/NAME`.
pub(super) async fn set_reference(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let (request, body) = authorised_with_body(&service, request, MAX_FILE).await?;
    let name = request.reference_name()?.to_owned();
    let values = ReferenceValues::from_json(&body).map_err(Refusal::malformed)?;
    let key = name.clone();
    let set = move |service: &Service| service.judge.set_references(&key, &values);
    let version = request.carry_out(&service, Event::ReferenceSet, Some(name.clone()), set).await?;
    Ok(Json(json!({ "name": name, "version": version })).into_response())
}

/// `DELETE /reference-value/NAME`.
pub(super) async fn delete_reference(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let request = authorised(&service, request).await?;
    let name = request.reference_name()?.to_owned();
    let key = name.clone();
    let delete = move |service: &Service| service.judge.delete_references(&key);
    let found = request.carry_out(&service, Event::ReferenceDelete, Some(name.clone()), delete).await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(Unread::NoReference(name).into()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    limit: Option<usize>,
}

/// `GET /sealwright/v0/audit?limit=...`: the last lines of the log.
pub(super) async fn audit(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let request = authorised(&service, request).await?;
    let AuditQuery { limit } = request.query()?;
    let limit = limit.unwrap_or(100).min(MAX_LINES);
    let lines = service.blocking(move |service| service.audit.last(limit)).await?;
    let lines = give(&service, request.entry(&service, Event::AuditGet, None), lines.map_err(Unread::from)).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"))], lines).into_response())
}
