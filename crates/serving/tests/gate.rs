//! What is refused before a model sees it: unattested connections, overload, slow and broken runtimes; and receipts.

mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use prost::Message as _;
use sealwright_serving::{
    ATTEST_PATH, Accepted, Limits, Peer, Protocol, Session,
    proto::{
        inference::{
            ModelInferRequest, ModelReadyRequest, ServerLiveRequest,
            grpc_inference_service_client::GrpcInferenceServiceClient,
        },
        tensorflow::serving::{PredictRequest, prediction_service_client::PredictionServiceClient},
    },
    router, serve_connection,
};
use serde_json::{Value, json};
use support::{Bad, Latch, Server, infer_request, samples, servable};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, codec::CompressionEncoding};
use tower::ServiceExt as _;

const PREDICT: &str = "/v1/models/digits:predict";

fn digits_request() -> ModelInferRequest {
    infer_request("digits", vec![0.5; 64])
}

fn predict_body() -> String {
    json!({ "instances": [samples().samples[0].inputs.pixels] }).to_string()
}

/// A body that never comes.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

async fn call(router: Router, method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn no_inference_before_the_connection_is_attested() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    for (path, body) in [
        (PREDICT, predict_body()),
        ("/v1/models/digits/versions/1:predict", predict_body()),
        ("/v1/models/digits:classify", "{}".into()),
        ("/v2/models/digits/infer", "{}".into()),
        ("/v2/models/digits/versions/1/infer", "{}".into()),
        ("/some/other/route", "{}".into()),
    ] {
        let (status, answer) = call(server.router(), "POST", path, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(answer["error"].as_str().unwrap().contains("has not finished the attestation exchange"), "{answer}");
    }
    let mut open_inference = GrpcInferenceServiceClient::new(server.router());
    let refused = open_inference.model_infer(digits_request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let mut tensorflow = PredictionServiceClient::new(server.router());
    let refused = tensorflow.predict(PredictRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

#[tokio::test]
async fn no_method_opens_the_gate_for_grpc() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    let message = digits_request().encode_to_vec();
    let frame = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    for method in ["GET", "HEAD", "PUT", "OPTIONS", "POST"] {
        for path in ["/inference.GRPCInferenceService/ModelInfer", "/tensorflow.serving.PredictionService/Predict"] {
            let request = Request::builder().method(method).uri(path).header("content-type", "application/grpc");
            let response = server.router().oneshot(request.body(Body::from(frame.clone())).unwrap()).await.unwrap();
            assert_eq!(response.headers()["grpc-status"], "9", "{method} {path}");
        }
    }
    assert!(!server.engine.metrics().text().contains("prediction_seconds_count{"));
}

#[tokio::test]
async fn a_request_without_a_session_is_unattested() {
    let server = Server::digits();
    let (status, _) = call(router(Arc::clone(&server.engine)), "POST", PREDICT, predict_body()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn health_status_and_metadata_need_no_attestation() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    for path in ["/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/digits", "/v1/models/digits", "/metrics"] {
        assert_eq!(call(server.router(), "GET", path, Body::empty()).await.0, StatusCode::OK, "{path}");
    }
    let mut client = GrpcInferenceServiceClient::new(server.router());
    client.server_live(ServerLiveRequest {}).await.unwrap();
    client.model_ready(ModelReadyRequest { name: "digits".into(), version: String::new() }).await.unwrap();
}

#[tokio::test]
async fn the_exchange_opens_the_gate() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    assert_eq!(call(server.router(), "POST", PREDICT, predict_body()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(call(server.router(), "POST", ATTEST_PATH, Body::empty()).await.0, StatusCode::BAD_REQUEST);
    assert!(!server.session.is_attested());
    assert_eq!(call(server.router(), "POST", ATTEST_PATH, "x".repeat(5000)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(call(server.router(), "POST", ATTEST_PATH, "{}").await, (StatusCode::OK, json!({ "evidence": "" })));
    assert_eq!(call(server.router(), "POST", PREDICT, predict_body()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn nothing_but_its_very_path_is_the_exchange() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    for path in support::near_the_exchange() {
        assert_eq!(call(server.router(), "POST", path, "{}").await.0, StatusCode::FORBIDDEN, "{path}");
        assert!(!server.session.is_attested(), "{path}");
    }
    assert_eq!(call(server.router(), "GET", "/v2/health/live/", "").await.0, StatusCode::OK, "others may have a slash");
}

#[tokio::test]
async fn what_needs_no_attestation_may_not_be_large() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    let large = vec![0u8; 1 << 20];
    let frame = [&[0][..], &u32::try_from(large.len()).unwrap().to_be_bytes(), &large].concat();
    for path in ["/tensorflow.serving.ModelService/GetModelStatus", "/inference.GRPCInferenceService/ServerLive"] {
        let request = Request::post(path).header("content-type", "application/grpc");
        let response = server.router().oneshot(request.body(Body::from(frame.clone())).unwrap()).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "8", "{path}");
    }
    for (method, path) in [("POST", ATTEST_PATH), ("GET", "/v2/health/live")] {
        assert_eq!(call(server.router(), method, path, large.clone()).await.0, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test]
async fn what_needs_no_attestation_may_not_be_slow() {
    let limits = Limits { handshake_time: Duration::from_millis(20), ..Limits::default() };
    let server = Server::new([support::digits(1)], limits);
    let endless = Body::new(Endless);
    let (status, _) = call(server.router(), "POST", ATTEST_PATH, endless).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn exchanges_have_so_many_places_of_their_own_and_nobody_else_waits_for_one() {
    let limits = Limits { exchanges: 2, requests: 1, share: 100, ..Limits::default() };
    let server = Server::waiting([support::digits(1)], limits);
    let exchanges: Vec<_> =
        (0..2).map(|_| tokio::spawn(call(server.router(), "POST", ATTEST_PATH, Body::from("{}")))).collect();
    let waiting = server.session.waiting.as_ref().unwrap();
    waiting.entered.acquire_many(2).await.unwrap().forget();
    let (status, answer) = call(server.router(), "POST", ATTEST_PATH, "{}").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["error"], "this server has 2 exchanges of evidence in work already; try again later");
    for path in ["/v2/health/live", "/v2/health/ready", "/metrics"] {
        assert_eq!(call(server.router(), "GET", path, "").await.0, StatusCode::OK, "{path}");
    }
    GrpcInferenceServiceClient::new(server.router()).server_live(ServerLiveRequest {}).await.unwrap();
    assert_eq!(call(server.router(), "POST", PREDICT, predict_body()).await.0, StatusCode::OK);
    waiting.leave.add_permits(2);
    for exchange in exchanges {
        assert_eq!(exchange.await.unwrap().0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_receipt_is_over_the_exact_bytes_of_both_bodies() {
    let server = Server::digits();
    let body = predict_body();
    let request = |value: &str| {
        Request::post(PREDICT).header("Sealwright-Receipt", value).body(Body::from(body.clone())).unwrap()
    };
    let response = server.router().oneshot(request("request")).await.unwrap();
    let receipt = response.headers()["sealwright-receipt"].to_str().unwrap().to_owned();
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(receipt, format!("digits.{}.{}", body.len(), answer.len()));
    assert_eq!(*server.session.exchanged.lock().unwrap(), Some((body.clone().into_bytes(), answer.to_vec())));

    let response = server.router().oneshot(request("please")).await.unwrap();
    assert!(!response.headers().contains_key("sealwright-receipt"), "only `request` asks for one");
}

#[tokio::test]
async fn a_refused_request_gets_no_receipt() {
    let server = Server::digits();
    let request = Request::post(PREDICT).header("Sealwright-Receipt", "request").body(Body::from("{}")).unwrap();
    let response = server.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(!response.headers().contains_key("sealwright-receipt"));
}

#[tokio::test]
async fn over_grpc_a_receipt_is_over_the_messages_and_trailers_survive() {
    let server = Server::digits();
    let mut client = GrpcInferenceServiceClient::new(server.router());
    let mut request = tonic::Request::new(digits_request());
    request.metadata_mut().insert("sealwright-receipt", "request".parse().unwrap());
    let response = client.model_infer(request).await.unwrap();
    let receipt = response.metadata().get("sealwright-receipt").unwrap().to_str().unwrap().to_owned();
    let (asked, answered) = server.session.exchanged.lock().unwrap().clone().unwrap();
    assert_eq!(asked, digits_request().encode_to_vec());
    assert_eq!(answered, response.get_ref().encode_to_vec());
    assert_eq!(receipt, format!("digits.{}.{}", asked.len(), answered.len()));
}

#[tokio::test]
async fn a_receipt_for_a_compressed_message_is_refused_before_anything_is_computed() {
    let server = Server::digits();
    let mut client = GrpcInferenceServiceClient::new(server.router()).send_compressed(CompressionEncoding::Gzip);
    let mut request = tonic::Request::new(digits_request());
    request.metadata_mut().insert("sealwright-receipt", "request".parse().unwrap());
    let error = client.model_infer(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert_eq!(
        error.message(),
        "body: expected one gRPC message that is not compressed, because a receipt is asked for, found other bytes"
    );
    let counts = server.engine.metrics().text();
    assert!(!counts.contains("prediction_seconds_count"), "{counts}");

    client.model_infer(digits_request()).await.unwrap();
    assert!(server.engine.metrics().text().contains("prediction_seconds_count"), "predictions are counted there");
}

#[tokio::test]
async fn a_panic_of_the_runtime_is_one_requests_error() {
    let server = Server::new([servable("bad", 1, Box::new(Bad::Panics)), support::digits(1)], Limits::default());
    for _ in 0..5 {
        let (status, answer) = call(server.router(), "POST", "/v2/models/bad/infer", "{}").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer["error"], "bad: the runtime failed: it panicked; its log has the place");
    }
    assert_eq!(call(server.router(), "POST", PREDICT, predict_body()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn more_requests_than_allowed_are_overload_and_it_passes() {
    const CALLS: usize = 12;
    const TAKEN: usize = 3;
    let latch = Arc::new(Latch::default());
    let limits = Limits { requests: TAKEN, share: 100, ..Limits::default() };
    let server = Server::new([servable("slow", 1, Box::new(Bad::Waits(Arc::clone(&latch))))], limits);
    let (answers, mut answered) = tokio::sync::mpsc::channel(CALLS);
    for _ in 0..CALLS {
        let (router, answers) = (server.router(), answers.clone());
        tokio::spawn(async move {
            answers.send(call(router, "POST", "/v2/models/slow/infer", "{}").await).await.unwrap();
        });
    }
    for _ in 0..CALLS - TAKEN {
        let (status, answer) = answered.recv().await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["error"], "this server has 3 requests in work already; try again later");
    }
    latch.open();
    for _ in 0..TAKEN {
        assert_eq!(answered.recv().await.unwrap().0, StatusCode::OK);
    }
    assert_eq!(call(server.router(), "POST", "/v2/models/slow/infer", "{}").await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_timeout_in_each_protocol() {
    let latch = Arc::new(Latch::default());
    let limits = Limits { request_time: Duration::from_millis(20), ..Limits::default() };
    let server = Server::new([servable("digits", 1, Box::new(Bad::Waits(Arc::clone(&latch))))], limits);
    let (status, answer) = call(server.router(), "POST", "/v2/models/digits/infer", "{}").await;
    assert_eq!((status, answer), (StatusCode::GATEWAY_TIMEOUT, json!({ "error": "no answer within 20ms" })));
    let mut client = GrpcInferenceServiceClient::new(server.router());
    let request = ModelInferRequest { inputs: vec![], ..digits_request() };
    assert_eq!(client.model_infer(request).await.unwrap_err().code(), Code::DeadlineExceeded);
    latch.open();
}

#[tokio::test]
async fn answers_have_the_requests_id_or_a_new_one() {
    let server = Server::digits();
    let id = async |sent: Option<&str>| {
        let mut request = Request::get("/v2/health/live");
        if let Some(sent) = sent {
            request = request.header("x-request-id", sent);
        }
        let response = server.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(Some("a-1")).await, "a-1");
    assert_ne!(id(None).await, id(None).await);
    for bad in ["two words", &"x".repeat(65)] {
        assert_ne!(id(Some(bad)).await, bad);
    }
}

#[tokio::test]
async fn metrics_count_requests_predictions_and_refusals_but_name_no_client() {
    let server = Server::digits();
    call(server.router(), "POST", PREDICT, predict_body()).await;
    call(server.router(), "POST", "/v1/models/made-up-by-a-client:predict", "{}").await;
    let mut client = GrpcInferenceServiceClient::new(server.router());
    client.model_infer(digits_request()).await.unwrap();
    client.model_infer(ModelInferRequest { model_name: "no".into(), ..digits_request() }).await.unwrap_err();
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = server.router().oneshot(request).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    for line in [
        "sealwright_serving_requests_total{protocol=\"tensorflow-rest\",code=\"200\"} 1",
        "sealwright_serving_requests_total{protocol=\"tensorflow-rest\",code=\"404\"} 1",
        "sealwright_serving_requests_total{protocol=\"grpc\",code=\"0\"} 1",
        "sealwright_serving_requests_total{protocol=\"grpc\",code=\"5\"} 1",
        "sealwright_serving_prediction_seconds_count{model=\"digits\",version=\"1\"} 2",
        "sealwright_serving_refusals_total{reason=\"not-found\"} 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("made-up"));
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_over_grpc() {
    let server = Server::new([support::digits(1)], Limits { body_bytes: 200, ..Limits::default() });
    let mut client = GrpcInferenceServiceClient::new(server.router());
    let status = client.model_infer(digits_request()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

/// A port where the same connection's double answers everybody over this version of HTTP.
async fn listen(server: &Server, protocol: Protocol) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (engine, session) = (Arc::clone(&server.engine), server.handle());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (engine, session) = (Arc::clone(&engine), session.clone());
            tokio::spawn(async move {
                let router = router(Arc::clone(&engine));
                let accepted =
                    Accepted { protocol, session, peer: Peer::default(), since: tokio::time::Instant::now() };
                let _ = serve_connection(stream, accepted, &engine, router, std::future::pending()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn every_protocol_is_served_over_a_socket() {
    let server = Server::digits();
    let address = listen(&server, Protocol::Http1).await;
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::post(PREDICT).header("host", "localhost").body(predict_body()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }

    let address = listen(&server, Protocol::Http2).await;
    let channel = tonic::transport::Endpoint::try_from(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = GrpcInferenceServiceClient::new(channel);
    assert_eq!(client.model_infer(digits_request()).await.unwrap().into_inner().outputs[0].shape, [1, 10]);
}
