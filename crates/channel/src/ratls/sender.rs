//! HTTP over a connection that [`Connector`](super::Connector) made.

use super::{ConnectError, stream::Tapped};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

/// Any error of a body's producer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request's body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body of these bytes.
pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub fn empty_body() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: one request at a time.
    Http1,
    /// HTTP/2: many at once, and gRPC.
    Http2,
}

/// Sends requests over an attested connection. There is no other way to get one.
pub struct Sender {
    authority: uri::Authority,
    kind: Kind,
}

enum Kind {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Sender {
    pub(super) async fn over(stream: Tapped, authority: &str, protocol: Protocol) -> Result<Self, ConnectError> {
        let authority = authority.parse().map_err(|_| ConnectError::Local("the authority is no host"))?;
        let io = TokioIo::new(stream);
        let kind = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                drive(connection);
                Kind::Http1(sender)
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                let (sender, connection) = builder.timer(TokioTimer::new()).handshake(io).await?;
                drive(connection);
                Kind::Http2(sender)
            }
        };
        Ok(Self { authority, kind })
    }

    /// Sends a request. Its URI may be a path alone: host and scheme are filled in.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.kind {
            Kind::Http1(sender) => {
                if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
                    request.headers_mut().entry(header::HOST).or_insert(host);
                }
                sender.ready().await?;
                sender.send_request(request).await
            }
            Kind::Http2(sender) => {
                absolute(request.uri_mut(), &self.authority);
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Another sender on the same connection, where its protocol can carry several requests at once.
    pub fn share(&self) -> Option<Self> {
        match &self.kind {
            Kind::Http1(_) => None,
            Kind::Http2(sender) => Some(Self { authority: self.authority.clone(), kind: Kind::Http2(sender.clone()) }),
        }
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        match &self.kind {
            Kind::Http1(sender) => sender.is_closed(),
            Kind::Http2(sender) => sender.is_closed(),
        }
    }
}

/// HTTP/2 has no Host: the authority is part of the target.
fn absolute(target: &mut Uri, authority: &uri::Authority) {
    let mut parts = std::mem::take(target).into_parts();
    parts.scheme.get_or_insert(uri::Scheme::HTTPS);
    parts.authority.get_or_insert_with(|| authority.clone());
    parts.path_and_query.get_or_insert_with(|| uri::PathAndQuery::from_static("/"));
    if let Ok(whole) = Uri::from_parts(parts) {
        *target = whole;
    }
}

/// Runs a connection until its sender is dropped.
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "attested connection ended");
        }
    });
}
