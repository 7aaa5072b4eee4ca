#![no_main]

use axum::{Extension, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use sealwright_serving::{
    BoxFuture, Engine, Exchange, Limits, Pace, Registry, Rten, Runtime, Servable, Session, SessionHandle, router,
};
use sealwright_wire::Digest;
use std::sync::{Arc, LazyLock};
use tower::ServiceExt as _;

const MODEL: &[u8] = include_bytes!("../../solutions/sealed-model/model.onnx");
/// Whatever takes a body, REST and gRPC.
const ROUTES: [(&str, bool); 6] = [
    ("/v1/models/digits:predict", false),
    ("/v2/models/digits/infer", false),
    ("/tensorflow.serving.PredictionService/Predict", true),
    ("/tensorflow.serving.PredictionService/GetModelMetadata", true),
    ("/tensorflow.serving.ModelService/GetModelStatus", true),
    ("/inference.GRPCInferenceService/ModelInfer", true),
];

/// A connection on which the exchange is over.
struct Attested;

impl Session for Attested {
    fn is_attested(&self) -> bool {
        true
    }

    fn attest(&self, _request: Bytes) -> BoxFuture<'_, Response<Bytes>> {
        Box::pin(async { Response::new(Bytes::new()) })
    }

    fn receipt(&self, _exchange: &Exchange<'_>) -> Result<String, String> {
        Ok(String::new())
    }
}

static TOKIO: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let runtime: Arc<dyn Runtime> = Arc::new(Rten::default());
    let registry = Arc::new(Registry::new());
    let model = runtime.load("digits", MODEL).expect("the model loads");
    registry.insert(Servable { name: "digits".into(), version: 1, sha384: Digest::ZERO, platform: "onnx_rten", model, pace: Pace::default() });
    Arc::new(Engine::start(registry, &runtime, 1, Limits::default()).expect("threads"))
});

// The first byte chooses the route; the rest is the body, or the message that gRPC frames.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let (path, grpc) = ROUTES[usize::from(*first) % ROUTES.len()];
    let mut request = Request::post(path);
    let mut bytes = body.to_vec();
    if grpc {
        request = request.header("content-type", "application/grpc");
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        bytes = [&[0][..], &length.to_be_bytes(), body].concat();
    }
    let request = request.body(Body::from(bytes)).expect("a request");
    let app = router(Arc::clone(&ENGINE)).layer(Extension(SessionHandle(Arc::new(Attested))));
    TOKIO.block_on(async {
        let response = app.oneshot(request).await.unwrap_or_else(|never| match never {});
        let _ = response.into_body().collect().await;
    });
});
