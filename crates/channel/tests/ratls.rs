//! RA-TLS end to end, with a simulated machine: what is accepted, and what is refused before a tensor leaves.

mod world;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use sealwright_appraise::{Appraiser, Explanation, Kind, Policy, References, Trust, Unconfined};
use sealwright_channel::{
    Judge,
    ratls::{
        AttestedConnection, BindingError, ConnectError, Connection, Connector, MAX_EXCHANGES, Protocol, Server, body,
        check_certificate, empty_body,
    },
    receipt::Signer,
    tls::Trust as TlsTrust,
};
use sealwright_collateral::Library;
use sealwright_evidence::{Backend, Measurement};
use sealwright_sim::Td;
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::{
    Tee,
    aael::RuntimeEvent,
    kbs::Message,
    ratls::{ATTEST_PATH, AttestRequest, AttestResponse, Claims, EvidenceKind, HashEntry, TaggedEvidence},
    tcg2::{Log, event_type::EV_IPL},
};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, rustls};
use world::{
    Asked, Handler, ROOT, Recorder, TENSOR, World, answer, handler, honest, measured, now, plain_server, serve,
};

#[path = "../../wire/tests/support/mod.rs"]
mod support;

/// How long a test waits for what must happen: only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

async fn infer(connection: &mut AttestedConnection) -> (StatusCode, Bytes) {
    let request = Request::builder().method(Method::POST).uri("/v1/models/wine:predict").body(body(TENSOR)).unwrap();
    let response = connection.sender.send(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

/// Connects to a server with this handler over HTTP/1.1 and a recorder on the cleartext.
async fn connect(
    world: &World,
    server: &Arc<Server>,
    handler: Handler,
) -> (Result<AttestedConnection, ConnectError>, Recorder) {
    let recorder = Recorder::default();
    let io = serve(server, handler);
    let connected = world.connector().connect_over(io, "model.test", Protocol::Http1, recorder.clone()).await;
    (connected, recorder)
}

/// The reasons of a refusal, after which nothing but the exchange's request may have been sent.
async fn refusal(world: &World, server: &Arc<Server>, handler: Handler) -> Explanation {
    let (connected, recorder) = connect(world, server, handler).await;
    let Err(ConnectError::Refused(explanation)) = connected else {
        panic!("{:?}", connected.map(|_| "accepted"));
    };
    recorder.assert_only_attestation();
    *explanation
}

fn codes(explanation: &Explanation) -> Vec<&str> {
    let failed = explanation.checks.iter().filter(|check| check.outcome == sealwright_appraise::Outcome::Failed);
    failed.map(|check| check.code.as_str()).collect()
}

#[tokio::test]
async fn a_measured_server_is_accepted_over_both_protocols() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let recorder = Recorder::default();
        let io = serve(&server, handler(honest));
        let connecting = world.connector().connect_over(io, "model.test", protocol, recorder.clone()).await;
        let mut connection = connecting.unwrap();
        assert!(!recorder.saw(TENSOR));
        let explanation = connection.appraisal.explanation();
        assert!(explanation.is_yes() && explanation.simulated, "{explanation}");
        assert!(explanation.headline.contains("SIMULATED"), "{}", explanation.headline);
        let begin: Vec<_> = explanation.checks.iter().take(3).map(|check| check.code.as_str()).collect();
        assert_eq!(begin, ["channel-key", "channel-nonce", "channel-exporter"]);
        assert_eq!(infer(&mut connection).await, (StatusCode::OK, Bytes::from(format!("echo: {TENSOR}"))));
        assert!(recorder.saw(TENSOR) || protocol == Protocol::Http2, "the tap sees what is sent");
    }
}

#[tokio::test]
async fn a_connection_over_tcp_and_many_requests_on_it() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut near = serve(&server, handler(honest));
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut tcp, &mut near).await });
        }
    });
    let mut connection = world.connector().connect(&address, Protocol::Http2).await.unwrap();
    for _ in 0..5 {
        assert_eq!(infer(&mut connection).await.0, StatusCode::OK);
    }
    let mut shared = connection.sender.share().unwrap();
    drop(connection.sender);
    let request = Request::builder().uri("/x").body(empty_body()).unwrap();
    assert_eq!(shared.send(request).await.unwrap().status(), StatusCode::OK);
    assert!(!shared.is_closed());
}

#[tokio::test]
async fn a_connection_that_did_not_ask_for_evidence_is_not_served() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let trust = TlsTrust::Certificate(server.certificate().clone());
    let tls = TlsConnector::from(trust.client_config().unwrap());
    let io = serve(&server, handler(honest));
    let stream = tls.connect("any.test".try_into().unwrap(), io).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut send = async |path: &str, content: String| {
        let request = Request::builder().method(Method::POST).uri(path).header("host", "any.test");
        let response = sender.send_request(request.body(Full::new(Bytes::from(content))).unwrap()).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(send("/v1/models/wine:predict", TENSOR.into()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(send(ATTEST_PATH, "{}".into()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(ATTEST_PATH, r#"{"nonce":"AAAA"}"#.into()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send("/v1/models/wine:predict", TENSOR.into()).await.0, StatusCode::FORBIDDEN, "still");
    let nonce = String::from_utf8(AttestRequest { nonce: vec![1; 32] }.to_json().unwrap()).unwrap();
    for _ in 0..MAX_EXCHANGES {
        assert_eq!(send(ATTEST_PATH, nonce.clone()).await.0, StatusCode::OK);
    }
    let (status, error) = send(ATTEST_PATH, nonce).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(String::from_utf8_lossy(&error).contains("too-many-exchanges"));
    assert_eq!(send("/v1/models/wine:predict", TENSOR.into()).await.0, StatusCode::OK);
}

/// The acceptance test of the channel: an alteration of any byte, of the event log's words too, is refused, and the tap never sees a tensor.
#[tokio::test]
async fn evidence_with_one_byte_changed_is_refused_and_no_tensor_leaves() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let connector = world.connector();
    let lengths = Arc::new(Mutex::new([usize::MAX, 0]));
    let mut at = 0;
    while at < lengths.lock().unwrap().iter().fold(0usize, |sum, length| sum.saturating_add(*length)) {
        let seen = Arc::clone(&lengths);
        let altering = handler(move |connection: Connection, asked: Asked| {
            let seen = Arc::clone(&seen);
            async move {
                let mut response = connection.attest(&asked.body).await.unwrap();
                let log = response.event_log.as_mut().unwrap();
                let evidence = response.evidence.len();
                *seen.lock().unwrap() = [evidence, log.len()];
                let byte = if at < evidence { &mut response.evidence[at] } else { &mut log[at - evidence] };
                *byte ^= 1 << (at % 8);
                answer(StatusCode::OK, response.to_json().unwrap())
            }
        });
        let recorder = Recorder::default();
        let io = serve(&server, altering);
        let connected = connector.connect_over(io, "model.test", Protocol::Http1, recorder.clone()).await;
        assert!(matches!(connected, Err(ConnectError::Refused(_))), "byte {at}");
        recorder.assert_only_attestation();
        // Every byte of the envelope, the quote's header and the claims; of the long rest every eleventh.
        let [evidence, _] = *lengths.lock().unwrap();
        at += if at < 64 || (evidence.saturating_sub(256)..evidence).contains(&at) { 1 } else { 11 };
    }
    let [evidence, log] = *lengths.lock().unwrap();
    assert!(evidence > 4000 && log > 1000, "{evidence} and {log} bytes");
}

/// A host that takes the log away, or cuts it.
#[tokio::test]
async fn another_event_log_than_the_evidence_names_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let alterations: [fn(&mut AttestResponse); 2] = [
        |response| response.event_log = None,
        |response| {
            let log = response.event_log.as_mut().unwrap();
            log.truncate(log.len() / 2);
        },
    ];
    for alter in alterations {
        let altering = handler(move |connection: Connection, asked: Asked| async move {
            let mut response = connection.attest(&asked.body).await.unwrap();
            alter(&mut response);
            answer(StatusCode::OK, response.to_json().unwrap())
        });
        let explanation = refusal(&world, &server, altering).await;
        assert_eq!(codes(&explanation), ["ratls-unbound"]);
        assert!(explanation.checks[0].actual.contains("event-log-hash"), "{explanation}");
    }
}

/// A machine that tells another log than it was measured by.
struct Telling {
    td: Td,
    told: fn(&mut Vec<u8>),
}

impl Backend for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn tee(&self) -> Tee {
        self.td.tee()
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        self.td.quote(report_data)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        let mut log = self.td.event_log()?;
        log.iter_mut().for_each(self.told);
        Ok(log)
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        self.td.measurements()
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        self.td.extend(event)
    }
}

/// That the evidence names the log makes it no true one.
#[tokio::test]
async fn an_event_log_that_does_not_replay_is_refused() {
    let world = World::new();
    let tales: [fn(&mut Vec<u8>); 2] = [
        |log| log.truncate(log.len() / 2),
        |log| {
            let record = Log::parse(log).unwrap().events().nth(5).unwrap().offset;
            // Behind register index, type, count and algorithm: the digest, which is what is replayed.
            log[record + 14] ^= 1;
        },
    ];
    for told in tales {
        let telling = Telling { td: world.td.clone(), told };
        let server = Arc::new(Server::new(Arc::new(telling), [0; 32]).await.unwrap());
        let explanation = refusal(&world, &server, handler(honest)).await;
        assert!(!codes(&explanation).contains(&"ratls-unbound"), "{explanation}");
    }
}

/// A judge whose policy does not ask whether the log explains RTMR3, for those who want one of these events alone.
fn lax_judge(world: &World, workloads: Vec<RuntimeEvent>) -> Judge {
    let text = format!("{}\nholds contains \"registers-explained\" if true\n", Policy::default_attestation().text());
    let policy = Policy::new(Kind::Attestation, "lax", &text).unwrap();
    let root = Anchor::from_certificate(ROOT, world.site.root()).unwrap();
    let (library, _) = Library::open(world.folder.path(), Anchors::none().with(root), now()).unwrap();
    let references = References::none().with("production", measured(&world.td));
    let trust = Trust { accepted_anchors: [ROOT.to_owned()].into(), ..Trust::default() };
    let appraiser = Appraiser::new(Arc::new(Unconfined), policy, references, trust).unwrap();
    Judge::new(Arc::new(library), appraiser).running_only(workloads)
}

/// A machine whose log gives its last record another type, which is not measured.
struct Hiding(Td);

impl Backend for Hiding {
    fn name(&self) -> &'static str {
        "hiding"
    }

    fn tee(&self) -> Tee {
        self.0.tee()
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        self.0.quote(report_data)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        let mut log = self.0.event_log()?.unwrap();
        let last = Log::parse(&log).unwrap().events().last().unwrap().offset;
        // Behind the register's index.
        log[last + 4..last + 8].copy_from_slice(&EV_IPL.to_le_bytes());
        Ok(Some(log))
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        self.0.measurements()
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        self.0.extend(event)
    }
}

#[tokio::test]
async fn a_second_model_that_a_log_hides_is_refused_whatever_the_policy_asks() {
    let world = World::new();
    let model = |name: &str| RuntimeEvent::new("sealwright", "LoadModel", name).unwrap();
    world.td.extend(&model("named")).unwrap();
    let server = plain_server(&world.td).await;
    let connector = Connector::new(Arc::new(lax_judge(&world, vec![model("named")]))).unwrap();
    let connect = |handler| connector.connect_over(serve(&server, handler), "model.test", Protocol::Http1, ());
    connect(handler(honest)).await.unwrap();

    world.td.extend(&model("another")).unwrap();
    let Err(error) = connect(handler(honest)).await else { panic!("another model was accepted") };
    assert_eq!(codes(error.explanation().unwrap()), ["workload-not-named"]);
    let hiding = world::server(Hiding(world.td.clone()), &Signer::generate().unwrap()).await;
    let connecting = connector.connect_over(serve(&hiding, handler(honest)), "model.test", Protocol::Http1, ());
    let Err(error) = connecting.await else { panic!("a hidden model was accepted") };
    assert_eq!(codes(error.explanation().unwrap()), ["workload-unexplained"]);
}

#[tokio::test]
async fn evidence_of_another_connection_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let kept: Arc<Mutex<Option<AttestResponse>>> = Arc::default();
    let replaying = handler(move |connection: Connection, asked: Asked| {
        let kept = Arc::clone(&kept);
        async move {
            let fresh = connection.attest(&asked.body).await.unwrap();
            let shown = kept.lock().unwrap().get_or_insert(fresh).clone();
            answer(StatusCode::OK, shown.to_json().unwrap())
        }
    });
    assert!(connect(&world, &server, Arc::clone(&replaying)).await.0.is_ok(), "the first time it is fresh");
    let explanation = refusal(&world, &server, replaying).await;
    assert_eq!(codes(&explanation), ["channel-nonce-mismatch", "channel-exporter-mismatch"]);
}

/// The same server, the same key, the client's own nonce, but another TLS session: the exporter tells them apart.
#[tokio::test]
async fn evidence_of_another_session_with_the_same_key_and_nonce_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let behind = Arc::clone(&server);
    let relaying = handler(move |_, asked: Asked| {
        let behind = Arc::clone(&behind);
        async move { answer(StatusCode::OK, forward(&behind, asked).await) }
    });
    let explanation = refusal(&world, &server, relaying).await;
    assert_eq!(codes(&explanation), ["channel-exporter-mismatch"]);
}

/// Asks a server for evidence over a TLS session of one's own, as a relay would.
async fn forward(behind: &Arc<Server>, asked: Asked) -> Bytes {
    let trust = TlsTrust::Certificate(behind.certificate().clone());
    let tls = TlsConnector::from(trust.client_config().unwrap());
    let stream = tls.connect("any.test".try_into().unwrap(), serve(behind, handler(honest))).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(Method::POST).uri(asked.path).header("host", "any.test");
    let response = sender.send_request(request.body(Full::new(asked.body)).unwrap()).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes()
}

/// A relay that is itself a genuine machine with the right measurements, and shows the evidence of another one.
#[tokio::test]
async fn a_relay_in_a_second_genuine_machine_is_refused() {
    let world = World::new();
    let victim = plain_server(&world.td).await;
    let relay = plain_server(&world.boot("relay", "production", false)).await;
    let relaying = handler(move |_, asked: Asked| {
        let victim = Arc::clone(&victim);
        async move { answer(StatusCode::OK, forward(&victim, asked).await) }
    });
    let explanation = refusal(&world, &relay, relaying).await;
    assert_eq!(codes(&explanation), ["channel-key-mismatch", "channel-exporter-mismatch"]);
    assert!(explanation.headline.starts_with("NO, under a SIMULATED root ("), "{}", explanation.headline);
}

/// TLS with a certificate and a key of the test's choice.
async fn over_tls(
    world: &World,
    certificate: Vec<u8>,
    key: &rcgen::KeyPair,
) -> Result<AttestedConnection, ConnectError> {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(
                vec![certificate.into()],
                rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.into()).unwrap(),
            ))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { TlsAcceptor::from(Arc::new(config)).accept(far).await.map(drop) });
    let recorder = Recorder::default();
    let connected = world.connector().connect_over(near, "model.test", Protocol::Http1, recorder.clone()).await;
    assert!(recorder.sent().is_empty(), "nothing was sent at all");
    connected
}

#[tokio::test]
async fn a_relay_with_its_own_tls_key_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let key = rcgen::KeyPair::generate().unwrap();

    let stolen = over_tls(&world, server.certificate().to_vec(), &key).await;
    assert!(matches!(stolen, Err(ConnectError::Tls(_))), "the genuine certificate, another key's signature");

    let genuine = sealwright_wire::ratls::Certificate::parse(server.certificate()).unwrap();
    let sealwright_wire::ratls::CertificateEvidence::Tagged(evidence) = genuine.evidence else { panic!("evidence") };
    let grafted = over_tls(&world, with_extension(&key, Some(evidence)), &key).await;
    let Err(ConnectError::Refused(explanation)) = grafted else { panic!("the genuine evidence, another key") };
    assert_eq!(codes(&explanation), ["ratls-unbound"]);
    assert!(explanation.checks[0].actual.contains("pubkey-hash"), "{explanation}");

    let plain = over_tls(&world, with_extension(&key, None), &key).await;
    let Err(ConnectError::Refused(explanation)) = plain else { panic!("no evidence at all") };
    assert!(explanation.checks[0].actual.contains("no evidence"), "{explanation}");
}

/// A self-signed certificate with tagged evidence, or none.
fn with_extension(key: &rcgen::KeyPair, evidence: Option<&[u8]>) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(vec!["model.test".into()]).unwrap();
    let extension = |content: &[u8]| rcgen::CustomExtension::from_oid_content(&[2, 23, 133, 5, 4, 9], content.to_vec());
    params.custom_extensions.extend(evidence.map(extension));
    params.self_signed(key).unwrap().der().to_vec()
}

/// Claims that name the relay's key, beside a quote that was made for others.
#[tokio::test]
async fn claims_that_the_quote_does_not_vouch_for_are_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let genuine = check_certificate(server.certificate()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let hash: [u8; 32] =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &rcgen::PublicKeyData::subject_public_key_info(&key))
            .as_ref()
            .try_into()
            .unwrap();
    let claims = Claims { pubkey_hash: HashEntry::sha256(&hash), ..genuine.claims }.encode().unwrap();
    for (kind, expected) in
        [(EvidenceKind::Quote, BindingError::OtherClaims), (EvidenceKind::TeeReport, BindingError::NotAQuote)]
    {
        let evidence = TaggedEvidence { kind, evidence: genuine.quote.raw, claims: &claims }.encode().unwrap();
        let certificate = with_extension(&key, Some(&evidence));
        assert_eq!(check_certificate(&certificate).unwrap_err(), expected);
        assert!(matches!(over_tls(&world, certificate, &key).await, Err(ConnectError::Refused(_))));
    }
}

#[tokio::test]
async fn a_debug_machine_is_refused() {
    let world = World::new();
    let server = plain_server(&world.boot("debug", "production", true)).await;
    let explanation = refusal(&world, &server, handler(honest)).await;
    assert!(codes(&explanation).contains(&"debug-on"), "{explanation}");
}

#[tokio::test]
async fn another_kernel_is_refused() {
    let world = World::new();
    let server = plain_server(&world.boot("other", "tampered", false)).await;
    let explanation = refusal(&world, &server, handler(honest)).await;
    assert!(explanation.checks.iter().any(|check| check.claim.contains("mrtd")), "{explanation}");
}

#[tokio::test]
async fn an_outdated_platform_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    world.site.age_tcb().unwrap();
    world.publish();
    let explanation = refusal(&world, &server, handler(honest)).await;
    assert_eq!(codes(&explanation).first(), Some(&"tcb-not-accepted"), "{explanation}");
}

#[tokio::test]
async fn a_revoked_platform_is_refused() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    world.site.revoke_pck().unwrap();
    world.publish();
    let explanation = refusal(&world, &server, handler(honest)).await;
    assert!(explanation.headline.contains("SIMULATED"), "{explanation}");
    assert!(codes(&explanation)[0].contains("revoked"), "{explanation}");
}

#[tokio::test]
async fn a_judge_of_vendor_roots_refuses_a_simulated_machine() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let root = Anchor::from_certificate(ROOT, world.site.root()).unwrap();
    let vendor_only = world.judge_with(Anchors::vendor(), Trust::default(), now());
    let unnamed = world.judge_with(Anchors::vendor().with(root), Trust::default(), now());
    for (judge, code) in [(vendor_only, "untrusted-root"), (unnamed, "anchor-not-accepted")] {
        let connector = Connector::new(judge).unwrap();
        let recorder = Recorder::default();
        let io = serve(&server, handler(honest));
        let connected = connector.connect_over(io, "model.test", Protocol::Http1, recorder.clone()).await;
        let Err(error) = connected else { panic!("a simulated machine was accepted") };
        assert_eq!(codes(error.explanation().unwrap()), [code]);
        recorder.assert_only_attestation();
    }
}

#[tokio::test]
async fn servers_that_break_the_exchange_are_given_up() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let garbage = [
        answer(StatusCode::OK, "{}"),
        answer(StatusCode::OK, "not json"),
        answer(StatusCode::OK, vec![b' '; 4 << 20]),
        answer(StatusCode::NOT_FOUND, r#"{"type":"t","detail":"no such route"}"#),
        answer(StatusCode::INTERNAL_SERVER_ERROR, ""),
    ];
    for response in garbage {
        let breaking = handler(move |_, _| std::future::ready(response.clone()));
        let (connected, recorder) = connect(&world, &server, breaking).await;
        assert!(matches!(connected, Err(ConnectError::Answer(_) | ConnectError::NoEvidence { .. })));
        recorder.assert_only_attestation();
    }
    let unreadable = AttestResponse { evidence: vec![1, 2, 3], event_log: None }.to_json().unwrap();
    let breaking = handler(move |_, _| std::future::ready(answer(StatusCode::OK, unreadable.clone())));
    assert_eq!(codes(&refusal(&world, &server, breaking).await), ["ratls-unbound"]);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let silent = handler(|_, _| std::future::pending::<Response<Full<Bytes>>>());
    let connector = world.connector().with_timeout(Duration::from_millis(300));
    let io = serve(&server, silent);
    let connected = connector.connect_over(io, "model.test", Protocol::Http1, ()).await;
    assert!(matches!(connected, Err(ConnectError::Timeout(_))));
}

/// A machine whose quotes after the first, which is the certificate's, take until a test lets them go.
struct Slow {
    td: Td,
    begun: AtomicUsize,
    made: (Mutex<bool>, Condvar),
}

impl Slow {
    /// Lets all quotes go, those to come too.
    fn go(&self) {
        *self.made.0.lock().unwrap() = true;
        self.made.1.notify_all();
    }
}

impl Backend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn tee(&self) -> Tee {
        self.td.tee()
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        if self.begun.fetch_add(1, Ordering::SeqCst) > 0 {
            let waiting = self.made.1.wait_timeout_while(self.made.0.lock().unwrap(), PATIENCE, |made| !*made);
            drop(waiting.unwrap());
        }
        self.td.quote(report_data)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        self.td.event_log()
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        self.td.measurements()
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        self.td.extend(event)
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_its_quote_counted_until_it_is_made() {
    /// As many as are made at once, and more.
    const CLIENTS: usize = 10;
    let world = World::new();
    let slow = Arc::new(Slow { td: world.td.clone(), begun: AtomicUsize::new(0), made: Default::default() });
    let server = Arc::new(Server::new(slow.clone(), [0; 32]).await.unwrap());
    let begun = || slow.begun.load(Ordering::SeqCst) - 1;
    for _ in 0..CLIENTS {
        let before = begun();
        let io = serve(&server, handler(honest));
        let connector = world.connector();
        let asking = tokio::spawn(async move { connector.connect_over(io, "model.test", Protocol::Http2, ()).await });
        let begins = async {
            while begun() == before {
                tokio::task::yield_now().await;
            }
        };
        // Not for the test's result: it gives a quote that must not begin the time to do so.
        let _ = tokio::time::timeout(Duration::from_millis(200), begins).await;
        asking.abort();
    }
    assert_eq!(begun(), 4, "quotes under way for clients that have all left");
    slow.go();
    let io = serve(&server, handler(honest));
    world.connector().connect_over(io, "model.test", Protocol::Http2, ()).await.unwrap();
}

#[tokio::test]
async fn tls_1_2_is_not_spoken() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new();
    let server = plain_server(&world.td).await;
    let mut io = serve(&server, handler(honest));
    // A ClientHello of TLS 1.2 (RFC 5246, section 7.4.1.2): one suite, no compression, signature_algorithms, P-256.
    let extensions = [&[0, 13, 0, 4, 0, 2, 4, 3][..], &[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0]].concat();
    let hello = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2b], &[1, 0], &[0, 22], &extensions].concat();
    let length = u8::try_from(hello.len()).unwrap();
    let record = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
    io.write_all(&record).await.unwrap();
    let mut alert = Vec::new();
    io.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 70], "a fatal alert: protocol_version");
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let world = World::new();
    let server = plain_server(&world.td).await;
    let trust = TlsTrust::Certificate(server.certificate().clone());
    let mut config = (*trust.client_config().unwrap()).clone();
    config.resumption = rustls::client::Resumption::default();
    let tls = TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let stream = tls.connect("any.test".try_into().unwrap(), serve(&server, handler(honest))).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

/// Certificates that other implementations made on real hardware.
#[test]
fn real_certificates_of_others_are_bound() {
    let Some(folder) = support::vectors() else { return };
    for name in ["gramine-cert.pem", "intel-sgxsdk-cert.pem"] {
        let pem = std::fs::read(folder.join("ratls").join(name)).unwrap();
        use rustls::pki_types::pem::PemObject;
        let der = rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap();
        let bound = check_certificate(&der).unwrap();
        assert_eq!(bound.claims.nonce, None, "{name}");
        let evidence = bound.quote.raw.as_ptr() as usize - der.as_ptr() as usize;
        let mut altered = der.to_vec();
        altered[evidence + 400] ^= 1; // report data lies 368 bytes into an SGX quote
        assert_eq!(check_certificate(&altered).unwrap_err(), BindingError::OtherClaims, "{name}");
        let spki = bound.spki.as_ptr() as usize - der.as_ptr() as usize;
        let mut altered = der.to_vec();
        altered[spki + 40] ^= 1;
        assert_eq!(check_certificate(&altered).unwrap_err(), BindingError::OtherKey, "{name}");
    }
}
