//! RA-TLS under the protocols: accepts connections, and is each one's [`Session`].

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::Router;
use bytes::Bytes;
use http::Response;
use sealwright_channel::{
    ratls::{Connection, Server, ServerError},
    receipt::{self, Answered, Signer},
    wire::{Digest, receipt::Model, time::UnixTime},
};
use sealwright_evidence::Backend;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tracing::{debug, info, warn};

use crate::{
    engine::Engine,
    limits::Limits,
    router::router,
    server::serve_connection,
    session::{Exchange, Pending, Session, SessionHandle},
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
    /// released the models' keys ([`crate::policy_of_token`]).
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

    /// Serves one accepted connection until it ends or `stop` does.
    async fn serve(&self, stream: TcpStream, engine: &Arc<Engine>, router: Router, stop: watch::Receiver<()>) {
        let limit = engine.limits().handshake_time;
        // Small answers must not wait for acknowledgements. A socket that cannot do it works all the same.
        let _ = stream.set_nodelay(true);
        let (stream, connection) = match timeout(limit, self.server.accept(stream)).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return debug!(%error, "no TLS session"),
            Err(_) => return debug!(?limit, "no TLS session in time"),
        };
        let session = SessionHandle(Arc::new(RaTls {
            connection,
            signer: Arc::clone(&self.signer),
            policy_sha384: self.policy_sha384,
        }));
        if let Err(error) = serve_connection(stream, session, engine, router, stopped(stop)).await {
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

    fn attest(&self, request: Bytes) -> Pending<'_, Response<Bytes>> {
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
    let places = Arc::new(Semaphore::new(connections));
    let (stopping, stopped) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        let (stream, place) = accepted;
        let (transport, engine) = (Arc::clone(&transport), Arc::clone(&engine));
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            transport.serve(stream, &engine, router, stopped).await;
            drop(place);
        });
    }
    drop((listener, stopping, stopped));
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    match timeout(request_time, places.acquire_many(all)).await {
        Ok(_) => info!("all connections have ended"),
        Err(_) => warn!(?request_time, "connections were still open and are cut"),
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Out of file descriptors, most often: wait for connections to end instead of spinning.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Until the other end of the channel is dropped.
async fn stopped(mut stop: watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}
