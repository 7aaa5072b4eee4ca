//! A small HTTP/1.1 client for strangers: one GET, one bounded answer, in bounded time. No redirect is followed, and nothing is sent in the clear
//! unless the configuration says so.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{io, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// The longest head of an answer, in bytes: room for two certificate chains.
const MAX_HEAD: usize = 64 << 10;
/// The most header fields of an answer.
const MAX_FIELDS: usize = 64;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none that this client asks.
    #[error("URL {url}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The roots to trust are no certificates.
    #[error("roots for TLS: {0}")]
    Roots(String),
    /// Nobody answers there.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake failed: most often because the certificate is not a trusted one.
    #[error("TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// What the TLS library says.
        #[source]
        source: io::Error,
    },
    /// The peer broke the protocol or the connection.
    #[error("HTTP with {address}: {source}")]
    Http {
        /// Host and port.
        address: String,
        /// What the HTTP library says.
        #[source]
        source: hyper::Error,
    },
    /// The answer's body is longer than is accepted.
    #[error("the answer of {address} is longer than {limit} bytes")]
    TooLong {
        /// Host and port.
        address: String,
        /// What is accepted.
        limit: usize,
    },
    /// There was no whole answer in time.
    #[error("no whole answer from {address} within {after:?}")]
    Timeout {
        /// Host and port.
        address: String,
        /// How long was waited.
        after: Duration,
    },
}

impl Error {
    /// The reason as a stable word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "collateral-service-url",
            Self::Roots(_) => "collateral-service-roots",
            Self::Connect { .. } => "collateral-service-unreachable",
            Self::Tls { .. } => "collateral-service-tls",
            Self::Http { .. } => "collateral-service-protocol",
            Self::TooLong { .. } => "collateral-service-too-long",
            Self::Timeout { .. } => "collateral-service-timeout",
        }
    }
}

/// Who vouches for a service's TLS certificate. This is about reaching it, not about believing it: what it says is signed by the vendor.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Roots {
    /// The roots of the public web, as Mozilla keeps them.
    #[default]
    Web,
    /// These and no others.
    Issuers(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// The certificates of a PEM text and no others.
    ///
    /// # Errors
    /// When it holds none, or a malformed one.
    pub fn issuers_from_pem(pem: &[u8]) -> Result<Self, Error> {
        let issuers: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let issuers = issuers.map_err(|error| Error::Roots(format!("expected certificates in PEM: {error}")))?;
        if issuers.is_empty() {
            return Err(Error::Roots("no certificate".to_owned()));
        }
        Ok(Self::Issuers(issuers))
    }

    fn store(&self) -> Result<RootCertStore, Error> {
        let mut store = RootCertStore::empty();
        match self {
            Self::Web => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Self::Issuers(issuers) => {
                for issuer in issuers {
                    store.add(issuer.clone()).map_err(|error| Error::Roots(error.to_string()))?;
                }
            }
        }
        Ok(store)
    }
}

/// An absolute URL, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    tls: bool,
    host: String,
    port: u16,
    /// Path and query.
    target: String,
}

impl Url {
    /// Reads `https://host[:port][/path][?query]`; `http` only where `plain` says so.
    pub(crate) fn parse(url: &str, plain: bool) -> Result<Self, Error> {
        let wrong = |reason| Error::Url { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| wrong("no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if plain => false,
            Some("http") => return Err(wrong("plain HTTP is not allowed by the configuration")),
            _ => return Err(wrong("the scheme must be https")),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("it must not hold a user's name"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            target: target.to_owned(),
        })
    }

    /// Host and port, as they are written.
    fn address(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Asks servers, each request on a connection of its own.
#[derive(Clone)]
pub(crate) struct Client {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Client {
    /// A client that trusts these roots and waits so long for each answer.
    pub(crate) fn new(roots: &Roots, timeout: Duration) -> Result<Self, Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Roots(error.to_string()))?
            .with_root_certificates(roots.store()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(config), timeout })
    }

    /// Asks for a URL. The body of the answer has at most `limit` bytes, and all of it comes in time.
    pub(crate) async fn get(&self, url: &Url, limit: usize) -> Result<Reply, Error> {
        let timeout = |_| Error::Timeout { address: url.address(), after: self.timeout };
        tokio::time::timeout(self.timeout, self.exchange(url, limit)).await.map_err(timeout)?
    }

    /// Boxed, so that TLS and HTTP are compiled here, once: an `async fn` is compiled in each crate that awaits it.
    fn exchange<'a>(
        &'a self,
        url: &'a Url,
        limit: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>> {
        Box::pin(async move {
            let unreachable = |source| Error::Connect { address: url.address(), source };
            let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(unreachable)?;
            tcp.set_nodelay(true).map_err(unreachable)?;
            if !url.tls {
                return ask(Box::new(tcp), url, limit).await;
            }
            let unknown = |source| Error::Tls { address: url.address(), source };
            let name = ServerName::try_from(url.host.clone()).map_err(|error| unknown(io::Error::other(error)))?;
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(unknown)?;
            ask(Box::new(tls), url, limit).await
        })
    }
}

/// What a connection runs over: TCP, or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn ask(stream: Box<dyn Stream>, url: &Url, limit: usize) -> Result<Reply, Error> {
    let broken = |source| Error::Http { address: url.address(), source };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(&url.target)
        .header(header::HOST, url.address())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Error::Url { url: url.target.clone(), reason: "no target of a request" })?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| unreadable(url, error, limit))?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    // Both in this task: when the caller gives up, so does the connection.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(broken(error)),
        },
    }
}

fn unreadable(url: &Url, error: Box<dyn std::error::Error + Send + Sync>, limit: usize) -> Error {
    let address = url.address();
    if error.is::<LengthLimitError>() {
        return Error::TooLong { address, limit };
    }
    match error.downcast::<hyper::Error>() {
        Ok(source) => Error::Http { address, source: *source },
        Err(error) => Error::Connect { address, source: io::Error::other(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, plain, address, target) in [
            ("https://pcs.example", false, "pcs.example:443", "/"),
            ("https://[::1]:8081/a/b?c=d", false, "[::1]:8081", "/a/b?c=d"),
            ("http://127.0.0.1/x", true, "127.0.0.1:80", "/x"),
        ] {
            let parsed = Url::parse(url, plain).unwrap();
            assert_eq!((parsed.address().as_str(), parsed.target.as_str()), (address, target), "{url}");
        }
        for url in ["http://pcs.example", "pcs.example:80", "https://", "https://a b", "", "file:///x", "https://u@h/"]
        {
            assert_eq!(Url::parse(url, false).unwrap_err().code(), "collateral-service-url", "{url}");
        }
    }

    #[test]
    fn roots_are_certificates() {
        assert!(Client::new(&Roots::Web, Duration::from_secs(1)).is_ok());
        assert_eq!(Roots::issuers_from_pem(b"").unwrap_err().code(), "collateral-service-roots");
    }
}
