//! The key protocol's client against a scripted broker whose messages come from the crate `kbs-types`.

use aws_lc_rs::digest::{SHA384, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use kbs_types as peer;
use sealwright_channel::{
    KeySource,
    jwe::{self, RecipientKey},
    kbs::{Client, Config, Error},
    tls::Trust,
};
use sealwright_evidence::{Backend, Measurement};
use sealwright_wire::{
    Tee,
    aael::RuntimeEvent,
    kbs::{Message, ResourcePath, TeePubKey},
};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};

/// An environment whose quote is the report data and nothing else, so that the scripted broker can see what is bound.
struct Bare;

impl Backend for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn tee(&self) -> Tee {
        Tee::Tdx
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        Ok(report_data.to_vec())
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        Ok(Some(b"log".to_vec()))
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        Ok(Vec::new())
    }

    fn extend(&self, _: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        Ok(())
    }
}

/// How the broker misbehaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    Honest,
    DeniesResource,
    DeniesEvidence,
    ForgetsSessions,
    EncryptsToAnotherKey,
    AnswersGarbage,
    AnswersEndlessly,
    NeverAnswers,
    ChoosesAnotherHash,
}

struct Broker {
    script: Script,
    sequence: Mutex<Vec<String>>,
    key: Mutex<Option<peer::TeePubKey>>,
    rotations: AtomicUsize,
}

const NONCE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECRET: &[u8] = b"the key of a model";

fn json_answer(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(serde_json::to_vec(value).unwrap()));
    Response::builder().status(status).body(body).unwrap()
}

fn error(status: StatusCode, error_type: &str) -> Response<Full<Bytes>> {
    let explanation = json!({ "verdict": "no", "headline": "NO: debug bit set", "simulated": false, "checks": [] });
    let mut answer =
        json_answer(status, &json!({ "type": error_type, "detail": "a detail", "explanation": explanation }));
    answer.headers_mut().insert("x-request-id", "0123456789abcdef".parse().unwrap());
    answer
}

fn with_cookie(mut response: Response<Full<Bytes>>, id: &str) -> Response<Full<Bytes>> {
    let cookie = format!("kbs-session-id={id}; Path=/; HttpOnly; Secure");
    response.headers_mut().insert(http::header::SET_COOKIE, cookie.parse().unwrap());
    response
}

impl Broker {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.sequence.lock().unwrap().push(format!("{} {}", head.method, head.uri.path()));
        if self.script == Script::NeverAnswers {
            std::future::pending::<()>().await;
        }
        Ok(match head.uri.path() {
            "/kbs/v0/auth" => self.auth(&body),
            "/kbs/v0/attest" => self.attest(&head.headers, &body),
            "/kbs/v0/resource/default/model-key/wine" => self.resource(&head.headers),
            _ => error(StatusCode::NOT_FOUND, "not-found"),
        })
    }

    fn auth(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let request: peer::Request = serde_json::from_slice(body).unwrap();
        assert_eq!((request.version.as_str(), request.tee), ("0.4.0", peer::Tee::Tdx));
        let extra_params = match self.script {
            Script::ChoosesAnotherHash => json!({ "selected-hash-algorithm": "sha256" }),
            _ => json!(""),
        };
        let challenge = peer::Challenge { nonce: NONCE.to_owned(), extra_params };
        with_cookie(json_answer(StatusCode::OK, &challenge), "fresh")
    }

    fn attest(&self, headers: &HeaderMap, body: &[u8]) -> Response<Full<Bytes>> {
        assert_eq!(headers[http::header::COOKIE], "kbs-session-id=fresh");
        let attestation: peer::Attestation = serde_json::from_slice(body).unwrap();
        let runtime_data = &attestation.runtime_data;
        assert_eq!(runtime_data.nonce, NONCE);
        let bound = serde_json_canonicalizer::to_vec(&json!({
            "tee-pubkey": runtime_data.tee_pubkey,
            "nonce": runtime_data.nonce,
            "additional-evidence": attestation.tee_evidence.additional_evidence,
        }));
        let quote = attestation.tee_evidence.primary_evidence["quote"].as_str().unwrap();
        let expected = [digest(&SHA384, &bound.unwrap()).as_ref(), &[0; 16]].concat();
        assert_eq!(STANDARD.decode(quote).unwrap(), expected, "the evidence binds key and nonce");
        assert_eq!(attestation.tee_evidence.primary_evidence["cc_eventlog"], STANDARD.encode(b"log"));
        if self.script == Script::DeniesEvidence {
            return error(StatusCode::FORBIDDEN, "AttestationError");
        }
        *self.key.lock().unwrap() = Some(runtime_data.tee_pubkey.clone());
        let rotation = self.rotations.fetch_add(1, Ordering::SeqCst);
        with_cookie(json_answer(StatusCode::OK, &json!({ "token": "a.b.c" })), &format!("attested-{rotation}"))
    }

    fn resource(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let attested = headers
            .get(http::header::COOKIE)
            .is_some_and(|cookie| cookie.as_bytes().starts_with(b"kbs-session-id=attested-"));
        let key = self.key.lock().unwrap();
        let (Some(key), true) = (key.as_ref(), attested) else {
            return error(StatusCode::UNAUTHORIZED, "TokenNotFound");
        };
        match self.script {
            Script::DeniesResource => return error(StatusCode::FORBIDDEN, "PolicyDeny"),
            Script::ForgetsSessions => return error(StatusCode::UNAUTHORIZED, "TokenNotFound"),
            Script::AnswersGarbage => return json_answer(StatusCode::OK, &json!({ "protected": "e30" })),
            Script::AnswersEndlessly => {
                return Response::new(Full::new(Bytes::from(vec![b' '; 16 << 20])));
            }
            _ => {}
        }
        let mut key: TeePubKey = serde_json::from_value(serde_json::to_value(key).unwrap()).unwrap();
        if self.script == Script::EncryptsToAnotherKey {
            key = jwe::TeeKey::generate().unwrap().public().clone();
        }
        let sealed = jwe::encrypt(SECRET, &RecipientKey::new(&key).unwrap()).unwrap();
        let theirs: peer::Response = serde_json::from_slice(&sealed.to_json().unwrap()).unwrap();
        json_answer(StatusCode::OK, &theirs)
    }
}

/// A broker on loopback, and its certificate.
async fn start(script: Script) -> (Arc<Broker>, String, Trust) {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let broker = Arc::new(Broker { script, sequence: Mutex::default(), key: Mutex::default(), rotations: 0.into() });
    let serving = Arc::clone(&broker);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, broker) = (acceptor.clone(), Arc::clone(&serving));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = service_fn(move |request| Arc::clone(&broker).answer(request));
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    (broker, url, Trust::Certificate(issued.cert.der().clone()))
}

fn client(url: &str, trust: Trust) -> Client {
    let config = Config { url: url.to_owned(), trust, timeout: Duration::from_secs(5) };
    Client::new(&config, Arc::new(Bare)).unwrap()
}

fn wine() -> ResourcePath {
    ResourcePath::parse("default/model-key/wine").unwrap()
}

async fn get(script: Script) -> (Result<Vec<u8>, Error>, Vec<String>) {
    let (broker, url, trust) = start(script).await;
    let got = client(&url, trust).get(&wine()).await.map(|secret| secret.expose().to_vec());
    (got, broker.sequence.lock().unwrap().clone())
}

const RESOURCE: &str = "GET /kbs/v0/resource/default/model-key/wine";

#[tokio::test]
async fn the_sequence_is_the_real_clients() {
    let (got, sequence) = get(Script::Honest).await;
    assert_eq!(got.unwrap(), SECRET);
    assert_eq!(sequence, [RESOURCE, "POST /kbs/v0/auth", "POST /kbs/v0/attest", RESOURCE]);
}

#[tokio::test]
async fn a_session_is_used_again() {
    let (broker, url, trust) = start(Script::Honest).await;
    let client = client(&url, trust);
    client.get(&wine()).await.unwrap();
    assert_eq!(KeySource::get(&client, &wine()).await.unwrap().expose(), SECRET);
    assert_eq!(client.token().await.unwrap().as_str(), "a.b.c");
    assert_eq!(broker.rotations.load(Ordering::SeqCst), 1, "one handshake");
    assert_eq!(client.attest().await.unwrap().as_str(), "a.b.c");
    assert_eq!(broker.rotations.load(Ordering::SeqCst), 2, "asked for anew");
    assert_eq!(client.get(&wine()).await.unwrap().expose(), SECRET);
}

#[tokio::test]
async fn refusals_carry_the_brokers_reason() {
    for (script, route, error_type) in
        [(Script::DeniesResource, "resource", "PolicyDeny"), (Script::DeniesEvidence, "attest", "AttestationError")]
    {
        let (got, _) = get(script).await;
        let error = got.unwrap_err();
        let refusal = error.refusal().unwrap();
        assert_eq!((refusal.route, refusal.status.as_u16()), (route, 403));
        assert_eq!((refusal.error_type.as_str(), refusal.detail.as_str()), (error_type, "a detail"));
        assert_eq!(refusal.request_id.as_deref(), Some("0123456789abcdef"));
        let reasons = refusal.reasons().unwrap();
        assert_eq!((reasons.headline.as_str(), reasons.is_yes()), ("NO: debug bit set", false));
    }
}

#[tokio::test]
async fn a_key_source_names_the_key_and_keeps_the_reason() {
    let (_broker, url, trust) = start(Script::DeniesResource).await;
    let client = client(&url, trust);
    let Err(error) = KeySource::get(&client, &wine()).await else { panic!("a key was released") };
    assert!(
        error.to_string().starts_with("no key kbs:///default/model-key/wine: the broker refuses resource"),
        "{error}"
    );
    assert!(error.source.downcast_ref::<Error>().unwrap().refusal().is_some());
}

#[tokio::test]
async fn a_broker_that_forgets_is_not_asked_forever() {
    let (got, sequence) = get(Script::ForgetsSessions).await;
    assert_eq!(got.unwrap_err().refusal().unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(sequence.len(), 4, "{sequence:?}");
}

#[tokio::test]
async fn a_missing_resource_stops_at_once() {
    let (broker, url, trust) = start(Script::Honest).await;
    let missing = ResourcePath::parse("default/model-key/beer").unwrap();
    let Err(error) = client(&url, trust).get(&missing).await else { panic!("there is no such key") };
    assert_eq!(error.refusal().unwrap().status, StatusCode::NOT_FOUND);
    assert_eq!(broker.sequence.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_resource_for_another_key_is_refused() {
    assert!(matches!(get(Script::EncryptsToAnotherKey).await.0, Err(Error::Jwe(jwe::Error::Decrypt))));
}

#[tokio::test]
async fn answers_of_another_shape_or_size_are_refused() {
    assert!(matches!(get(Script::AnswersGarbage).await.0, Err(Error::Answer { route: "resource", .. })));
    let endless = get(Script::AnswersEndlessly).await.0.unwrap_err();
    assert!(endless.to_string().contains("longer than"), "{endless}");
    assert!(matches!(get(Script::ChoosesAnotherHash).await.0, Err(Error::Answer { route: "auth", .. })));
}

#[tokio::test]
async fn a_silent_broker_is_given_up() {
    let (_broker, url, trust) = start(Script::NeverAnswers).await;
    let config = Config { url, trust, timeout: Duration::from_millis(200) };
    let Err(error) = Client::new(&config, Arc::new(Bare)).unwrap().get(&wine()).await else { panic!("no answer") };
    assert!(error.to_string().contains("no answer"), "{error}");
}

#[tokio::test]
async fn another_brokers_certificate_is_refused_before_anything_is_sent() {
    let (_other, _, wrong) = start(Script::Honest).await;
    let (broker, url, _) = start(Script::Honest).await;
    let Err(error) = client(&url, wrong).get(&wine()).await else { panic!("a stranger was trusted") };
    assert!(error.to_string().contains("TLS with"), "{error}");
    assert!(broker.sequence.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_issuer_is_trusted_for_the_names_it_issued() {
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = params.self_signed(&issuer_key).unwrap();
    let trust = Trust::issuers_from_pem(issuer.pem().as_bytes()).unwrap();
    assert!(trust.client_config().is_ok());
    let (_broker, url, _) = start(Script::Honest).await;
    assert!(client(&url, trust).get(&wine()).await.is_err(), "issued by nobody that is trusted");
    assert!(Trust::issuers_from_pem(b"").is_err());
    assert!(Trust::issuers_from_pem(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----").is_err());
}
