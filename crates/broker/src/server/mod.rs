//! Sockets, TLS and connections: who may connect, how long they may take, and how it ends.

mod stalled;

use crate::{config::Limits, metrics::Metrics};
use axum::{Router, body::Body, extract::Request};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustls::ServerConfig;
use sealwright_channel::{
    leftover,
    listener::{Accepted, accept},
    peers::{Peer, Shared},
};
use stalled::GiveUpStalled;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt;

/// A connection on which nothing moves for so long is given up, whatever it waits for.
const STALLED: Duration = Duration::from_secs(60);
/// The most requests that one HTTP/2 connection has under way.
const STREAMS: u32 = 32;
/// The longest head of a request, in bytes.
const MAX_HEAD: u32 = 32 << 10;

/// Accepts connections and serves them with one router.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
}

/// What every connection needs.
struct Connection {
    router: Router,
    peer: Peer,
    head_timeout: Duration,
    watcher: Watcher,
}

impl Server {
    /// Serves in a task of its own until `stop` resolves, then lets requests under way finish, for as long as the limits say.
    pub(crate) fn start(self, stop: oneshot::Receiver<()>) -> JoinHandle<()> {
        tokio::spawn(self.run(stop))
    }

    async fn run(self, mut stop: oneshot::Receiver<()>) {
        let graceful = GracefulShutdown::new();
        let places = Shared::new(self.limits.connections, self.limits.connections_per_peer);
        loop {
            let (stream, address) = tokio::select! {
                accepted = accept(&self.listener) => accepted,
                _ = &mut stop => break,
            };
            self.admit(stream, address, &places, graceful.watcher());
        }
        drop(self.listener);
        if tokio::time::timeout(self.limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still open when the time to finish was over");
        }
    }

    fn admit(&self, stream: Accepted, address: SocketAddr, places: &Shared, watcher: Watcher) {
        let peer = Peer::from(address.ip());
        let Ok(place) = places.take(peer, 1) else {
            self.metrics.turned_away("connections");
            return;
        };
        let open = self.metrics.connection();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let head_timeout = self.limits.head_timeout;
        let connection = Connection { router: self.router.clone(), peer, head_timeout, watcher };
        tokio::spawn(async move {
            let _held = (place, open);
            match tokio::time::timeout(head_timeout, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => connection.serve(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        });
    }
}

impl Connection {
    async fn serve(self, stream: TlsStream<Accepted>) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let (router, peer) = (self.router, self.peer);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (request, leftover) = leftover::split(request);
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let router = router.clone();
            async move {
                let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                leftover.throw_away().await;
                Ok::<_, Infallible>(response)
            }
        });
        let io = TokioIo::new(GiveUpStalled::new(stream, STALLED));
        let served = if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(MAX_HEAD)
                .keep_alive_interval(STALLED / 3)
                .keep_alive_timeout(self.head_timeout);
            self.watcher.watch(builder.serve_connection(io, service)).await
        } else {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(self.head_timeout).max_buf_size(MAX_HEAD as usize);
            self.watcher.watch(builder.serve_connection(io, service)).await
        };
        if let Err(error) = served {
            tracing::debug!(%error, "connection ended");
        }
    }
}
