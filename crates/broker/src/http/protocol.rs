//! The key protocol: challenge, evidence, secret.

use super::{
    administration,
    body::{self, Content},
    cookie,
    layer::{peer, place},
    record::{self, request_id},
    refusal::Refusal,
};
use crate::{
    audit::{Decided as Verdicted, Entry, Event, PolicyName},
    grant::{Decided, ReleaseError},
    judge::{Judged, Ready},
    service::Service,
    session::Challenge as Open,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use sealwright_appraise::{Check, Explanation, MAX_CLAIMS, Outcome, Policy, TokenError, Verdict, VerifiedToken};
use sealwright_verify::hash;
use sealwright_wire::{
    Error as WireError, Tee,
    jws::encode_base64url,
    kbs::{self, Attestation, Message, PREFIX, ResourcePath, TeePubKey},
    time::UnixTime,
};
use serde_json::Value;
use std::{sync::Arc, time::Instant};

/// The longest request for a challenge.
const MAX_AUTH: usize = 16 << 10;
/// What an attested session weighs beside its token.
const SESSION_OVERHEAD: usize = 256;

/// `POST /auth`: a challenge.
pub(super) async fn auth(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let (head, content) = request.into_parts();
    if let Err(wait) = service.auth_rate.take(peer(&head.extensions), Instant::now()) {
        service.metrics.turned_away("challenges");
        return Err(Refusal::too_often(wait.as_secs().saturating_add(1)));
    }
    let content = body::read(&service, &head, content, MAX_AUTH).await?;
    let _place = place(&service).await?;
    let message = kbs::Request::from_json(&content).map_err(Refusal::malformed)?;
    if !message.version_is_supported() {
        return Err(Refusal::version(&message.version));
    }
    let Ok(tee) = message.tee() else {
        let explanation = Explanation::refused(unsupported(&message.tee), None);
        record::refused(&service, &head, Event::Challenge, &explanation).await?;
        return Err(Refusal::denied(explanation));
    };
    let opened = service.sessions.challenge(tee, service.clock.now());
    let (id, challenge) = opened.ok_or_else(|| Refusal::unavailable("the system has no random bytes"))?;
    let answer = kbs::Challenge::new(&challenge.nonce).to_json().map_err(|error| Refusal::internal(&error))?;
    Ok(json_with_cookie(answer, cookie::set(id, service.lifetime)))
}

fn unsupported(tee: &str) -> Check {
    Check::new(Outcome::Failed, "tee-unsupported", "tee")
        .expected("tdx or sgx")
        .actual(tee)
        .source("what this broker verifies")
        .remedy("run the workload in an environment whose evidence this broker verifies; one without hardware has none")
}

/// `POST /attest`: evidence for a token.
pub(super) async fn attest(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let (head, content) = request.into_parts();
    challenged(&service, &head)?;
    let content = body::read(&service, &head, content, service.limits.attestation_bytes).await?;
    let _place = place(&service).await?;
    let at = service.clock.now();
    let open = cookie::sessions(&head.headers).find_map(|id| service.sessions.take_challenge(id, at));
    let open = open.ok_or_else(no_challenge)?;
    let tee = open.tee;
    let case = Case { open, at, ready: service.judge.ready(), content };
    // The challenge is used up: from here on nothing is answered before it is on record.
    let outcome = if case.ready.may_wait(case.content.len()) {
        let decided = service.blocking(move |service| case.decide(service)).await;
        decided.unwrap_or_else(|refusal| Outcomes::undecided(entry(tee, at), refusal))
    } else {
        case.decide(&service)
    };
    service.metrics.decided("attest", outcome.decision.is_ok());
    let mut entry = outcome.entry;
    entry.request = request_id(&head);
    service.audit.record(entry).await?;
    let token = outcome.decision?;
    let weight = token.len() + SESSION_OVERHEAD;
    let id = service.sessions.attested(token.as_str().into(), weight, at);
    let id = id.ok_or_else(|| Refusal::unavailable("there is no room for this session"))?;
    // A compact JWT has no character that JSON would escape.
    let answer = [r#"{"token":""#, &token, r#""}"#].concat();
    Ok(json_with_cookie(answer.into_bytes(), cookie::set(id, service.lifetime)))
}

/// Whether there is a challenge to answer. Nobody else's body is read; the challenge stays open until one has come.
fn challenged(service: &Service, head: &Parts) -> Result<(), Refusal> {
    let mut named = cookie::sessions(&head.headers).peekable();
    if named.peek().is_none() {
        return Err(Refusal::attest_first("no session: begin with a request to /auth, and send its cookie back"));
    }
    let at = service.clock.now();
    if named.any(|id| service.sessions.is_challenged(id, at)) { Ok(()) } else { Err(no_challenge()) }
}

fn no_challenge() -> Refusal {
    Refusal::attest_first(
        "this session has no open challenge: it expired, or was answered before. Begin again with /auth",
    )
}

/// An answer to a challenge that is to be decided about.
struct Case {
    open: Open,
    at: UnixTime,
    ready: Arc<Ready>,
    content: Content,
}

/// A line of the audit log about evidence of which nothing is known yet.
fn entry(tee: Tee, at: UnixTime) -> Entry {
    let mut entry = Entry::new(at, Event::Attest, Verdicted::No);
    entry.tee = Some(tee.name());
    entry
}

/// A decision about evidence, and its line in the audit log.
struct Outcomes {
    decision: Result<String, Refusal>,
    entry: Entry,
}

impl Outcomes {
    fn refused(entry: Entry, explanation: Explanation) -> Self {
        Self { entry: entry.explained(&explanation), decision: Err(Refusal::denied(explanation)) }
    }

    /// No evidence at all. It has used the challenge up, so it is on record like any other answer to it.
    fn malformed(entry: Entry, error: &WireError) -> Self {
        let check = Check::new(Outcome::Failed, "malformed", "message").expected("a message of the key protocol");
        let explanation = Explanation::refused(check.actual(error), None);
        Self { entry: entry.explained(&explanation), decision: Err(Refusal::malformed(error)) }
    }

    /// Affirmed, but no token can hold what it would have to say: no token, then, rather than one that leaves something out.
    fn too_long(entry: Entry, verdict: &Verdict, found: usize) -> Self {
        let mut checks = verdict.explanation().checks.clone();
        checks.push(token_too_long(verdict, found));
        Self::refused(entry, Explanation::new(checks, "", Some(verdict.anchor())))
    }

    /// The broker failed. The log of requests says how, under the name that the line has.
    fn undecided(mut entry: Entry, refusal: Refusal) -> Self {
        entry.verdict = Verdicted::No;
        entry.headline = "nothing was decided: the broker failed, see its log".to_owned();
        Self { entry, decision: Err(refusal) }
    }
}

fn token_too_long(verdict: &Verdict, found: usize) -> Check {
    let facts = serde_json::from_str::<Value>(verdict.facts_json()).unwrap_or_default();
    let events = facts.pointer("/log/runtime").and_then(Value::as_array).map_or(0, Vec::len);
    Check::new(Outcome::Failed, "token-too-long", "token")
        .expected(format_args!("at most {MAX_CLAIMS} bytes of claims"))
        .actual(format_args!("{found} bytes, with {events} runtime events"))
        .source("the token, which has every runtime event")
        .remedy("start the machine again: its runtime events are too many or too long, and a register forgets none until then")
}

impl Case {
    /// Judges the evidence, and makes a token if it is affirmed.
    fn decide(&self, service: &Service) -> Outcomes {
        let mut entry = entry(self.open.tee, self.at);
        let message = match Attestation::from_json(&self.content) {
            Ok(message) => message,
            Err(error) => return Outcomes::malformed(entry, &error),
        };
        entry.key = thumbprint(&message.runtime_data.tee_pubkey);
        entry.references_sha384 = Some(self.ready.references_sha384);
        let verdict = match self.ready.judge(&self.open, &message, self.at) {
            Judged::Malformed(error) => return Outcomes::malformed(entry, &error),
            Judged::Refused(explanation) => return Outcomes::refused(entry, *explanation),
            Judged::Appraised(verdict) => verdict,
        };
        entry.evidence_sha384 = Some(verdict.evidence_sha384());
        entry.policy = Some(policy_name(verdict.policy()));
        if !verdict.is_affirming() {
            return Outcomes::refused(entry, verdict.explanation().clone());
        }
        let mut entry = entry.explained(verdict.explanation());
        // Without runtime data there is no token, and an error that says so.
        let runtime_data = serde_json::to_value(&message.runtime_data).unwrap_or_default();
        match verdict.token(&service.issuer, self.at, &runtime_data) {
            Ok(token) => {
                entry.verdict = Verdicted::Yes;
                Outcomes { decision: Ok(token.into_string()), entry }
            }
            Err(TokenError::TooLong { found }) => Outcomes::too_long(entry, &verdict, found),
            Err(error) => Outcomes::undecided(entry, Refusal::internal(&error)),
        }
    }
}

/// `GET /resource/PATH`: a secret, sealed to the key of the token; or, signed by an administrator, its bytes.
pub(super) async fn resource(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    if administration::signed_request(request.headers()).is_some() {
        return administration::get_secret(&service, request).await;
    }
    let _place = place(&service).await?;
    let (head, _) = request.into_parts();
    let path = head.uri.path().strip_prefix(PREFIX).and_then(|path| path.strip_prefix("/resource/"));
    // Nothing is unescaped: a name with an escape in it is no name.
    let path = ResourcePath::parse(path.unwrap_or_default()).map_err(Refusal::malformed)?;
    let at = service.clock.now();
    let token = token(&service, &head, at)?;
    let decided = service.blocking(move |service| (release(service, &token, &path), token, path)).await?;
    let (decided, token, path) = decided;
    let (decided, sealed) = decided?;
    service.metrics.decided("release", sealed.is_some());
    let verdict = if sealed.is_some() { Verdicted::Yes } else { Verdicted::No };
    let mut entry = Entry::new(at, Event::Release, verdict).explained(&decided.reasons);
    entry.request = request_id(&head);
    entry.resource = Some(path.to_string());
    entry.version = sealed.as_ref().map(|sealed| sealed.version);
    entry.policy = Some(policy_name(&decided.policy));
    entry.evidence_sha384 = evidence_sha384(&token);
    entry.key = token.tee_pubkey().and_then(|key| thumbprint(&serde_json::from_value(key.clone()).ok()?));
    service.audit.record(entry).await?;
    let sealed = sealed.ok_or_else(|| Refusal::denied(decided.answer))?;
    Ok(json(sealed.answer))
}

/// A version of a secret, and the answer that has it for its recipient alone.
struct Sealed {
    version: u64,
    answer: Vec<u8>,
}

/// Decides about a release. What comes with a yes is ready to leave: nothing fails between the record of a release and the release.
fn release(
    service: &Service,
    token: &VerifiedToken,
    path: &ResourcePath,
) -> Result<(Decided, Option<Sealed>), Refusal> {
    let mut decided = service.release.decide(token, path).map_err(undecided)?;
    let Some(grant) = decided.grant.take() else { return Ok((decided, None)) };
    let version = grant.version();
    let sealed = grant.seal().map_err(|error| Refusal::internal(&error))?;
    let answer = sealed.to_json().map_err(|error| Refusal::internal(&error))?;
    Ok((decided, Some(Sealed { version, answer })))
}

fn undecided(error: ReleaseError) -> Refusal {
    match error {
        ReleaseError::Vault(error) => error.into(),
        error @ ReleaseError::NoPolicy => Refusal::internal(&error),
        error @ ReleaseError::Recipient(_) => Refusal::attest_first(&format!("attest again: {error}")),
    }
}

/// The token of whoever asks: the one they show, or the one of their session. Both are verified.
fn token(service: &Service, head: &Parts, at: UnixTime) -> Result<VerifiedToken, Refusal> {
    let verified = |token: &str| {
        let refused = |error| Refusal::attest_first(&format!("attest first: {error}"));
        service.token_verifier.verify(token, at).map_err(refused)
    };
    if let Some(token) = administration::bearer(&head.headers) {
        return verified(token);
    }
    let held = cookie::sessions(&head.headers).find_map(|id| service.sessions.get(id, at));
    let held = held.ok_or_else(|| {
        Refusal::attest_first("attest first: this request has neither the cookie of an attested session nor a token")
    })?;
    verified(&held)
}

fn policy_name(policy: &Policy) -> PolicyName {
    PolicyName { id: policy.id().to_owned(), sha384: policy.sha384() }
}

fn evidence_sha384(token: &VerifiedToken) -> Option<sealwright_wire::Digest<48>> {
    token.evidence()?.get("evidence_sha384")?.as_str()?.parse().ok()
}

/// The name of a workload's key (RFC 7638).
fn thumbprint(key: &TeePubKey) -> Option<String> {
    let json = key.thumbprint_preimage().ok()?;
    Some(encode_base64url(&hash::sha256(&[&json]).0))
}

fn json(body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from(body)).into_response()
}

fn json_with_cookie(body: Vec<u8>, cookie: HeaderValue) -> Response {
    let mut response = json(body);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fails here, by every kind of error, is a task that panicked or a signature that could not be made.
    #[tokio::test]
    async fn a_failure_of_the_broker_has_a_line_that_says_no() {
        let error = tokio::task::spawn_blocking(|| panic!("a bug")).await.unwrap_err();
        let affirmed = Entry::new(UnixTime(1), Event::Attest, Verdicted::Yes);
        let Outcomes { decision, entry } = Outcomes::undecided(affirmed, Refusal::internal(&error));
        assert!(decision.is_err() && entry.verdict == Verdicted::No);
        assert!(entry.headline.contains("the broker failed"), "{}", entry.headline);
    }
}
