//! RA-TLS under the protocols: accepts connections, and is each one's [`Session`].

use std::{
    future::pending,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::Response;
use sealwright_channel::{
    BoxFuture,
    leftover::Requested,
    listener,
    peers::{Peer, Shared},
    ratls::{Connection, Protocol, Server, ServerError},
    receipt::{self, Answered, Signer},
    wire::{Digest, receipt::Model, time::UnixTime},
};
use sealwright_evidence::Backend;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::{
    connection::{self, Settings},
    engine::Engine,
    limits::Limits,
    listener::{Admitted, Stop, serve_all},
    router::router,
    session::{Exchange, Session, SessionHandle, Visit},
};

/// Why a server cannot begin to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No key, evidence or certificate.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No key for receipts.
    #[error(transparent)]
    Receipt(#[from] receipt::Error),
}

/// The keys of one server: its RA-TLS certificate's and its receipts'. Made after the models were measured, so that the
/// certificate's evidence tells of them.
pub struct Transport {
    server: Server,
    signer: Arc<Signer>,
    policy_sha384: Option<Digest<48>>,
}

impl Transport {
    /// Fresh keys and evidence about them. `policy_sha384` is what receipts name as the policy under which the broker
    /// released the models' keys ([`sealwright_channel::kbs::policy_of_token`]).
    ///
    /// # Errors
    /// If the environment gives no evidence, or a key cannot be made.
    pub async fn new(backend: Arc<dyn Backend>, policy_sha384: Option<Digest<48>>) -> Result<Self, TransportError> {
        let signer = Signer::generate()?;
        let server = Server::new(backend, signer.spki_sha256()).await?;
        Ok(Self { server, signer: Arc::new(signer), policy_sha384 })
    }

    /// The RA-TLS certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.server.certificate()
    }

    /// Serves one admitted connection until it ends or is to stop. Boxed, so that TLS and HTTP are compiled here, once.
    fn serving(
        self: Arc<Self>,
        Admitted { stream, stop, place, .. }: Admitted,
        peer: Peer,
        engine: Arc<Engine>,
        router: Router,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            match listener::adopt(stream) {
                Ok(stream) => self.serve(stream, peer, &engine, router, stop).await,
                Err(error) => warn!(%error, "cannot wait for what a connection sends"),
            }
            drop(place);
        })
    }

    async fn serve(&self, stream: listener::Accepted, peer: Peer, engine: &Arc<Engine>, router: Router, stop: Stop) {
        let (limit, since) = (engine.limits().handshake_time, Instant::now());
        let (stream, connection) = match timeout(limit, self.server.accept(stream)).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return debug!(%error, "no TLS session"),
            Err(_) => return debug!(?limit, "no TLS session in time"),
        };
        let protocol = if connection.is_http2() { Protocol::Http2 } else { Protocol::Http1 };
        let session = SessionHandle(Arc::new(RaTls {
            connection,
            signer: Arc::clone(&self.signer),
            policy_sha384: self.policy_sha384,
        }));
        let accepted = Accepted { protocol, session, peer, since };
        if let Err(error) = serve_connection(stream, accepted, engine, router, stop.stopped()).await {
            debug!(%error, "connection broke");
        }
    }
}

/// A connection over RA-TLS.
struct RaTls {
    connection: Connection,
    signer: Arc<Signer>,
    policy_sha384: Option<Digest<48>>,
}

impl Session for RaTls {
    fn is_attested(&self) -> bool {
        self.connection.attested().is_some()
    }

    fn attest(&self, request: Bytes) -> BoxFuture<'_, Response<Bytes>> {
        Box::pin(async move { self.connection.respond(&request).await })
    }

    fn receipt(&self, exchange: &Exchange<'_>) -> Result<String, String> {
        let attested = self.connection.attested().ok_or("this connection showed no evidence")?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| "the clock is before 1970")?;
        let servable = exchange.model;
        let model = Model { name: servable.name.clone(), sha384: servable.sha384, version: servable.version };
        let answered = Answered {
            request: exchange.request,
            response: exchange.response,
            model: &model,
            policy_sha384: self.policy_sha384,
            at: UnixTime(since.as_secs()),
        };
        self.signer.sign(&answered, &attested).map_err(|error| error.to_string())
    }
}

/// Serves connections until `stop` ends. Then no new ones are taken, and requests in work get [`Limits::request_time`] to
/// finish.
pub async fn serve(
    listener: TcpListener,
    transport: Arc<Transport>,
    engine: Arc<Engine>,
    stop: impl Future<Output = ()>,
) {
    let Limits { connections, request_time, .. } = *engine.limits();
    let router = router(Arc::clone(&engine));
    let of_peers = Shared::new(connections, engine.limits().of_peer(connections));
    serve_all(listener, connections, request_time, stop, |admitted| {
        let peer = Peer::from(admitted.address.ip());
        let Ok(share) = of_peers.take(peer, 1) else { return engine.metrics().refused("connections") };
        let serving = Arc::clone(&transport).serving(admitted, peer, Arc::clone(&engine), router.clone());
        engine.lanes().spawn(async move {
            serving.await;
            drop(share);
        });
    })
    .await;
}

/// A connection as its transport accepted it.
pub struct Accepted {
    /// What client and server agreed on.
    pub protocol: Protocol,
    /// What the transport knows of it.
    pub session: SessionHandle,
    /// Whose it is.
    pub peer: Peer,
    /// When it was accepted.
    pub since: Instant,
}

/// Serves one connection until it ends, is silent for [`Limits::idle_time`], or `stop` ends; then requests in work are
/// finished and no new ones taken. One whose client does not ask for evidence ends after [`Limits::handshake_time`], but for
/// [`Limits::visits`] on which something was read.
///
/// # Errors
/// When the connection breaks or its client breaks HTTP.
pub async fn serve_connection<S>(
    stream: S,
    accepted: Accepted,
    engine: &Arc<Engine>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _open = engine.metrics().connected();
    let Limits { streams, idle_time, .. } = *engine.limits();
    let Accepted { protocol, session, peer, .. } = &accepted;
    let visit = Visit::new();
    let answer = |request: http::Request<Requested>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(session.clone());
        request.extensions_mut().insert(*peer);
        request.extensions_mut().insert(visit.clone());
        let router = router.clone();
        async move { router.oneshot(request).await.unwrap_or_else(|never| match never {}) }
    };
    let settings = Settings { protocol: Some(*protocol), streams, idle_time };
    connection::serve(stream, settings, answer, expired(&accepted, &visit, engine), stop).await
}

/// Until a connection has had its time without an exchange of evidence.
async fn expired(accepted: &Accepted, visit: &Visit, engine: &Engine) {
    sleep_until(accepted.since + engine.limits().handshake_time).await;
    // Evidence takes as long as it takes.
    visit.exchanged().await;
    if accepted.session.0.is_attested() {
        return pending().await;
    }
    let place = if visit.has_read() { engine.places().visit(accepted.peer).ok() } else { None };
    if place.is_some() {
        pending::<()>().await;
    }
    debug!("no exchange of evidence in time");
}
