//! What a request may cost in memory before it is refused: a few times its own size, whatever is in it.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use sealwright_serving::{DataType, Dimension, Limits, Servable, TensorSpec};
use support::{Echo, Server, digits, servable};
use tokio::sync::Mutex;
use tower::ServiceExt as _;

/// The system's allocator, with the bytes in use and the most that ever were.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the arguments that came; counting changes nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BODY: usize = 15 << 20;
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";
const METADATA: &str = "/tensorflow.serving.PredictionService/GetModelMetadata";
/// `RESOURCE_EXHAUSTED`.
const EXHAUSTED: &str = "8";

fn frame(message: &[u8]) -> Bytes {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat().into()
}

/// The field `key` with this content.
fn field(key: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![key];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

/// The answer to a request, and the most memory in use at once meanwhile beyond what was in use before.
async fn cost(server: &Server, request: Request<Body>) -> (Response<Body>, usize) {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let response = server.router().oneshot(request).await.unwrap();
    (response, PEAK.load(Relaxed) - before)
}

/// Held by each test, so that nothing else allocates meanwhile.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_message_of_nothing_but_entries_is_refused_before_it_costs_memory() {
    let _alone = ALONE.lock().await;
    let server = Server::digits();
    let entries = |key: u8| [key, 0].repeat(BODY / 2);
    let tensor = |content: &[u8]| field(0x12, &field(0x12, content));
    for (name, path, message) in [
        ("inputs", INFER, entries(0x2a)),
        ("outputs", INFER, entries(0x32)),
        ("raw_input_contents", INFER, entries(0x3a)),
        ("parameters", INFER, [0x22, 2, 0x12, 0].repeat(BODY / 4)),
        ("parameters of an input", INFER, field(0x2a, &entries(0x22))),
        ("strings of an input", INFER, field(0x2a, &field(0x2a, &entries(0x42)))),
        ("contents that are merged", INFER, field(0x2a, &entries(0x2a))),
        ("a shape of short numbers", INFER, field(0x2a, &field(0x1a, &vec![1; BODY]))),
        ("a shape of short numbers, one by one", INFER, field(0x2a, &[0x18, 1].repeat(BODY / 2))),
        ("dimensions", PREDICT, tensor(&field(0x12, &entries(0x12)))),
        ("strings of a tensor", PREDICT, tensor(&entries(0x42))),
        ("short numbers of a tensor", PREDICT, tensor(&field(0x52, &vec![1; BODY]))),
        ("output_filter", PREDICT, entries(0x1a)),
        ("metadata_field", METADATA, entries(0x12)),
    ] {
        let request = Request::post(path).header("content-type", "application/grpc").body(Body::from(frame(&message)));
        let (response, peak) = cost(&server, request.unwrap()).await;
        assert_eq!(response.headers()["grpc-status"], EXHAUSTED, "{name}");
        assert!(peak < 3 * message.len(), "{name}: {peak} bytes for {}", message.len());
    }
}

/// A model with one input `x` that takes any number of elements of this type.
fn any_of(data_type: DataType) -> Servable {
    let shape = vec![Dimension::Any("batch".into())];
    let name = data_type.name().to_lowercase();
    servable(&name, 1, Box::new(Echo(vec![TensorSpec { name: "x".into(), data_type, shape }])))
}

/// A list of as many of these elements as a body holds.
fn list(element: &str) -> String {
    let elements = vec![element; BODY / (element.len() + 1)];
    format!("[{}]", elements.join(","))
}

/// `instances` of a model with one input.
fn rows(element: &str) -> String {
    format!(r#"{{"instances": {}}}"#, list(element))
}

#[tokio::test]
async fn json_of_nothing_but_small_values_is_refused_before_it_costs_memory() {
    const DIGITS: &str = "/v1/models/digits:predict";
    const STRINGS: &str = "/v1/models/bytes:predict";
    const DOUBLES: &str = "/v1/models/fp64:predict";
    const INFER_STRINGS: &str = "/v2/models/bytes/infer";
    let _alone = ALONE.lock().await;
    let server = Server::new([digits(1), any_of(DataType::Bytes), any_of(DataType::F64)], Limits::default());
    let input = |data: &str| format!(r#"{{"name": "x", "shape": [1], "datatype": "BYTES", "data": {data}}}"#);
    for (name, path, body) in [
        ("empty lists", DIGITS, rows("[]")),
        ("empty lists in a list", DIGITS, format!(r#"{{"instances": [{}]}}"#, list("[]"))),
        ("lists of empty lists", DIGITS, rows("[[],[]]")),
        ("empty lists as columns", DIGITS, format!(r#"{{"inputs": {}}}"#, list("[]"))),
        ("numbers", DIGITS, rows("0")),
        ("lists of a number", DIGITS, rows("[0]")),
        ("rows with names", DIGITS, rows(r#"{"pixels":0}"#)),
        ("doubles", DOUBLES, rows("0")),
        ("doubles as columns", DOUBLES, format!(r#"{{"inputs": {}}}"#, list("0"))),
        ("empty strings", STRINGS, rows(r#""""#)),
        ("empty strings as columns", STRINGS, format!(r#"{{"inputs": {}}}"#, list(r#""""#))),
        ("empty binary strings", STRINGS, rows(r#"{"b64":""}"#)),
        ("empty strings of an input", INFER_STRINGS, format!(r#"{{"inputs": [{}]}}"#, input(&list(r#""""#)))),
        ("inputs", INFER_STRINGS, format!(r#"{{"inputs": {}}}"#, list(&input(r#"[""]"#)))),
        ("outputs", INFER_STRINGS, format!(r#"{{"outputs": {}}}"#, list(r#"{"name":""}"#))),
    ] {
        let length = body.len();
        let (response, peak) = cost(&server, Request::post(path).body(Body::from(body)).unwrap()).await;
        let status = response.status();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_client_error(), "{name}: {status}");
        assert!(answer.starts_with(br#"{"error":""#), "{name}: {answer:?}");
        assert!(peak < length / 4, "{name}: {peak} bytes for {length}");
    }
}
