//! What a user waits for: one prediction of the digits model, in process and over attested connections on loopback.
//!
//! `in process` is the runtime alone, on a thread where it computes at once. Everything else is that and a kept-alive
//! connection to a server in the same process: the client on one thread, the server's runtime and its worker on others.
//! `bytes to another thread and back` is what the system takes for such a connection, whoever uses it.

#[path = "../../channel/tests/world/mod.rs"]
mod world;

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use sealwright_channel::ratls::{Protocol, Sender, body};
use sealwright_serving::{
    Data, Engine, Limits, Pace, Registry, Rten, Runtime, Servable, Tensor, Transport, Version,
    client::{Client, Target},
    proto::tensorflow::{
        DataType, TensorProto, TensorShapeProto,
        serving::{ModelSpec, PredictRequest},
        tensor_shape_proto::Dim,
    },
    proxy::{self, Upstream},
    samples::SampleSet,
    serve,
};
use sealwright_wire::Digest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
};
use world::World;

const SOLUTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../solutions/sealed-model");
const GRPC_PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";

fn pixels() -> Vec<f32> {
    (0u8..64).map(|place| f32::from(place % 17)).collect()
}

/// A server with one worker, on a runtime of its own.
struct Bench {
    world: World,
    server: runtime::Runtime,
    engine: Arc<Engine>,
    address: SocketAddr,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        let server = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let rten: Arc<dyn Runtime> = Arc::new(Rten::default());
        let onnx = std::fs::read(format!("{SOLUTION}/model.onnx")).unwrap();
        let registry = Arc::new(Registry::new());
        registry.insert(Servable {
            name: "digits".into(),
            version: 1,
            sha384: Digest::ZERO,
            platform: rten.name(),
            model: rten.load("digits", &onnx).unwrap(),
            pace: Pace::default(),
        });
        let engine = Arc::new(Engine::start(registry, &rten, 1, Limits::default()).unwrap());
        let address = server.block_on(async {
            let transport = Arc::new(Transport::new(Arc::new(world.td.clone()), None).await.unwrap());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(listener, transport, Arc::clone(&engine), std::future::pending()));
            address
        });
        Self { world, server, engine, address }
    }

    fn proxy(&self) -> SocketAddr {
        self.server.block_on(async {
            let upstream =
                Upstream::connect(self.world.connector(), &self.address.to_string(), proxy::Limits::default(), None)
                    .await
                    .unwrap();
            let listener = proxy::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(proxy::serve(listener, Arc::new(upstream), std::future::pending()));
            address
        })
    }
}

/// Times `iterations` of an asynchronous call, one after the other.
async fn timed(iterations: u64, mut call: impl AsyncFnMut()) -> Duration {
    let started = Instant::now();
    for _ in 0..iterations {
        call().await;
    }
    started.elapsed()
}

fn in_process(criterion: &mut Criterion) {
    let onnx = std::fs::read(format!("{SOLUTION}/model.onnx")).unwrap();
    let rten = Rten::default();
    let model = rten.load("digits", &onnx).unwrap();
    let input = [Tensor::new("pixels", vec![1, 64], Data::F32(pixels())).unwrap()];
    criterion.bench_function("predict/in process", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            rten.enter(&mut || {
                let started = Instant::now();
                (0..iterations).for_each(|_| drop(black_box(model.run(black_box(&input)).unwrap())));
                took = started.elapsed();
            });
            took
        });
    });
}

fn in_process_with_workers(criterion: &mut Criterion, bench: &Bench, client: &runtime::Runtime) {
    let servable = bench.engine.registry().find("digits", &Version::Latest).unwrap();
    let input = Tensor::new("pixels", vec![1, 64], Data::F32(pixels())).unwrap();
    criterion.bench_function("predict/in process, by a worker", |bencher| {
        bencher.iter_custom(|iterations| {
            client.block_on(timed(iterations, async || {
                let inputs = vec![("pixels".to_owned(), input.clone())];
                black_box(bench.engine.predict(&servable, inputs, &[0]).await.unwrap());
            }))
        });
    });
}

/// What the system takes for as many bytes to a thread and back, whatever is done with them.
fn round_trip(criterion: &mut Criterion, bench: &Bench, client: &runtime::Runtime) {
    const BYTES: usize = 400;
    let mut stream = client.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (served, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        served.set_nodelay(true).unwrap();
        let served = served.into_std().unwrap();
        bench.server.spawn(async move {
            let mut served = TcpStream::from_std(served).unwrap();
            let mut bytes = [0; BYTES];
            while served.read_exact(&mut bytes).await.is_ok() {
                served.write_all(&bytes).await.unwrap();
            }
        });
        stream
    });
    let mut bytes = [0; BYTES];
    criterion.bench_function("predict/bytes to another thread and back", |bencher| {
        bencher.iter_custom(|iterations| {
            client.block_on(timed(iterations, async || {
                stream.write_all(&bytes).await.unwrap();
                stream.read_exact(&mut bytes).await.unwrap();
            }))
        });
    });
}

fn over_ratls(criterion: &mut Criterion, bench: &Bench, client: &runtime::Runtime) {
    let set = SampleSet::from_json(&std::fs::read(format!("{SOLUTION}/samples.json")).unwrap()).unwrap();
    let request = Bytes::from(set.request(&set.samples[0]));
    let target = Target { model: "digits", version: None };
    let (connector, address) = (bench.world.connector(), bench.address.to_string());
    let mut connection = client.block_on(Client::connect(&connector, &address)).unwrap();
    for (name, receipt) in [("predict/over ra-tls", false), ("predict/over ra-tls, with receipt", true)] {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                client.block_on(timed(iterations, async || {
                    black_box(connection.infer(target, request.clone(), receipt).await.unwrap());
                }))
            });
        });
    }
}

/// A `Predict` call in its gRPC frame.
fn grpc_request() -> Bytes {
    let dim = |size| Dim { size, name: String::new() };
    let tensor = TensorProto {
        dtype: DataType::DtFloat.into(),
        tensor_shape: Some(TensorShapeProto { dim: vec![dim(1), dim(64)], unknown_rank: false }),
        float_val: pixels(),
        ..TensorProto::default()
    };
    let message = PredictRequest {
        model_spec: Some(ModelSpec { name: "digits".into(), ..ModelSpec::default() }),
        inputs: [("pixels".to_owned(), tensor)].into(),
        output_filter: vec![],
    };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

async fn call_grpc(sender: &mut Sender, frame: Bytes) {
    let request = Request::post(GRPC_PREDICT).header("content-type", "application/grpc").header("te", "trailers");
    let response = sender.send(request.body(body(frame)).unwrap()).await.unwrap();
    let answer = response.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
}

fn over_ratls_grpc(criterion: &mut Criterion, bench: &Bench, client: &runtime::Runtime) {
    let frame = grpc_request();
    let connector = bench.world.connector();
    let connected = client.block_on(connector.connect(&bench.address.to_string(), Protocol::Http2)).unwrap();
    let mut sender = connected.sender;
    criterion.bench_function("predict/over ra-tls, grpc", |bencher| {
        bencher.iter_custom(|iterations| {
            client.block_on(timed(iterations, async || call_grpc(&mut sender, frame.clone()).await))
        });
    });
}

fn through_the_proxy(criterion: &mut Criterion, bench: &Bench, client: &runtime::Runtime) {
    let proxy = bench.proxy();
    let request = Bytes::from(format!("{{\"instances\": [{:?}]}}", pixels()));
    let mut sender = client.block_on(async {
        let stream = TcpStream::connect(proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    });
    criterion.bench_function("predict/over ra-tls, through the proxy", |bencher| {
        bencher.iter_custom(|iterations| {
            client.block_on(timed(iterations, async || {
                let asked = Request::post("/v1/models/digits:predict").header("host", "localhost");
                let response = sender.send_request(asked.body(Full::new(request.clone())).unwrap()).await.unwrap();
                assert!(response.status().is_success());
                black_box(response.into_body().collect().await.unwrap());
            }))
        });
    });
}

fn predict(criterion: &mut Criterion) {
    in_process(criterion);
    let bench = Bench::new();
    let client = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    in_process_with_workers(criterion, &bench, &client);
    round_trip(criterion, &bench, &client);
    over_ratls(criterion, &bench, &client);
    over_ratls_grpc(criterion, &bench, &client);
    through_the_proxy(criterion, &bench, &client);
}

criterion_group!(benches, predict);
criterion_main!(benches);
