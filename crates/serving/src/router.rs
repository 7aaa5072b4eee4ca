//! All protocols behind one gate.
//!
//! The gate is closed unless a request is known to be harmless: only what [`is_open`] lists is answered on a connection
//! whose client has not verified this server. It also bounds the time of a request, counts it, gives it an id for the log,
//! and sees to receipts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use sealwright_channel::peers::Peer;
use tokio::time::timeout;
use tonic::{Code, codec::CompressionEncoding, service::Routes};
use tower::ServiceExt as _;
use tracing::{debug, info};

use crate::{
    ATTEST_PATH,
    engine::Engine,
    error::{Error, Result},
    metrics,
    oip::{self, grpc::OpenInference},
    places,
    proto::{
        inference::grpc_inference_service_server::GrpcInferenceServiceServer,
        tensorflow::serving::{
            model_service_server::ModelServiceServer, prediction_service_server::PredictionServiceServer,
        },
    },
    receipts::{self, FRAME_HEADER},
    rest::{self, Inflate},
    session::{SessionHandle, Visit},
    tfs::{self, grpc::TensorFlowServing},
};

/// The header with a request's id, in requests and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client.
const MAX_REQUEST_ID: usize = 64;
/// The longest body of an attestation request, in bytes.
const ATTEST_LIMIT: usize = 4 << 10;
/// The longest body of a request that needs no attestation, in bytes.
const OPEN_LIMIT: usize = 64 << 10;
/// What tonic says of a message over its limit. No call here says it of anything else.
const OUT_OF_RANGE: u16 = Code::OutOfRange as u16;
/// What all other implementations of gRPC say of it.
const RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");

/// What may be read: the REST protocols' health, status and metadata, and metrics.
const OPEN_READS: [&str; 3] = ["/v1/models/", "/v2", "/metrics"];

/// gRPC calls that change nothing, compute nothing and take no tensor; and the exchange that opens the gate.
const OPEN_CALLS: [&str; 8] = [
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/inference.GRPCInferenceService/ServerMetadata",
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ModelMetadata",
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.ModelService/GetModelStatus",
    ATTEST_PATH,
];

/// Every protocol over one engine. Requests need a [`SessionHandle`] among their extensions to be let through the gate.
pub fn router(engine: Arc<Engine>) -> Router {
    let rest = Router::new()
        .merge(tfs::rest::routes())
        .merge(oip::rest::routes())
        .route("/metrics", get(metrics))
        .route(ATTEST_PATH, post(attest))
        .with_state(Arc::clone(&engine));
    let routes = rest
        .merge(grpc(&engine))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(from_fn_with_state(engine, gate));
    Router::new().fallback_service(routes.map_request(without_slash))
}

/// No route has a slash at its end, but clients may write one; except for the exchange, which has one path alone, so that nobody
/// between takes it for something else.
fn without_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let Some(path) = uri.path().strip_suffix('/').filter(|path| !["", ATTEST_PATH].contains(path)) else {
        return request;
    };
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

fn grpc(engine: &Arc<Engine>) -> Router {
    let limit = engine.limits().body_bytes;
    let tensorflow = TensorFlowServing(Arc::clone(engine));
    let mut routes = Routes::builder();
    let prediction = PredictionServiceServer::new(tensorflow.clone()).max_decoding_message_size(limit);
    let model = ModelServiceServer::new(tensorflow).max_decoding_message_size(limit);
    let inference = GrpcInferenceServiceServer::new(OpenInference(Arc::clone(engine))).max_decoding_message_size(limit);
    routes
        .add_service(prediction.accept_compressed(CompressionEncoding::Gzip))
        .add_service(model.accept_compressed(CompressionEncoding::Gzip))
        .add_service(inference.accept_compressed(CompressionEncoding::Gzip));
    routes.routes().into_axum_router().reset_fallback()
}

async fn metrics(State(engine): State<Arc<Engine>>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(metrics::MEDIA_TYPE))], engine.metrics().text()).into_response()
}

async fn attest(
    State(engine): State<Arc<Engine>>,
    session: Option<Extension<SessionHandle>>,
    request: Request,
) -> Response {
    let answer = async {
        let body = rest::collect(request.into_body(), ATTEST_LIMIT).await?;
        let no_session = || Error::invalid("connection", "one over RA-TLS", "one without");
        let Extension(SessionHandle(session)) = session.ok_or_else(no_session)?;
        Ok(session.attest(body).await.map(Body::from))
    };
    let answer = answer.await;
    rest::reply(&engine, answer)
}

async fn unknown(request: Request) -> Response {
    let found = format!("{} {}", request.method(), request.uri().path());
    let mut response = Error::invalid("request", "a route of this server", found).into_response();
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Which protocol a request speaks, for metrics and for the form of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    TensorFlowRest,
    OpenInferenceRest,
    Other,
}

impl Protocol {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        if is_grpc(request.headers()) {
            Self::Grpc
        } else if path.starts_with("/v1/") {
            Self::TensorFlowRest
        } else if path.starts_with("/v2") {
            Self::OpenInferenceRest
        } else {
            Self::Other
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::TensorFlowRest => "tensorflow-rest",
            Self::OpenInferenceRest => "open-inference-rest",
            Self::Other => "other",
        }
    }

    /// An error as this protocol says it.
    fn refuse(self, error: Error) -> Response {
        match self {
            Self::Grpc => tonic::Status::from(error).into_http(),
            _ => error.into_response(),
        }
    }

    /// The status that clients of this protocol look at.
    fn code(self, response: &Response) -> u16 {
        let grpc = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        match self {
            Self::Grpc => grpc.unwrap_or(0),
            _ => response.status().as_u16(),
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Whether a request is harmless on a connection whose client has verified nothing. The method alone says nothing: gRPC
/// services look at the path and take any.
fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    match *request.method() {
        Method::GET | Method::HEAD => OPEN_READS.iter().any(|prefix| path.starts_with(prefix)),
        Method::POST => OPEN_CALLS.contains(&path),
        _ => false,
    }
}

async fn gate(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let protocol = Protocol::of(&request);
    let id = request_id(request.headers());
    let path = request.uri().path().to_owned();
    let limit = engine.limits().request_time;
    let answer = match timeout(limit, admitted(&engine, protocol, request, next)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout(limit)),
    };
    let mut response = answer.unwrap_or_else(|error| {
        engine.metrics().refused(error.reason());
        info!(request = ?id, path, reason = error.reason(), "refused");
        protocol.refuse(error)
    });
    if protocol == Protocol::Grpc && protocol.code(&response) == OUT_OF_RANGE {
        response.headers_mut().insert("grpc-status", RESOURCE_EXHAUSTED);
    }
    let (code, took) = (protocol.code(&response), started.elapsed());
    engine.metrics().answered(protocol.name(), code, took);
    debug!(request = ?id, path, protocol = protocol.name(), code, ?took, "answered");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The request's id for logs: the client's, if it has a plain one, or the next number.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let plain = |id: &&HeaderValue| id.len() <= MAX_REQUEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic);
    match headers.get(REQUEST_ID).filter(plain) {
        Some(id) => id.clone(),
        None => HeaderValue::from(NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

async fn admitted(engine: &Engine, protocol: Protocol, request: Request, next: Next) -> Result<Response> {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    if is_open(&request) {
        return open(engine, peer, request, next).await;
    }
    let session = request.extensions().get::<SessionHandle>().cloned();
    let session = session.filter(|session| session.0.is_attested()).ok_or(Error::Unattested)?;
    let response = predicted(engine, peer, &session, protocol, request, next).await?;
    engine.places().sending(peer, response).await
}

/// Answers a request that needs attestation. It takes its place when it has come whole, and gives it back when its answer is
/// there, so that nobody keeps one by sending slowly, or by not reading.
async fn predicted(
    engine: &Engine,
    peer: Peer,
    session: &SessionHandle,
    protocol: Protocol,
    request: Request,
    next: Next,
) -> Result<Response> {
    let grpc = protocol == Protocol::Grpc;
    let limit = engine.limits().body_bytes + if grpc { FRAME_HEADER } else { 0 };
    let (parts, body) = request.into_parts();
    let (body, _room) = engine.places().whole(peer, body, limit).await?;
    let place = engine.places().request(peer)?;
    let request = Request::from_parts(parts, Body::from(body));
    places::within(place, async {
        if receipts::is_wanted(request.headers()) {
            return receipts::answer(engine, session, grpc, request, next).await;
        }
        Ok(next.run(request).await)
    })
    .await
}

/// Answers a request that needs no attestation. Anybody can send it, so it may be neither large nor slow.
async fn open(engine: &Engine, peer: Peer, request: Request, next: Next) -> Result<Response> {
    let visit = request.extensions().get::<Visit>().cloned();
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        if let Some(visit) = visit {
            visit.reads();
        }
        rest::check_announced(&body, OPEN_LIMIT)?;
        // It has no use for a body and is answered at once, so there is nothing of which strangers could take all.
        return Ok(next.run(Request::from_parts(parts, Body::empty())).await);
    }
    let limit = engine.limits().handshake_time;
    let whole = timeout(limit, engine.places().whole(peer, body, OPEN_LIMIT));
    let (body, _room) = whole.await.map_err(|_| Error::Timeout(limit))??;
    let exchange = parts.uri.path() == ATTEST_PATH;
    let _place = exchange.then(|| engine.places().exchange(peer)).transpose()?;
    if let (false, Some(visit)) = (exchange, &visit) {
        visit.reads();
    }
    let _exchanging = visit.filter(|_| exchange).map(|visit| visit.exchanges());
    let body = if parts.headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip") {
        inflated(body)?
    } else {
        body
    };
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// The same frame of gRPC uncompressed, so that [`OPEN_LIMIT`] is for what it holds too.
fn inflated(frame: Bytes) -> Result<Bytes> {
    match frame.split_first_chunk::<FRAME_HEADER>() {
        Some(([1, ..], message)) => {
            let message = Inflate::Gzip.all(message, OPEN_LIMIT)?;
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            Ok([&[0][..], &length.to_be_bytes(), &message].concat().into())
        }
        _ => Ok(frame),
    }
}
