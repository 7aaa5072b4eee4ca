//! A server that speaks the protocol of Intel's caches (PCCS, versions 3 and 4) and that of AMD's service (KDS), so that what others have written
//! finds its collateral here.
//!
//! It hands out what one [`Store`] holds, Intel's under one root, byte for byte as it was signed, and asks nobody: whoever keeps the store fresh is another task
//! ([`crate::keep`]). What has expired is not handed out.

mod answer;
mod catalogue;
mod kds;
mod metrics;
mod places;
mod routes;

use crate::{Clock, Store, Upkeep, http::Stream};
use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use metrics::Metrics;
use places::Places;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sealwright_wire::Digest;
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// The longest head of a request, in bytes: room for an encrypted PPID in the query.
const MAX_HEAD: usize = 16 << 10;
/// How long to wait when the system has no more sockets.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Without TLS, and others than this machine could reach it.
    #[error(
        "{address} can be reached from elsewhere: without a TLS certificate the server listens on a loopback address alone"
    )]
    PlainOnNetwork {
        /// The address.
        address: SocketAddr,
    },
    /// The certificate or the key is none.
    #[error("the TLS certificate and its key: {0}")]
    Tls(String),
}

/// How much the server does at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_peer: usize,
    /// How long a handshake or the head of a request may take.
    pub head_timeout: Duration,
    /// How long a connection may last, whatever it does.
    pub connection_timeout: Duration,
    /// How long requests under way may take to finish when the server stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_peer: 64,
            head_timeout: Duration::from_secs(10),
            connection_timeout: Duration::from_secs(300),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// Where it comes from.
    pub store: Arc<Store>,
    /// SHA-256 of the public key of the one root under which Intel's collateral is handed out: a request names no root, and answers under several
    /// could be mixed up in one bundle.
    pub root: Digest<32>,
    /// What readiness and metrics call fresh.
    pub upkeep: Upkeep,
    /// The time.
    pub clock: Clock,
}

/// A server that listens, and answers once it [runs](Self::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    metrics: Arc<Metrics>,
    router: Router,
}

/// What every connection needs.
#[derive(Clone)]
struct Connection {
    router: Router,
    limits: Limits,
}

/// TLS 1.3 and 1.2 with this certificate chain and its private key, both in PEM.
///
/// # Errors
/// When one of them is not what it should be, or they do not belong together.
pub fn tls(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, ServeError> {
    let wrong = |error: &dyn std::fmt::Display| ServeError::Tls(error.to_string());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Server {
    /// Listens. Without TLS only where nobody else can reach it.
    ///
    /// # Errors
    /// When the address cannot be listened on, or should not be.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        served: Served,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::PlainOnNetwork { address });
        }
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Arc::new(Metrics::new());
        let router = routes::router(served, Arc::clone(&metrics));
        Ok(Self { listener, address, tls, limits, metrics, router })
    }

    /// The URL in front of `/sgx/certification/...` and `/vcek/v1/...`, by address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop` resolves, then lets requests under way finish, for as long as the limits say.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Places::new(self.limits.connections, self.limits.connections_per_peer);
        let mut stop = std::pin::pin!(stop);
        loop {
            let (stream, address) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, most often, until connections end.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(EXHAUSTED).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            self.admit(stream, address, &places, graceful.watcher());
        }
        drop(self.listener);
        if tokio::time::timeout(self.limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still open when the time to finish was over");
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, places: &Places, watcher: Watcher) {
        let Some(place) = places.take(address.ip()) else {
            self.metrics.turned_away();
            return;
        };
        let open = self.metrics.connection();
        let tls = self.tls.clone().map(TlsAcceptor::from);
        let connection = Connection { router: self.router.clone(), limits: self.limits };
        tokio::spawn(async move {
            let _held = (place, open);
            // Small answers must not wait for acknowledgements. A socket that cannot do it works all the same.
            let _ = stream.set_nodelay(true);
            let lifetime = connection.limits.connection_timeout;
            let served = async {
                let Some(tls) = tls else { return connection.serve(Box::new(stream), watcher).await };
                match tokio::time::timeout(connection.limits.head_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection.serve(Box::new(stream), watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake took too long"),
                }
            };
            if tokio::time::timeout(lifetime, served).await.is_err() {
                tracing::debug!("a connection lasted too long");
            }
        });
    }
}

impl Connection {
    async fn serve(&self, stream: Box<dyn Stream>, watcher: Watcher) {
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let request: Request = request.map(Body::new);
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.head_timeout).max_buf_size(MAX_HEAD);
        if let Err(error) = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}
