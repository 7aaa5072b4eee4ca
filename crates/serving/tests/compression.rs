//! Compressed requests, as stock clients send them, and compressed attacks.

mod support;

use std::{io::Write as _, sync::atomic::Ordering};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http_body_util::BodyExt as _;
use sealwright_serving::proto::{
    inference::{ModelMetadataRequest, grpc_inference_service_client::GrpcInferenceServiceClient},
    tensorflow::serving::{GetModelStatusRequest, ModelSpec, model_service_client::ModelServiceClient},
};
use serde_json::{Value, json};
use support::{Server, infer_request};
use tonic::{Code, codec::CompressionEncoding};
use tower::ServiceExt as _;

const INFER: &str = "/v2/models/digits/infer";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn infer_json() -> Vec<u8> {
    let input = json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": vec![0.5; 64] });
    json!({ "inputs": [input] }).to_string().into_bytes()
}

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (StatusCode, Bytes) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = server.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn rest_takes_what_is_compressed() {
    let server = Server::digits();
    let plain = post(&server, INFER, &[], infer_json()).await;
    assert_eq!(plain.0, StatusCode::OK);
    for (encoding, body) in
        [("gzip", gzip(&infer_json())), ("deflate", deflate(&infer_json())), ("identity", infer_json())]
    {
        assert_eq!(post(&server, INFER, &[("content-encoding", encoding)], body).await, plain, "{encoding}");
    }
    let rows = json!({ "instances": [vec![0.5; 64]] }).to_string();
    let predict = post(&server, "/v1/models/digits:predict", &[("content-encoding", "gzip")], gzip(rows.as_bytes()));
    assert_eq!(predict.await.0, StatusCode::OK);
}

#[tokio::test]
async fn binary_tensors_may_be_compressed_together_with_the_json_before_them() {
    let server = Server::digits();
    let parameters = json!({ "binary_data_size": 256 });
    let input = json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "parameters": parameters });
    let text = json!({ "inputs": [input] }).to_string();
    let raw: Vec<u8> = [0.5f32; 64].iter().flat_map(|value| value.to_le_bytes()).collect();
    let length = text.len().to_string();
    let headers = [("content-encoding", "gzip"), ("inference-header-content-length", length.as_str())];
    let answer = post(&server, INFER, &headers, gzip(&[text.as_bytes(), &raw].concat())).await;
    assert_eq!(answer, post(&server, INFER, &[], infer_json()).await);
}

#[tokio::test]
async fn what_cannot_be_inflated_is_refused_with_the_reason() {
    let server = Server::digits();
    for (encoding, body, status, problem) in [
        (
            "br",
            infer_json(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-encoding: expected `gzip`, `deflate` or `identity`, found `br`",
        ),
        (
            "gzip",
            infer_json(),
            StatusCode::BAD_REQUEST,
            "body: expected Gzip from first to last byte, found other bytes",
        ),
        (
            "gzip",
            [gzip(&infer_json()), vec![0]].concat(),
            StatusCode::BAD_REQUEST,
            "body: expected Gzip from first to last byte, found other bytes",
        ),
        (
            "gzip",
            gzip(&vec![b' '; (16 << 20) + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
            "bytes of the body: expected at most 16777216, found 16777217",
        ),
    ] {
        let (found, answer) = post(&server, INFER, &[("content-encoding", encoding)], body).await;
        assert_eq!(found, status);
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["error"], problem);
    }
}

#[tokio::test]
async fn grpc_takes_what_is_compressed() {
    let server = Server::digits();
    let mut plain = GrpcInferenceServiceClient::new(server.router());
    let mut client = GrpcInferenceServiceClient::new(server.router()).send_compressed(CompressionEncoding::Gzip);
    let expected = plain.model_infer(infer_request("digits", vec![0.5; 64])).await.unwrap().into_inner();
    assert_eq!(client.model_infer(infer_request("digits", vec![0.5; 64])).await.unwrap().into_inner(), expected);
    let error = client.model_infer(infer_request("digits", vec![0.5; 5 << 20])).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");

    server.session.attested.store(false, Ordering::SeqCst);
    let metadata = ModelMetadataRequest { name: "digits".into(), version: String::new() };
    assert_eq!(client.model_metadata(metadata).await.unwrap().into_inner().name, "digits");
    assert_eq!(
        client.model_infer(infer_request("digits", vec![0.5; 64])).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    let spec = ModelSpec { name: "digits".into(), ..ModelSpec::default() };
    let mut models = ModelServiceClient::new(server.router()).send_compressed(CompressionEncoding::Gzip);
    models.get_model_status(GetModelStatusRequest { model_spec: Some(spec) }).await.unwrap();
}

#[tokio::test]
async fn what_needs_no_attestation_may_not_be_large_once_it_is_inflated() {
    let server = Server::digits();
    server.session.attested.store(false, Ordering::SeqCst);
    let mut client = GrpcInferenceServiceClient::new(server.router()).send_compressed(CompressionEncoding::Gzip);
    let metadata = ModelMetadataRequest { name: "x".repeat(1 << 20), version: String::new() };
    let error = client.model_metadata(metadata).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::ResourceExhausted, "bytes of the body: expected at most 65536, found 65537")
    );
}
