//! The whole way in one process: a sealed model, a simulated machine that measures and opens it, RA-TLS, and clients that
//! verify before they send.

mod support;
#[path = "../../channel/tests/world/mod.rs"]
mod world;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sealwright_appraise::Outcome;
use sealwright_channel::{
    BoxFuture, KeyError, KeySource, Secret,
    ratls::{self, ConnectError, Connector},
    receipt::{Expected, Unverified},
    seal,
    wire::{Digest, aael::RuntimeEvent, kbs::ResourcePath, sealed::LoadModel, tcg2::Log},
};
use sealwright_evidence::Backend;
use sealwright_serving::{
    ATTEST_PATH, Engine, Limits, Model, Registry, Rten, Runtime, SealedModel, StartupError, State, Tensor, TensorSpec,
    Transport, Version,
    client::{Client, QueryError, Report, Target},
    load_all,
    proto::inference::{ModelInferRequest, grpc_inference_service_client::GrpcInferenceServiceClient},
    proxy::{self, Keeper, ProxyError, Upstream},
    samples::SampleSet,
    serve,
};
use sealwright_sim::Td;
use support::{Bad, Latch, infer_request};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::Code;
use world::{World, now};

const POLICY: Digest<48> = Digest([7; 48]);

/// A sealed digits model and its key.
fn sealed() -> (Vec<u8>, Vec<u8>) {
    let key = seal::new_key().unwrap();
    (sealed_as(1, &key), key.expose().to_vec())
}

fn sealed_as(version: u64, key: &Secret) -> Vec<u8> {
    let onnx = std::fs::read(support::solution().join("model.onnx")).unwrap();
    let contents = seal::Contents {
        name: "digits".into(),
        version,
        kind: "onnx".into(),
        key: ResourcePath::parse("default/model-key/digits").unwrap(),
        cleartext_len: onnx.len() as u64,
        chunk_size: Some(4096),
    };
    let mut file = Vec::new();
    seal::seal(&onnx[..], &mut file, key, &contents).unwrap();
    file
}

/// Hands out one key, and notes what the machine had measured by then.
struct Keys {
    key: Vec<u8>,
    td: Td,
    measured: Mutex<Option<Vec<LoadModel>>>,
}

impl KeySource for Keys {
    fn get<'a>(&'a self, key: &'a ResourcePath) -> BoxFuture<'a, Result<Secret, KeyError>> {
        Box::pin(async move {
            assert_eq!(key.uri(), "kbs:///default/model-key/digits");
            *self.measured.lock().unwrap() = Some(measured(&self.td));
            Ok(Secret::new(self.key.clone()))
        })
    }
}

/// The models in a machine's runtime log.
fn measured(td: &Td) -> Vec<LoadModel> {
    let log = td.event_log().unwrap().unwrap();
    let log = Log::parse(&log).unwrap();
    let events = log.events().filter_map(|event| RuntimeEvent::from_record(&event));
    events.filter_map(|event| LoadModel::from_event(&event.unwrap())).map(Result::unwrap).collect()
}

/// A model server on a simulated machine.
struct Running {
    world: World,
    address: SocketAddr,
    engine: Arc<Engine>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        let (file, key) = sealed();
        Self::start_with(vec![file], key).await
    }

    async fn start_with(files: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        Self::start_within(Limits::default(), files, key).await
    }

    async fn start_within(limits: Limits, files: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        let world = World::new();
        let keys = Keys { key, td: world.td.clone(), measured: Mutex::default() };
        let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
        let registry = Arc::new(Registry::new());
        for file in files {
            let model = SealedModel::new(file).unwrap().measure(&world.td).unwrap();
            registry.insert(model.open(&keys).await.unwrap().load(runtime.as_ref()).unwrap());
        }
        let engine = Arc::new(Engine::start(registry, &runtime, 1, limits).unwrap());
        let backend: Arc<dyn Backend> = Arc::new(world.td.clone());
        let transport = Arc::new(Transport::new(backend, Some(POLICY)).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, transport, Arc::clone(&engine), async { drop(stopped.await) });
        Self { world, address, engine, stop: Some(stop), task: tokio::spawn(serving) }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.world.connector(), &self.address.to_string()).await.unwrap()
    }

    async fn proxy(&self) -> SocketAddr {
        self.proxy_until(proxy::Limits::default(), std::future::pending()).await.0
    }

    /// A proxy with these limits that runs until `stop` ends.
    async fn proxy_until(
        &self,
        limits: proxy::Limits,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (SocketAddr, JoinHandle<()>) {
        self.proxy_with(limits, None, stop).await
    }

    /// The same, with somebody who keeps evidence.
    async fn proxy_with(
        &self,
        limits: proxy::Limits,
        keeper: Option<Keeper>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> (SocketAddr, JoinHandle<()>) {
        let address = self.address.to_string();
        let upstream = Upstream::connect(self.world.connector(), &address, limits, keeper).await.unwrap();
        let listener = proxy::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, tokio::spawn(proxy::serve(listener, Arc::new(upstream), stop)))
    }

    /// A model that waits, and what lets it go.
    fn slow_model(&self) -> Arc<Latch> {
        let latch = Arc::new(Latch::default());
        self.engine.registry().insert(support::servable("slow", 1, Box::new(Bad::Waits(Arc::clone(&latch)))));
        latch
    }
}

fn sample_set() -> SampleSet {
    SampleSet::from_json(&std::fs::read(support::solution().join("samples.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn the_model_is_measured_before_its_key_is_asked_for() {
    let world = World::new();
    let (file, key) = sealed();
    let keys = Keys { key, td: world.td.clone(), measured: Mutex::default() };
    let model = SealedModel::new(file).unwrap();
    let expected = LoadModel { digest: model.sha384(), name: "digits".into(), version: 1 };
    let opened = model.measure(&world.td).unwrap().open(&keys).await.unwrap();
    assert_eq!(*keys.measured.lock().unwrap(), Some(vec![expected.clone()]));
    let servable = opened.load(&Rten::default()).unwrap();
    assert_eq!((servable.name.as_str(), servable.version, servable.sha384), ("digits", 1, expected.digest));
}

#[tokio::test]
async fn a_flipped_bit_is_measured_as_another_model_and_does_not_open() {
    let (file, key) = sealed();
    let right = SealedModel::new(file.clone()).unwrap().sha384();
    let mut flipped = file;
    *flipped.last_mut().unwrap() ^= 1;
    let world = World::new();
    let keys = Keys { key, td: world.td.clone(), measured: Mutex::default() };
    let model = SealedModel::new(flipped).unwrap();
    assert_ne!(model.sha384(), right);
    let error = model.measure(&world.td).unwrap().open(&keys).await.err().unwrap();
    assert!(matches!(error, StartupError::Unseal(seal::Error::Chunk { .. })), "{error}");
}

#[tokio::test]
async fn a_model_that_does_not_open_is_said_to_have_failed_and_the_others_are_served() {
    let world = World::new();
    let (good, key) = sealed();
    let bad = sealed_as(2, &seal::new_key().unwrap());
    let keys = Keys { key, td: world.td.clone(), measured: Mutex::default() };
    let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
    let measured = |file: &Vec<u8>| SealedModel::new(file.clone()).unwrap().measure(&world.td).unwrap();
    let registry = Registry::new();
    let failed = load_all(vec![measured(&bad)], &keys, &runtime, &registry).await;
    assert!(matches!(failed, Some(StartupError::Unseal(_))), "{failed:?}");
    assert!(!registry.has_available());

    let failed = load_all(vec![measured(&bad), measured(&good)], &keys, &runtime, &registry).await;
    assert!(failed.is_some() && registry.has_available());
    assert_eq!(registry.find("digits", &Version::Latest).unwrap().version, 1);
    let states = registry.states("digits", &Version::Number(2)).unwrap();
    assert!(matches!(&states[..], [(2, State::Failed(why))] if why == "it does not open under its key"), "{states:?}");
}

#[test]
fn what_is_no_sealed_model_is_refused_before_it_is_measured() {
    assert!(matches!(SealedModel::new(b"onnx".to_vec()).err(), Some(StartupError::Format(_))));
    let (file, _) = sealed();
    for length in 0..file.len() {
        assert!(SealedModel::new(file[..length].to_vec()).is_err());
    }
    let contents = seal::Contents {
        name: "disk".into(),
        version: 1,
        kind: "disk".into(),
        key: ResourcePath::parse("default/model-key/digits").unwrap(),
        cleartext_len: 1,
        chunk_size: None,
    };
    let mut other = Vec::new();
    seal::seal(&b"x"[..], &mut other, &seal::new_key().unwrap(), &contents).unwrap();
    assert_eq!(SealedModel::new(other).err().unwrap().to_string(), "kind: expected `onnx`, found `disk`");
}

#[tokio::test]
async fn a_client_that_verified_gets_every_answer_of_onnxruntime() {
    let running = Running::start().await;
    let mut client = running.client().await;
    let set = sample_set();
    let report: Report = client.query(&set, None).await.unwrap();
    assert!(report.all_agree(), "{report:?}");
    assert!(report.accuracy.unwrap() >= 0.96, "{report:?}");
    assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us && report.requests_per_second > 0.0);
    let error = client.query(&set, Some(2)).await.unwrap_err();
    assert!(matches!(error, QueryError::Refused { status: StatusCode::NOT_FOUND, .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_refused_gets_no_tensor() {
    let running = Running::start().await;
    let elsewhere = World::new();
    let refused = Client::connect(&elsewhere.connector(), &running.address.to_string()).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused}");
    let upstream =
        Upstream::connect(elsewhere.connector(), &running.address.to_string(), proxy::Limits::default(), None)
            .await
            .err()
            .unwrap();
    assert!(matches!(upstream, ProxyError::Connect(ConnectError::Refused(_))), "{upstream}");
    assert!(!running.engine.metrics().text().contains("prediction_seconds_count{"));
}

/// A client that accepts servers of these models alone.
fn connector_for(world: &World, models: &[&LoadModel]) -> Connector {
    let events = models.iter().map(|model| model.event().unwrap()).collect();
    let judge = Arc::into_inner(world.judge()).unwrap().running_only(events);
    Connector::new(Arc::new(judge)).unwrap()
}

#[tokio::test]
async fn a_server_that_could_answer_with_another_version_than_the_named_is_refused() {
    let key = seal::new_key().unwrap();
    let files = vec![sealed_as(1, &key), sealed_as(2, &key)];
    let models = [1, 2].map(|version| {
        let file = SealedModel::new(files[version - 1].clone()).unwrap();
        LoadModel::new(file.header(), file.sha384())
    });
    let running = Running::start_with(files, key.expose().to_vec()).await;
    let address = running.address.to_string();
    let codes = |refused: ConnectError| {
        let failed = refused.explanation().unwrap().checks.iter().filter(|check| check.outcome == Outcome::Failed);
        failed.map(|check| check.code.clone()).collect::<Vec<_>>()
    };
    for named in &models {
        let connector = connector_for(&running.world, &[named]);
        let refused = Client::connect(&connector, &address).await.err().unwrap();
        assert_eq!(codes(refused), ["workload-not-named"], "by the client, version {}", named.version);
        let refused = Upstream::connect(connector, &address, proxy::Limits::default(), None).await.err().unwrap();
        let ProxyError::Connect(refused) = refused else { panic!("{refused}") };
        assert_eq!(codes(refused), ["workload-not-named"], "by the proxy, version {}", named.version);
    }
    let both = connector_for(&running.world, &[&models[0], &models[1]]);
    let mut client = Client::connect(&both, &address).await.unwrap();
    assert!(client.query(&sample_set(), None).await.unwrap().all_agree());
    let neither = LoadModel { version: 3, ..models[0].clone() };
    let refused = Client::connect(&connector_for(&running.world, &[&neither]), &address).await.err().unwrap();
    assert_eq!(codes(refused), ["workload-not-measured"]);
}

#[tokio::test]
async fn a_receipt_is_believed_with_its_evidence_and_for_its_answer_alone() {
    let running = Running::start().await;
    let mut client = running.client().await;
    let set = sample_set();
    let target = Target { model: "digits", version: None };
    let request = Bytes::from(set.request(&set.samples[0]));
    let reply = client.infer(target, request.clone(), true).await.unwrap();
    let receipt = reply.receipt.unwrap();
    let judge = running.world.judge();
    let check =
        |expected: Expected<'_>| Unverified::parse(&receipt).unwrap().verify(client.evidence(), &judge, &expected);

    let right =
        Expected { request: Some(&request), response: Some(&reply.body), policy_sha384: Some(POLICY), models: &[] };
    let verified = check(right).unwrap();
    assert_eq!((verified.receipt.model.name.as_str(), verified.receipt.model.version), ("digits", 1));
    assert!(verified.receipt.iat.abs_diff(now().0) < 60);
    assert!(check(Expected { response: Some(b"another"), ..right }).is_err());
    assert!(check(Expected { request: Some(b"another"), ..right }).is_err());

    let other = running.client().await;
    let elsewhere = Unverified::parse(&receipt).unwrap().verify(other.evidence(), &judge, &right);
    assert!(elsewhere.is_err(), "the evidence of another connection");
}

/// A client that does the handshake and skips the exchange.
async fn unattested(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ratls::verifier()))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = rustls_pki_types::ServerName::IpAddress(address.ip().into());
    let tcp = TcpStream::connect(address).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn post(
    sender: &mut hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    path: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, Bytes) {
    let request = Request::post(path).header("host", "x").body(Full::new(body.into())).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn without_the_exchange_there_is_no_inference_and_with_it_there_is() {
    let running = Running::start().await;
    let set = sample_set();
    let request = set.request(&set.samples[0]);
    let mut sender = unattested(running.address).await;
    let (status, body) = post(&mut sender, "/v2/models/digits/infer", request.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body:?}");
    let (status, body) = post(&mut sender, ATTEST_PATH, "{\"nonce\": \"short\"}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
    let (status, _) = post(&mut sender, "/v2/models/digits/infer", request.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a failed exchange opens nothing");
    let nonce = format!("{{\"nonce\": \"{}=\"}}", "A".repeat(43));
    let (status, body) = post(&mut sender, ATTEST_PATH, nonce).await;
    assert_eq!(status, StatusCode::OK, "{body:?}");
    let (status, _) = post(&mut sender, "/v2/models/digits/infer", request).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn connections_are_attested_one_by_one() {
    let running = Running::start().await;
    let _attested = running.client().await;
    let set = sample_set();
    let mut other = unattested(running.address).await;
    let (status, _) = post(&mut other, "/v2/models/digits/infer", set.request(&set.samples[0])).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

async fn plain(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn unmodified_clients_reach_the_model_through_the_proxy() {
    let running = Running::start().await;
    let proxy = running.proxy().await;
    let set = sample_set();
    let mut rest = plain(proxy).await;
    for sample in &set.samples[..20] {
        let (status, body) = post(&mut rest, "/v2/models/digits/infer", set.request(sample)).await;
        assert_eq!(status, StatusCode::OK, "{body:?}");
        assert!(set.compare(sample, &body).unwrap().agrees);
    }
    let (status, body) = post(&mut rest, "/v2/models/no/infer", "{}").await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::NOT_FOUND, &br#"{"error":"Servable not found for request: Latest(no)"}"#[..])
    );

    let channel = tonic::transport::Endpoint::try_from(format!("http://{proxy}")).unwrap().connect().await.unwrap();
    let mut grpc = GrpcInferenceServiceClient::new(channel);
    let support::Samples { samples, tolerance } = support::samples();
    for sample in &samples[..20] {
        let answer =
            grpc.model_infer(infer_request("digits", sample.inputs.pixels.clone())).await.unwrap().into_inner();
        support::assert_close(&answer.outputs[0].contents.clone().unwrap().fp32_contents, sample, tolerance);
    }
    let refused = grpc.model_infer(infer_request("no", vec![0.0; 64])).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "Servable not found for request: Latest(no)"));
}

/// A prediction that a receipt is asked for.
fn asking_for_a_receipt() -> Request<Full<Bytes>> {
    let set = sample_set();
    Request::post("/v2/models/digits/infer")
        .header("host", "x")
        .header("Sealwright-Receipt", "request")
        .body(Full::new(Bytes::from(set.request(&set.samples[0]))))
        .unwrap()
}

#[tokio::test]
async fn a_receipt_that_came_through_the_proxy_is_verified_with_the_evidence_that_the_proxy_kept() {
    let running = Running::start().await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps: Keeper = {
        let kept = Arc::clone(&kept);
        Arc::new(move |evidence| {
            kept.lock().unwrap().push(evidence);
            Ok(())
        })
    };
    // Each request goes over a connection of its own.
    let limits = proxy::Limits { connection_age: Duration::ZERO, ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_with(limits, Some(keeps), std::future::pending()).await;
    let mut sender = plain(proxy).await;
    for connections in 2..4 {
        let response = sender.send_request(asking_for_a_receipt()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let receipt = response.headers()["sealwright-receipt"].to_str().unwrap().to_owned();
        let response = response.into_body().collect().await.unwrap().to_bytes();
        let kept = kept.lock().unwrap().clone();
        assert_eq!(kept.len(), connections);
        let (judge, request) = (running.world.judge(), asking_for_a_receipt());
        let request = request.into_body().collect().await.unwrap().to_bytes();
        let expected = Expected { request: Some(&request), response: Some(&response), ..Expected::default() };
        let verified = |evidence| Unverified::parse(&receipt).unwrap().verify(evidence, &judge, &expected);
        verified(kept.last().unwrap()).unwrap();
        assert!(verified(&kept[0]).is_err(), "another connection's evidence");
    }
}

#[tokio::test]
async fn nobody_gets_a_receipt_through_a_proxy_that_keeps_no_evidence() {
    let running = Running::start().await;
    let proxy = running.proxy().await;
    let response = plain(proxy).await.send_request(asking_for_a_receipt()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("start it with --receipt DIR"), "{body:?}");

    let channel = tonic::transport::Endpoint::try_from(format!("http://{proxy}")).unwrap().connect().await.unwrap();
    let mut request = tonic::Request::new(infer_request("digits", vec![0.0; 64]));
    request.metadata_mut().insert("sealwright-receipt", "request".parse().unwrap());
    let refused = GrpcInferenceServiceClient::new(channel).model_infer(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(!running.engine.metrics().text().contains("prediction_seconds_count{"), "nothing was predicted");
}

#[tokio::test]
async fn a_connection_whose_evidence_cannot_be_kept_is_not_used() {
    let running = Running::start().await;
    let full = || -> Keeper { Arc::new(|_| Err("the disk is full".into())) };
    let (address, limits) = (running.address.to_string(), proxy::Limits::default());
    let refused = Upstream::connect(running.world.connector(), &address, limits, Some(full())).await.err().unwrap();
    assert!(matches!(&refused, ProxyError::Keep(why) if why.to_string() == "the disk is full"), "{refused}");

    let room = Mutex::new(1);
    let first_only: Keeper = Arc::new(move |_| {
        let mut room = room.lock().unwrap();
        *room -= 1;
        if *room < 0 { Err("the disk is full".into()) } else { Ok(()) }
    });
    let limits = proxy::Limits { connection_age: Duration::ZERO, ..limits };
    let (proxy, _) = running.proxy_with(limits, Some(first_only), std::future::pending()).await;
    let response = plain(proxy).await.send_request(asking_for_a_receipt()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("the disk is full"), "{body:?}");
    assert!(!running.engine.metrics().text().contains("prediction_seconds_count{"), "nothing was predicted");
}

#[tokio::test]
async fn the_proxy_keeps_the_exchange_to_itself() {
    let running = Running::start().await;
    let proxy = running.proxy().await;
    let mut sender = plain(proxy).await;
    let refused = Bytes::from(r#"{"error":"the exchange of evidence is this proxy's own business with the server"}"#);
    let absolute = format!("http://elsewhere{ATTEST_PATH}");
    let paths = support::near_the_exchange().chain([ATTEST_PATH, "/sealwright/v0/attest?x", &absolute]);
    for path in paths {
        assert_eq!(post(&mut sender, path, "{}").await, (StatusCode::FORBIDDEN, refused.clone()), "{path}");
    }
    let other = post(&mut sender, "/sealwright/v0/attest/more", "{}").await;
    assert_eq!(other.0, StatusCode::NOT_FOUND, "the server's answer");

    let stream = TokioIo::new(TcpStream::connect(proxy).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut http2, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    tokio::spawn(connection);
    for path in support::near_the_exchange().chain([ATTEST_PATH]) {
        let request = Request::post(format!("http://x{path}")).body(Full::new(Bytes::from("{}"))).unwrap();
        assert_eq!(http2.send_request(request).await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn the_proxy_reconnects_and_verifies_again_when_the_server_was_restarted() {
    let mut running = Running::start().await;
    let proxy = running.proxy().await;
    let mut sender = plain(proxy).await;
    let set = sample_set();
    assert_eq!(post(&mut sender, "/v2/models/digits/infer", set.request(&set.samples[0])).await.0, StatusCode::OK);

    running.stop.take().unwrap().send(()).unwrap();
    running.task.await.unwrap();
    let (status, body) = post(&mut sender, "/v2/models/digits/infer", set.request(&set.samples[0])).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body:?}");

    let backend: Arc<dyn Backend> = Arc::new(running.world.td.clone());
    let transport = Arc::new(Transport::new(backend, Some(POLICY)).await.unwrap());
    let listener = TcpListener::bind(running.address).await.unwrap();
    tokio::spawn(serve(listener, transport, Arc::clone(&running.engine), std::future::pending()));
    assert_eq!(post(&mut sender, "/v2/models/digits/infer", set.request(&set.samples[0])).await.0, StatusCode::OK);
}

/// How often a server has shown evidence.
fn exchanges(running: &Running) -> usize {
    let text = running.engine.metrics().text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"sealwright_serving_requests_total{protocol="other",code="200"} "#));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn the_proxy_judges_anew_once_a_judgement_is_old() {
    for (connection_age, judged) in [(proxy::MAX_AGE, [1, 1, 2, 2]), (Duration::ZERO, [2, 3, 4, 5])] {
        let running = Running::start().await;
        let limits = proxy::Limits { connection_age, ..proxy::Limits::default() };
        let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
        let mut sender = plain(proxy).await;
        let set = sample_set();
        for times in &judged[..2] {
            let request = set.request(&set.samples[0]);
            assert_eq!(post(&mut sender, "/v2/models/digits/infer", request).await.0, StatusCode::OK);
            assert_eq!(exchanges(&running), *times, "over HTTP/1.1");
        }
        let channel = tonic::transport::Endpoint::try_from(format!("http://{proxy}")).unwrap().connect().await.unwrap();
        let mut grpc = GrpcInferenceServiceClient::new(channel);
        for times in &judged[2..] {
            grpc.model_infer(infer_request("digits", vec![0.0; 64])).await.unwrap();
            assert_eq!(exchanges(&running), *times, "over HTTP/2");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_refused_later_gets_no_more_from_the_proxy_and_what_it_has_is_finished() {
    let (file, key) = sealed();
    let sealed = SealedModel::new(file.clone()).unwrap();
    let named = LoadModel::new(sealed.header(), sealed.sha384());
    let running = Running::start_with(vec![file], key).await;
    let latch = running.slow_model();
    let limits = proxy::Limits { connection_age: Duration::ZERO, ..proxy::Limits::default() };
    let connector = connector_for(&running.world, &[&named]);
    let upstream = Upstream::connect(connector, &running.address.to_string(), limits, None).await.unwrap();
    let listener = proxy::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let proxy = listener.local_addr().unwrap();
    tokio::spawn(proxy::serve(listener, Arc::new(upstream), std::future::pending()));
    let endpoint = tonic::transport::Endpoint::try_from(format!("http://{proxy}")).unwrap();
    let mut grpc = GrpcInferenceServiceClient::new(endpoint.connect().await.unwrap());
    let slow = ModelInferRequest { model_name: "slow".into(), ..ModelInferRequest::default() };
    let mut under_way = grpc.clone();
    let under_way = tokio::spawn(async move { under_way.model_infer(slow).await });
    latch.entered.acquire().await.unwrap().forget();

    running.world.td.extend(&LoadModel { version: 9, ..named }.event().unwrap()).unwrap();
    let refused = grpc.model_infer(infer_request("digits", vec![0.0; 64])).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let (status, body) = post(&mut plain(proxy).await, "/v2/models/digits/infer", "{}").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body:?}");
    latch.open();
    under_way.await.unwrap().unwrap();
}

/// A model that tells where it ran, and takes its time once for each that it is told to.
struct Tells {
    ran: Mutex<Sender<ThreadId>>,
    long: Mutex<Receiver<Duration>>,
}

impl Model for Tells {
    fn inputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn outputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn run(&self, _: &[Tensor]) -> sealwright_serving::Result<Vec<Tensor>> {
        self.ran.lock().unwrap().send(thread::current().id()).unwrap();
        self.long.lock().unwrap().try_recv().into_iter().for_each(thread::sleep);
        Ok(vec![])
    }
}

#[tokio::test]
async fn a_model_runs_where_its_connection_is_served_for_as_long_as_it_is_prompt() {
    let running = Running::start().await;
    let ((ran, threads), (take, long)) = (channel(), channel());
    let model = Tells { ran: Mutex::new(ran), long: Mutex::new(long) };
    running.engine.registry().insert(support::servable("tells", 1, Box::new(model)));
    let mut client = running.client().await;
    let mut run = async || {
        let target = Target { model: "tells", version: None };
        client.infer(target, Bytes::from_static(b"{}"), false).await.unwrap();
        threads.recv().unwrap()
    };
    let worker = run().await;
    // As soon as the machine lets it be prompt.
    while run().await == worker {}
    let here = run().await;
    take.send(Duration::from_millis(100)).unwrap();
    let _either = run().await;
    for _ in 0..20 {
        assert_eq!(run().await, worker, "one that took long is not waited for by the next connection");
    }
    assert_ne!(here, worker);
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_the_server() {
    let mut running = Running::start().await;
    let _idle = running.client().await;
    running.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), running.task).await.expect("the server stops").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

/// A connection from this address of the loopback network.
async fn from(source: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source.parse().unwrap()).unwrap();
    socket.connect(server).await.unwrap()
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let limits = Limits { connections: 8, share: 50, handshake_time: PATIENCE * 2, ..Limits::default() };
    let (file, key) = sealed();
    let running = Running::start_within(limits, vec![file], key).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(from("127.0.0.2:0", running.address).await);
    }
    for beyond in silent.split_off(4) {
        ends(&mut { beyond }).await;
    }
    let client = tokio::time::timeout(PATIENCE / 4, running.client());
    let mut client = client.await.expect("another address gets a connection");
    assert!(client.query(&sample_set(), None).await.unwrap().all_agree());
    drop(silent);
}

#[tokio::test]
async fn a_proxy_on_an_address_that_others_reach_does_not_start() {
    let error = proxy::bind("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ProxyError::NotLoopback(_)), "{error}");
}

/// How long a test waits for what must happen: only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn ends(stream: &mut TcpStream) {
    let reading = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection ends");
}

/// A local connection on which the proxy has begun to read the body of a request, and waits for its rest.
async fn half_a_request(proxy: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    let head = "POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut goes_on = [0; 25];
    stream.read_exact(&mut goes_on).await.unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn silent_local_connections_end_and_others_get_their_places() {
    let running = Running::start().await;
    let limits = proxy::Limits { connections: 4, idle_time: Duration::from_millis(200), ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let mut silent = Vec::new();
    for said in [&b""[..], b"GET / HTT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HT"] {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    let mut sender = plain(proxy).await;
    let set = sample_set();
    let answer = post(&mut sender, "/v2/models/digits/infer", set.request(&set.samples[0]));
    assert_eq!(tokio::time::timeout(PATIENCE, answer).await.expect("a place becomes free").0, StatusCode::OK);
    for stream in &mut silent {
        ends(stream).await;
    }
}

#[tokio::test]
async fn the_proxy_takes_a_place_before_it_reads_a_body() {
    let running = Running::start().await;
    let limits = proxy::Limits { requests: 1, ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let half = half_a_request(proxy).await;
    let mut sender = plain(proxy).await;
    let set = sample_set();
    let request = set.request(&set.samples[0]);
    let (status, body) = post(&mut sender, "/v2/models/digits/infer", request.clone()).await;
    assert_eq!(
        (status, &body[..]),
        (StatusCode::SERVICE_UNAVAILABLE, &br#"{"error":"1 requests are under way already"}"#[..])
    );
    drop(half);
    let free =
        async { while post(&mut sender, "/v2/models/digits/infer", request.clone()).await.0 != StatusCode::OK {} };
    tokio::time::timeout(PATIENCE, free).await.expect("the place becomes free");
}

#[tokio::test]
async fn the_proxy_holds_so_many_bytes_of_requests() {
    let running = Running::start().await;
    let limits = proxy::Limits { held_bytes: 1 << 20, ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let mut sender = plain(proxy).await;
    let set = sample_set();
    let request = set.request(&set.samples[0]);
    let full = r#"{"error":"this server has 1048576 bytes of requests already; try again later"}"#;
    let refused = async {
        loop {
            let mut half = TcpStream::connect(proxy).await.unwrap();
            let head =
                format!("POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 1 << 20);
            half.write_all(head.as_bytes()).await.unwrap();
            half.write_all(&vec![b' '; (1 << 20) - 1]).await.unwrap();
            // A request that comes before all of this was read takes its room, so there is another half then.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (status, body) = post(&mut sender, "/v2/models/digits/infer", request.clone()).await;
            if status != StatusCode::OK {
                assert_eq!((status, &body[..]), (StatusCode::SERVICE_UNAVAILABLE, full.as_bytes()));
                return half;
            }
        }
    };
    drop(tokio::time::timeout(PATIENCE, refused).await.expect("there is no room"));
    let free =
        async { while post(&mut sender, "/v2/models/digits/infer", request.clone()).await.0 != StatusCode::OK {} };
    tokio::time::timeout(PATIENCE, free).await.expect("the room becomes free");
}

/// The server answers such a request before it has read it, and ends the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_servers_reason_for_a_body_that_is_too_long_comes_through_the_proxy() {
    let running = Running::start().await;
    let proxy = running.proxy().await;
    let reason = format!(r#"{{"error":"bytes of the body: expected at most {}, found {}"}}"#, 16 << 20, 60 << 20);
    for _ in 0..5 {
        let answer = post(&mut plain(proxy).await, "/v2/models/digits/infer", vec![b' '; 60 << 20]).await;
        assert_eq!(answer, (StatusCode::PAYLOAD_TOO_LARGE, reason.clone().into()));
    }
}

#[tokio::test]
async fn the_proxy_holds_a_place_until_the_answer_was_taken() {
    let running = Running::start().await;
    let limits = proxy::Limits { requests: 1, ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let stream = TokioIo::new(TcpStream::connect(proxy).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (mut slow, connection) = builder.initial_stream_window_size(0).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{proxy}/v2/models/digits")).body(Full::<Bytes>::default()).unwrap();
    let unread = slow.send_request(request).await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let mut sender = plain(proxy).await;
    let (status, _) = post(&mut sender, "/v2/models/digits/infer", "{}").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_proxy_says_how_many_streams_it_takes() {
    let running = Running::start().await;
    let limits = proxy::Limits { streams: 7, ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    // A preface and empty SETTINGS (RFC 9113, sections 3.4 and 6.5).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    // SETTINGS_MAX_CONCURRENT_STREAMS.
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 7]), "{settings:?}");
}

#[tokio::test]
async fn the_proxy_waits_for_an_answer_only_so_long() {
    let running = Running::start().await;
    let latch = running.slow_model();
    let limits = proxy::Limits { request_time: Duration::from_millis(200), ..proxy::Limits::default() };
    let (proxy, _) = running.proxy_until(limits, std::future::pending()).await;
    let mut half = half_a_request(proxy).await;
    let mut answer = [0; 12];
    half.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");

    let (status, body) = post(&mut plain(proxy).await, "/v2/models/slow/infer", "{}").await;
    assert_eq!((status, &body[..]), (StatusCode::GATEWAY_TIMEOUT, &br#"{"error":"no answer within 200ms"}"#[..]));
    let channel = tonic::transport::Endpoint::try_from(format!("http://{proxy}")).unwrap().connect().await.unwrap();
    let mut grpc = GrpcInferenceServiceClient::new(channel);
    let slow = ModelInferRequest { model_name: "slow".into(), ..ModelInferRequest::default() };
    assert_eq!(grpc.model_infer(slow).await.unwrap_err().code(), Code::DeadlineExceeded);
    latch.open();
}

#[tokio::test]
async fn a_proxy_that_stops_finishes_what_is_under_way() {
    let running = Running::start().await;
    let latch = running.slow_model();
    let (stop, stopped) = oneshot::channel::<()>();
    let (proxy, serving) = running.proxy_until(proxy::Limits::default(), async { drop(stopped.await) }).await;
    let mut sender = plain(proxy).await;
    let under_way = tokio::spawn(async move { post(&mut sender, "/v2/models/slow/infer", "{}").await });
    latch.entered.acquire().await.unwrap().forget();
    stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(proxy).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("no new connections are taken");
    latch.open();
    assert_eq!(under_way.await.unwrap().0, StatusCode::OK);
    tokio::time::timeout(PATIENCE, serving).await.expect("the proxy stops").unwrap();
}

/// Over HTTP/2 a client is asked whether it has heard, and this one never answers.
#[tokio::test]
async fn a_proxy_that_stops_does_not_wait_for_a_client_that_says_nothing() {
    let running = Running::start().await;
    let limits = proxy::Limits { request_time: PATIENCE * 10, ..proxy::Limits::default() };
    let (stop, stopped) = oneshot::channel::<()>();
    let (proxy, serving) = running.proxy_until(limits, async { drop(stopped.await) }).await;
    let mut silent = TcpStream::connect(proxy).await.unwrap();
    // The preface and empty settings (RFC 9113, section 3.4).
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    silent.read_exact(&mut settings).await.unwrap();
    assert_eq!(settings[3], 4, "the server's settings");
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, serving).await.expect("the proxy stops").unwrap();
}
