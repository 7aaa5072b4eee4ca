//! One connection: HTTP on whatever stream the transport gives, for as long as something comes of it.
//!
//! A connection ends when no request is in work on it for [`Settings::idle_time`], or an answer has not moved for so long.
//! That is one clock for a client that says nothing, that never finishes a request's headers, or that does not take its
//! answers; what is sent to keep a connection alive does not count.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use sealwright_channel::{
    leftover::{self, Requested},
    ratls::Protocol,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until, timeout},
};

use crate::body::Paced;

/// Any error of a connection or a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a client may take to hear that its silent connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a connection may be silent once `stop` has ended: over HTTP/2, a client is asked whether it has heard that no more requests are
/// taken, and may never answer.
const STOPPING: Duration = Duration::from_secs(5);
/// The most bytes of a request's headers, and of what is buffered for it.
const MAX_HEAD: usize = 64 << 10;

/// How a connection is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What was agreed on in the handshake; if nothing could be, the first bytes tell.
    pub(crate) protocol: Option<Protocol>,
    /// Requests in work at once over HTTP/2.
    pub(crate) streams: u32,
    /// How long it may be silent.
    pub(crate) idle_time: Duration,
}

/// Serves one connection until it ends, is silent for too long or `expired` ends, or `stop` ends; then requests in work are
/// finished and no new ones taken.
pub(crate) async fn serve<S, A, B>(
    stream: S,
    settings: Settings,
    answer: impl Fn(Request<Requested>) -> A,
    expired: impl Future<Output = ()>,
    stop: impl Future<Output = ()>,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let service = service_fn(|request: Request<Incoming>| {
        let (request, leftover) = leftover::split(request);
        let (working, answer) = (Working::new(&activity), answer(request));
        async move {
            let response = answer.await;
            leftover.throw_away().await;
            Ok::<_, Infallible>(response.map(|body| Paced::new(body, working.answered())))
        }
    });
    let builder = builder(settings);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let over = async {
        tokio::select! {
            () = activity.silent(settings.idle_time) => {}
            () = expired => {}
        }
    };
    tokio::pin!(connection, over, stop);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = over.as_mut() => {}
        () = stop => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = activity.silent(settings.idle_time.min(STOPPING)) => {}
                () = over => {}
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
}

fn builder(settings: Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(MAX_HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(settings.streams);
    match settings.protocol {
        Some(Protocol::Http1) => builder.http1_only(),
        Some(Protocol::Http2) => builder.http2_only(),
        None => builder,
    }
}

/// What happens on a connection.
struct Activity(Mutex<Happening>);

struct Happening {
    /// Requests that have no answer yet.
    in_work: usize,
    /// Answers that are being sent, and when each last moved.
    answers: BTreeMap<u64, Instant>,
    /// What the next answer is known by.
    next: u64,
    /// When a request came, or an answer was ready or sent.
    last: Instant,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Happening { in_work: 0, answers: BTreeMap::new(), next: 0, last: Instant::now() }))
    }

    /// Until nothing has happened for so long, or an answer has not moved.
    async fn silent(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let deadline = self.happening().since(now) + patience;
            if deadline <= now {
                return;
            }
            sleep_until(deadline).await;
        }
    }

    // A panic while the lock is held leaves numbers and times, which are right.
    fn happening(&self) -> MutexGuard<'_, Happening> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Happening {
    /// Since when the connection has waited for its client.
    fn since(&self, now: Instant) -> Instant {
        match self.answers.values().min() {
            // However busy the connection is otherwise: an answer holds memory and a place.
            Some(&stalled) => stalled,
            None if self.in_work > 0 => now,
            None => self.last,
        }
    }
}

/// A request in work, until it is answered or its client has left.
struct Working(Arc<Activity>);

impl Working {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.happening().in_work += 1;
        Self(Arc::clone(activity))
    }

    fn answered(self) -> Answering {
        let mut happening = self.0.happening();
        let id = happening.next;
        happening.next += 1;
        happening.answers.insert(id, Instant::now());
        drop(happening);
        Answering { activity: Arc::clone(&self.0), id }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut happening = self.0.happening();
        happening.in_work = happening.in_work.saturating_sub(1);
        happening.last = Instant::now();
    }
}

/// An answer that is being sent, until it was or its client has left.
pub(crate) struct Answering {
    activity: Arc<Activity>,
    id: u64,
}

impl Answering {
    /// A piece of it leaves.
    pub(crate) fn moved(&self) {
        self.activity.happening().answers.insert(self.id, Instant::now());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut happening = self.activity.happening();
        happening.answers.remove(&self.id);
        happening.last = Instant::now();
    }
}
