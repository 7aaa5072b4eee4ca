//! A model server without a TEE: the protocols over a double of the attested connection.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Extension, Router,
    http::{Response, StatusCode},
};
use bytes::Bytes;
use sealwright_channel::wire::Digest;
use sealwright_serving::proto::inference::{
    InferTensorContents, ModelInferRequest, model_infer_request::InferInputTensor,
};
use sealwright_serving::{
    ATTEST_PATH, BoxFuture, Data, Engine, Exchange, Limits, Model, Pace, Registry, Result, Rten, Runtime, Servable,
    Session, SessionHandle, Tensor, TensorSpec, router,
};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// A connection whose attestation a test decides; its receipts are the lengths of what they are over.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) attested: AtomicBool,
    /// The bytes of the last exchange that got a receipt.
    pub(crate) exchanged: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    /// Where exchanges wait, if they should.
    pub(crate) waiting: Option<Waiting>,
}

/// Where exchanges of evidence wait until a test lets them go.
pub(crate) struct Waiting {
    /// How many have come here.
    pub(crate) entered: Semaphore,
    /// How many may go.
    pub(crate) leave: Semaphore,
}

impl Session for Double {
    fn is_attested(&self) -> bool {
        self.attested.load(Ordering::SeqCst)
    }

    fn attest(&self, request: Bytes) -> BoxFuture<'_, Response<Bytes>> {
        Box::pin(async move {
            if let Some(Waiting { entered, leave }) = &self.waiting {
                entered.add_permits(1);
                leave.acquire().await.unwrap().forget();
            }
            let mut response = Response::new(Bytes::from_static(b"{\"evidence\":\"\"}"));
            if request.is_empty() {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            } else {
                self.attested.store(true, Ordering::SeqCst);
            }
            response
        })
    }

    fn receipt(&self, exchange: &Exchange<'_>) -> std::result::Result<String, String> {
        *self.exchanged.lock().unwrap() = Some((exchange.request.to_vec(), exchange.response.to_vec()));
        Ok(format!("{}.{}.{}", exchange.model.name, exchange.request.len(), exchange.response.len()))
    }
}

/// A server under test.
pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) session: Arc<Double>,
}

impl Server {
    /// A server of these models whose client has verified it.
    pub(crate) fn new(models: impl IntoIterator<Item = Servable>, limits: Limits) -> Self {
        Self::with_session(Double { attested: AtomicBool::new(true), ..Double::default() }, models, limits)
    }

    /// The same, but whoever asks for evidence waits.
    pub(crate) fn waiting(models: impl IntoIterator<Item = Servable>, limits: Limits) -> Self {
        let waiting = Some(Waiting { entered: Semaphore::new(0), leave: Semaphore::new(0) });
        Self::with_session(Double { attested: AtomicBool::new(true), waiting, ..Double::default() }, models, limits)
    }

    fn with_session(session: Double, models: impl IntoIterator<Item = Servable>, limits: Limits) -> Self {
        let registry = Arc::new(Registry::new());
        models.into_iter().for_each(|model| registry.insert(model));
        let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
        let engine = Arc::new(Engine::start(registry, &runtime, 2, limits).unwrap());
        Self { engine, session: Arc::new(session) }
    }

    /// The digits model and nothing else.
    pub(crate) fn digits() -> Self {
        Self::new([digits(1)], Limits::default())
    }

    pub(crate) fn handle(&self) -> SessionHandle {
        SessionHandle(Arc::clone(&self.session) as Arc<dyn Session>)
    }

    /// All protocols, called without a socket.
    pub(crate) fn router(&self) -> Router {
        router(Arc::clone(&self.engine)).layer(Extension(self.handle()))
    }
}

pub(crate) fn solution() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../solutions/sealed-model"))
}

pub(crate) fn model_file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models")).join(name)
}

pub(crate) fn servable(name: &str, version: u64, model: Box<dyn Model>) -> Servable {
    Servable { name: name.into(), version, sha384: Digest::ZERO, platform: "onnx_rten", model, pace: Pace::default() }
}

/// The solution's model.
pub(crate) fn digits(version: u64) -> Servable {
    let onnx = std::fs::read(solution().join("model.onnx")).unwrap();
    servable("digits", version, Rten::default().load("digits", &onnx).unwrap())
}

/// The model with an input of every type that the runtime has.
pub(crate) fn types() -> Servable {
    let onnx = std::fs::read(model_file("types.onnx")).unwrap();
    servable("types", 1, Rten::default().load("types", &onnx).unwrap())
}

#[derive(Deserialize)]
pub(crate) struct Samples {
    pub(crate) tolerance: f32,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Deserialize)]
pub(crate) struct Sample {
    pub(crate) inputs: Pixels,
    pub(crate) outputs: Probabilities,
    pub(crate) label: usize,
}

#[derive(Deserialize)]
pub(crate) struct Pixels {
    pub(crate) pixels: Vec<f32>,
}

#[derive(Deserialize)]
pub(crate) struct Probabilities {
    pub(crate) probabilities: Vec<f32>,
}

/// The held-out samples with onnxruntime's answers.
pub(crate) fn samples() -> Samples {
    serde_json::from_slice(&std::fs::read(solution().join("samples.json")).unwrap()).unwrap()
}

/// Asserts that an answer is onnxruntime's.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], sample: &Sample, tolerance: f32) {
    let expected = &sample.outputs.probabilities;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

/// A model of any element types that answers each input under its own name.
pub(crate) struct Echo(pub Vec<TensorSpec>);

impl Model for Echo {
    fn inputs(&self) -> &[TensorSpec] {
        &self.0
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.0
    }

    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(inputs.to_vec())
    }
}

/// A model that panics, or waits until a test lets it go.
pub(crate) enum Bad {
    Panics,
    Waits(Arc<Latch>),
}

pub(crate) struct Latch {
    /// How often a run has come here.
    pub(crate) entered: Semaphore,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Default for Latch {
    fn default() -> Self {
        Self { entered: Semaphore::new(0), open: Mutex::default(), opened: Condvar::default() }
    }
}

impl Latch {
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Model for Bad {
    fn inputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn outputs(&self) -> &[TensorSpec] {
        &[]
    }

    fn run(&self, _: &[Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Self::Panics => panic!("a defect of a runtime"),
            Self::Waits(latch) => {
                latch.entered.add_permits(1);
                drop(latch.opened.wait_while(latch.open.lock().unwrap(), |open| !*open).unwrap());
            }
        }
        Ok(vec![])
    }
}

/// Paths that some servers take for that of the exchange of evidence.
pub(crate) fn near_the_exchange<'a>() -> impl Iterator<Item = &'a str> {
    assert_eq!(ATTEST_PATH, "/sealwright/v0/attest");
    let paths = [
        "/sealwright/v0/attest/",
        "/sealwright/v0/attest/?x",
        "/sealwright/v0/attest//",
        "/sealwright/v0/attest/.",
        "//sealwright/v0/attest",
        "/sealwright//v0/attest",
        "/sealwright/./v0/attest",
        "/sealwright/v1/../v0/attest",
        "/../sealwright/v0/attest",
        "/sealwright/v0/attest;x=1",
        "/sealwright/v0/%61ttest",
        "/sealwright/v0/%2561ttest",
        "/sealwright/v0%2Fattest",
        "/sealwright/v0/%2e/attest%2f",
        "/sealwright\\v0\\attest",
        "/SEALWRIGHT/v0/Attest",
    ];
    paths.into_iter()
}

/// A tensor of one dimension.
pub(crate) fn vector(data: Data) -> Tensor {
    Tensor::new("test", vec![data.len()], data).unwrap()
}

/// A prediction's request: a sample of the model `digits`.
pub(crate) fn infer_request(model: &str, pixels: Vec<f32>) -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: pixels, ..InferTensorContents::default() };
    let input = InferInputTensor {
        name: "pixels".into(),
        datatype: "FP32".into(),
        shape: vec![1, 64],
        contents: Some(contents),
        ..InferInputTensor::default()
    };
    ModelInferRequest { model_name: model.into(), inputs: vec![input], ..ModelInferRequest::default() }
}
