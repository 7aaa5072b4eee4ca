//! A loopback proxy for clients that know nothing of attestation: it verifies the server first, and forwards.
//!
//! HTTP/1.1 requests go over kept HTTP/1.1 connections, one at a time each; HTTP/2 (gRPC in the clear) shares one HTTP/2
//! connection. Every connection to the server is judged before it carries anything, and used until its judgement is old: then the next request
//! goes over a new one, and what is under way on the old one is finished. Requests are held in memory until they
//! are whole and answered, so that one that found a connection closed can be sent again, and all together have so much of it at most;
//! answers stream, trailers included.
//!
//! A receipt is worth what the evidence behind its key is worth, and clients of a proxy never see evidence: that of each connection is handed
//! to a [`Keeper`] before the connection carries anything. Without one no receipt can be asked for.

use std::{
    future::pending,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use sealwright_channel::{
    leftover::Requested,
    peers::{Peer, Share},
    ratls::{AttestedConnection, ConnectError, Connector, Protocol, Sender, body as sendable},
    wire::{ratls::AttestResponse, time::UnixTime},
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tonic::Code;
use tracing::{debug, warn};

use crate::{
    ATTEST_PATH,
    body::Held,
    connection::{self, Settings},
    error::Error,
    listener::{Admitted, serve_all},
    places::Bounded,
    receipts,
};

/// The longest request that is forwarded, in bytes.
pub const MAX_REQUEST: usize = 64 << 20;
/// How long a judged connection is used: what the vendor publishes and what a policy says change, and a connection that is used for ever
/// would never be held against it.
pub const MAX_AGE: Duration = Duration::from_secs(60 * 60);
/// Idle HTTP/1.1 connections to the server that are kept.
const MAX_IDLE: usize = 16;
/// Headers that are about one connection, not about the message (RFC 9110, section 7.6.1), and the host, which changes.
const CONNECTION_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Keeps the evidence of a connection that was judged and accepted; it may take its time. A connection whose evidence is not kept is not used.
pub type Keeper = Arc<dyn Fn(AttestResponse) -> Result<(), KeepError> + Send + Sync>;
/// Why evidence was not kept.
pub type KeepError = Box<dyn std::error::Error + Send + Sync>;

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The address can be reached from other machines, which would get tensors in the clear.
    #[error("listen: expected a loopback address, found {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The server was not reached, or refused.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The evidence of a connection was not kept.
    #[error("the evidence of a connection cannot be kept: {0}")]
    Keep(#[source] KeepError),
}

/// Bounds on what a proxy does at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Local connections open at once; more wait to be accepted.
    pub connections: usize,
    /// Requests under way at once, until their answers have been passed on. More are refused.
    pub requests: usize,
    /// Bytes of requests that are coming or wait for their answers. More are refused.
    pub held_bytes: usize,
    /// Requests under way at once on one local HTTP/2 connection.
    pub streams: u32,
    /// The time for a request, from its headers to the headers of its answer.
    pub request_time: Duration,
    /// How long a connection to the server is used after it was judged, if its collateral does not expire before.
    pub connection_age: Duration,
    /// How long a local connection may be silent: no request under way on it, or an answer that does not move.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            requests: 128,
            held_bytes: 256 << 20,
            streams: 64,
            // Longer than a server's own, so that its reason arrives.
            request_time: Duration::from_secs(60),
            connection_age: MAX_AGE,
            idle_time: Duration::from_secs(120),
        }
    }
}

/// A server, and the connections to it that were judged and accepted.
pub struct Upstream {
    connector: Connector,
    address: String,
    limits: Limits,
    keeper: Option<Keeper>,
    idle: Mutex<Vec<Judged>>,
    shared: tokio::sync::Mutex<Option<Judged>>,
    places: Arc<Semaphore>,
    bytes: Bounded,
}

/// A connection to the server, and until when its judgement holds.
struct Judged {
    sender: Sender,
    until: Instant,
}

impl Judged {
    /// A connection that was judged just now.
    fn new(sender: Sender, collateral_expires: UnixTime, age: Duration) -> Self {
        // A clock before 1970 is before everything that expires.
        let now = UnixTime(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
        let held = holds(age, collateral_expires, now);
        Self { sender, until: Instant::now() + held }
    }

    /// Whether it may carry another request.
    fn is_good(&self) -> bool {
        !self.sender.is_closed() && Instant::now() < self.until
    }
}

/// How long a judgement holds that stands on collateral which expires then.
fn holds(age: Duration, expires: UnixTime, now: UnixTime) -> Duration {
    age.min(Duration::from_secs(expires.0.saturating_sub(now.0)))
}

impl Upstream {
    /// Connects to `host:port` once, so that a server that is refused is refused at once. With a keeper, requests may ask for receipts.
    ///
    /// # Errors
    /// If it is not reached or not accepted, or its evidence is not kept.
    pub async fn connect(
        connector: Connector,
        address: &str,
        limits: Limits,
        keeper: Option<Keeper>,
    ) -> Result<Self, ProxyError> {
        let upstream = Self {
            connector,
            address: address.to_owned(),
            limits,
            keeper,
            idle: Mutex::new(Vec::new()),
            shared: tokio::sync::Mutex::new(None),
            places: Arc::new(Semaphore::new(limits.requests)),
            // Whoever is local is one address.
            bytes: Bounded::new("bytes of requests", limits.held_bytes, limits.held_bytes),
        };
        let first = upstream.connected(Protocol::Http1).await?;
        upstream.idle().push(first);
        Ok(upstream)
    }

    /// A connection for one HTTP/1.1 request: an idle one, or a new one.
    async fn exclusive(&self, fresh: bool) -> Result<Judged, ProxyError> {
        let kept = if fresh { None } else { self.kept() };
        match kept {
            Some(judged) => Ok(judged),
            None => self.connected(Protocol::Http1).await,
        }
    }

    /// An idle connection that has not ended, and whose judgement is not old.
    fn kept(&self) -> Option<Judged> {
        let mut idle = self.idle();
        idle.retain(Judged::is_good);
        idle.pop()
    }

    /// The HTTP/2 connection that all share.
    async fn shared(&self, fresh: bool) -> Result<Sender, ProxyError> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|it| !fresh && it.is_good()).and_then(|it| it.sender.share()) {
            return Ok(sender);
        }
        // Requests under way have senders of their own: with the last of them the connection ends.
        shared.take();
        let judged = self.connected(Protocol::Http2).await?;
        match judged.sender.share() {
            Some(mine) => {
                *shared = Some(judged);
                Ok(mine)
            }
            // Not shareable after all: this request has it alone.
            None => Ok(judged.sender),
        }
    }

    /// A new connection, judged and accepted, whose evidence is kept. Rare and large, so on the heap.
    async fn connected(&self, protocol: Protocol) -> Result<Judged, ProxyError> {
        let connection = Box::pin(self.connector.connect(&self.address, protocol)).await?;
        let AttestedConnection { sender, appraisal, evidence } = connection;
        if let Some(keeper) = self.keeper.clone() {
            let kept = tokio::task::spawn_blocking(move || keeper(evidence)).await;
            kept.map_err(|error| ProxyError::Keep(error.into()))?.map_err(ProxyError::Keep)?;
        }
        Ok(Judged::new(sender, appraisal.facts().collateral_expires(), self.limits.connection_age))
    }

    fn give_back(&self, judged: Judged) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE && judged.is_good() {
            idle.push(judged);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Judged>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loopback listener.
///
/// # Errors
/// [`ProxyError::NotLoopback`] for any other address, [`ProxyError::Listen`] if it is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ProxyError> {
    if !address.ip().is_loopback() {
        return Err(ProxyError::NotLoopback(address));
    }
    Ok(TcpListener::bind(address).await?)
}

/// Forwards what comes to the listener until `stop` ends; then requests under way get [`Limits::request_time`] to finish.
pub async fn serve(listener: TcpListener, upstream: Arc<Upstream>, stop: impl Future<Output = ()>) {
    let Limits { connections, request_time, .. } = upstream.limits;
    serve_all(listener, connections, request_time, stop, |admitted| serve_client(admitted, Arc::clone(&upstream)))
        .await;
}

/// Serves one client in a task of its own.
fn serve_client(Admitted { stream, stop, place, .. }: Admitted, upstream: Arc<Upstream>) {
    let Limits { streams, idle_time, .. } = upstream.limits;
    let answer = move |request| {
        let upstream = Arc::clone(&upstream);
        async move { answer(&upstream, request).await }
    };
    let settings = Settings { protocol: None, streams, idle_time };
    tokio::spawn(async move {
        if let Err(error) = connection::serve(stream, settings, answer, pending(), stop.stopped()).await {
            debug!(%error, "a local connection broke");
        }
        drop(place);
    });
}

async fn answer(upstream: &Arc<Upstream>, request: Request<Requested>) -> Response<Body> {
    let grpc =
        request.headers().get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    forward(upstream, request).await.unwrap_or_else(|refusal| refusal.response(grpc))
}

/// Why a request was not forwarded.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the exchange of evidence is this proxy's own business with the server")]
    Attestation,
    #[error(transparent)]
    Body(#[from] Error),
    #[error("no attested connection to the server, nothing was sent: {0}")]
    Connect(#[from] ProxyError),
    /// Not an answer without the receipt, which a client might not miss until it needs it; nor one with a receipt that nobody can
    /// ever verify, because nobody has the evidence of this connection.
    #[error(
        "a receipt is asked for, and this proxy does not keep the evidence that a receipt is verified with: start it with --receipt DIR, or ask without"
    )]
    NoReceipts,
    #[error("the server does not answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("{0} requests are under way already")]
    Busy(usize),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl Refusal {
    /// The refusal as the client's protocol says it.
    fn response(&self, grpc: bool) -> Response<Body> {
        warn!(error = %self, "not forwarded");
        let (status, code) = match self {
            Self::Attestation => (StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::Body(error) => (error.http_status(), error.grpc_code()),
            Self::NoReceipts => (StatusCode::BAD_REQUEST, Code::FailedPrecondition),
            Self::Connect(ProxyError::Connect(ConnectError::Refused(_))) => {
                (StatusCode::BAD_GATEWAY, Code::FailedPrecondition)
            }
            Self::Connect(ProxyError::Keep(_)) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
            Self::Connect(_) | Self::Http(_) => (StatusCode::BAD_GATEWAY, Code::Unavailable),
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
            Self::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
        };
        if grpc {
            let response: Response<tonic::body::Body> = tonic::Status::new(code, self.to_string()).into_http();
            return response.map(|_| full(Bytes::new()));
        }
        let error = serde_json::json!({ "error": self.to_string() }).to_string();
        let mut response = Response::new(full(error.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

async fn forward(upstream: &Arc<Upstream>, request: Request<Requested>) -> Result<Response<Body>, Refusal> {
    if is_exchange(request.uri().path()) {
        return Err(Refusal::Attestation);
    }
    if upstream.keeper.is_none() && receipts::is_wanted(request.headers()) {
        return Err(Refusal::NoReceipts);
    }
    let Limits { requests, request_time, .. } = upstream.limits;
    let place = Arc::clone(&upstream.places).try_acquire_owned().map_err(|_| Refusal::Busy(requests))?;
    let http2 = request.version() == Version::HTTP_2;
    match timeout(request_time, forward_in_place(upstream, request, http2, place)).await {
        Ok(answer) => answer,
        Err(_) => {
            // Others may wait on the same connection; new requests need not.
            if http2 {
                upstream.shared.lock().await.take();
            }
            Err(Refusal::Timeout(request_time))
        }
    }
}

/// Whether some server could take this path for that of the exchange, whatever it makes of escapes, case, parameters, and
/// segments that are empty or dots (RFC 3986, section 6.2.2). Ours takes it literally.
fn is_exchange(path: &str) -> bool {
    let plain = unescaped(path).to_ascii_lowercase();
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in plain.split(|byte| b"/\\".contains(byte)) {
        match segment.split(|&byte| byte == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.into_iter().eq(ATTEST_PATH.split('/').filter(|segment| !segment.is_empty()).map(str::as_bytes))
}

/// The path without escapes, and without those that come to light by that.
fn unescaped(path: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        plain.push(byte);
        while let [.., b'%', high, low] = plain[..]
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            plain.truncate(plain.len() - 3);
            plain.push(high << 4 | low);
        }
    }
    plain
}

async fn forward_in_place(
    upstream: &Arc<Upstream>,
    request: Request<Requested>,
    http2: bool,
    place: OwnedSemaphorePermit,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let (body, room) = upstream.bytes.whole(Peer::default(), axum::body::Body::new(body), MAX_REQUEST).await?;
    let outgoing = Outgoing { parts, body, _room: room };
    let answer = match outgoing.send(upstream, http2, false).await {
        // It found a kept connection closed and was not sent: once more, on a new one.
        Err(Refusal::Http(error)) if error.is_canceled() || error.is_closed() => {
            outgoing.send(upstream, http2, true).await?
        }
        answer => answer?,
    };
    Ok(answer.map(|body| Held::new(body, place).boxed_unsync()))
}

/// A whole request, which can be sent more than once.
struct Outgoing {
    parts: http::request::Parts,
    body: Bytes,
    _room: Share,
}

impl Outgoing {
    async fn send(&self, upstream: &Arc<Upstream>, http2: bool, fresh: bool) -> Result<Response<Body>, Refusal> {
        if http2 {
            let response = upstream.shared(fresh).await?.send(self.request(http2)).await?;
            return Ok(incoming(response, |body| body.boxed_unsync()));
        }
        let mut judged = upstream.exclusive(fresh).await?;
        let response = judged.sender.send(self.request(http2)).await?;
        let lease = Lease { judged: Some(judged), upstream: Arc::clone(upstream) };
        Ok(incoming(response, |body| Leased { body, lease }.boxed_unsync()))
    }

    fn request(&self, http2: bool) -> Request<sealwright_channel::ratls::Body> {
        let mut request = Request::new(sendable(self.body.clone()));
        *request.method_mut() = self.parts.method.clone();
        // Path and query alone: the sender knows the host.
        let target = self.parts.uri.path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);
        *request.version_mut() = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        *request.headers_mut() = end_to_end(&self.parts.headers);
        if !http2 && !self.body.is_empty() {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        request
    }
}

/// The headers without those that are about one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    for name in CONNECTION_HEADERS.iter().chain(&named) {
        kept.remove(name);
    }
    kept
}

fn incoming(response: Response<Incoming>, wrap: impl FnOnce(Incoming) -> Body) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut response = Response::new(wrap(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = end_to_end(&parts.headers);
    response
}

/// An HTTP/1.1 connection that goes back to the idle ones once its answer has been read to the end.
struct Lease {
    judged: Option<Judged>,
    upstream: Arc<Upstream>,
}

impl Lease {
    fn give_back(&mut self) {
        if let Some(judged) = self.judged.take() {
            self.upstream.give_back(judged);
        }
    }
}

/// The body of an answer, with the connection it comes from. Dropped early, it takes the connection with it.
struct Leased {
    body: Incoming,
    lease: Lease,
}

impl hyper::body::Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.lease.give_back();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // Nobody asks a body of known length for more than its length.
        if self.body.is_end_stream() {
            self.lease.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_about_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "localhost:1"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("grpc-timeout", "1S"),
            ("sealwright-receipt", "request"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut kept: Vec<_> = end_to_end(&headers).keys().map(ToString::to_string).collect();
        kept.sort();
        assert_eq!(kept, ["grpc-timeout", "sealwright-receipt", "te"]);
    }

    #[test]
    fn a_judgement_holds_no_longer_than_its_collateral() {
        let (hour, now) = (Duration::from_secs(3600), UnixTime(1_000_000));
        assert_eq!(holds(hour, UnixTime(2_000_000), now), hour);
        assert_eq!(holds(hour, UnixTime(1_000_060), now), Duration::from_secs(60));
        assert_eq!(holds(hour, UnixTime(999_999), now), Duration::ZERO);
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let address: SocketAddr = address.parse().unwrap();
            assert!(matches!(bind(address).await, Err(ProxyError::NotLoopback(found)) if found == address));
        }
        bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    }
}
