//! What a request may cost in memory before it is refused: a few times its own size, whatever is in it.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{body::Body, http::Request};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use support::Server;
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

/// The code of the answer to a message, and the most memory in use at once meanwhile beyond what was in use before.
async fn cost(server: &Server, path: &str, message: &[u8]) -> (String, usize) {
    let request = Request::post(path).header("content-type", "application/grpc").body(Body::from(frame(message)));
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let response = server.router().oneshot(request.unwrap()).await.unwrap();
    let peak = PEAK.load(Relaxed) - before;
    let code = response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
    response.into_body().collect().await.unwrap();
    (code.unwrap_or_default(), peak)
}

/// One test, so that nothing else allocates meanwhile.
#[tokio::test]
async fn a_message_of_nothing_but_entries_is_refused_before_it_costs_memory() {
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
        let (code, peak) = cost(&server, path, &message).await;
        assert_eq!(code, EXHAUSTED, "{name}");
        assert!(peak < 3 * message.len(), "{name}: {peak} bytes for {}", message.len());
    }
}
