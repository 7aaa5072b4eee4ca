//! What is left of a request's body when its answer is ready.
//!
//! An answer may leave before the request has come whole, but HTTP/2 then has to reset the stream, and HTTP/1.1 to close the connection, on
//! which some clients show their user no answer at all (curl 7.88 is one). What little is left is therefore taken first and thrown away.

use crate::service::Service;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::oneshot;

/// The most bytes that are thrown away. Whoever announces more is answered at once.
const MOST: usize = 256 << 10;
/// How long an answer waits for them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers when the request was read to its end, or is not worth waiting for.
pub(super) async fn read(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    // Whoever waits to be asked for the body is not asked for it in vain.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (back, mut rest) = oneshot::channel();
    let answer = next.run(request.map(|body| Body::new(Lent { body: Some(body), back: Some(back) }))).await;
    if let Ok(rest) = rest.try_recv() {
        let patience = PATIENCE.min(service.limits.body_timeout);
        // However it ends, there is an answer to give.
        let _ = tokio::time::timeout(patience, throw_away(rest)).await;
    }
    answer
}

async fn throw_away(rest: Body) {
    if rest.size_hint().lower() > MOST as u64 {
        return;
    }
    let mut rest = Limited::new(rest, MOST);
    while let Some(Ok(_)) = rest.frame().await {}
}

/// A body that comes back when whoever read it has read enough.
struct Lent {
    /// None when nothing is left.
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (false, Some(body), Some(back)) = (self.is_end_stream(), self.body.take(), self.back.take()) {
            // Nobody waits for it when the connection is gone.
            drop(back.send(body));
        }
    }
}
