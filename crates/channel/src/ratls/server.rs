//! The server's end: a key, a certificate with evidence, and the TLS sessions under it.

use super::{Connection, key::TlsKey, sha256, stream::ServerStream};
use crate::tls::provider;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType};
use rustls::{
    ServerConfig,
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use rustls_pki_types::CertificateDer;
use sealwright_evidence::Backend;
use sealwright_wire::ratls::{Claims, EvidenceKind, HashEntry, OID_TAGGED_EVIDENCE, TaggedEvidence, report_data};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

/// How many quotes are asked for at once, over all connections: hardware makes them one after the other anyway. Each takes a thread.
const QUOTES_AT_ONCE: usize = 4;

/// Why a server cannot begin to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The environment gave no evidence.
    #[error("no evidence: {0}")]
    Evidence(#[from] sealwright_evidence::Error),
    /// A key could not be made or used.
    #[error("{0}")]
    Key(String),
    /// The certificate could not be made.
    #[error("the RA-TLS certificate: {0}")]
    Certificate(#[source] rcgen::Error),
    /// Evidence or claims could not be written.
    #[error(transparent)]
    Format(#[from] sealwright_wire::Error),
    /// The TLS library refused its configuration.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// Collecting evidence was interrupted.
    #[error("collecting evidence was interrupted")]
    Interrupted,
}

/// A server with a fresh key and a certificate that holds evidence about it.
pub struct Server {
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    certificate: CertificateDer<'static>,
}

/// What the connections of a server need for the exchange.
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) spki_sha256: [u8; 32],
    pub(super) receipt_key_sha256: [u8; 32],
    /// Places for quotes that are being made, for clients that have left too.
    pub(super) quotes: Arc<Semaphore>,
}

impl Server {
    /// Makes a key, collects evidence about it and writes the certificate. `receipt_key_sha256` is the SHA-256 of the
    /// `SubjectPublicKeyInfo` of the key that will sign receipts ([`crate::receipt::Signer::spki_sha256`]); all evidence
    /// names it.
    ///
    /// # Errors
    /// When the environment gives no evidence, or key, certificate or TLS configuration cannot be made.
    pub async fn new(backend: Arc<dyn Backend>, receipt_key_sha256: [u8; 32]) -> Result<Self, ServerError> {
        let key = TlsKey::generate().map_err(|error| ServerError::Key(error.to_string()))?;
        let spki = key.spki().map_err(|error| ServerError::Key(error.to_string()))?;
        let quotes = Arc::new(Semaphore::new(QUOTES_AT_ONCE));
        let shared = Shared { backend, spki_sha256: sha256(&spki), receipt_key_sha256, quotes };
        let evidence = certificate_evidence(&shared).await?;
        let certificate = certificate(&key, evidence)?;
        let tls = TlsAcceptor::from(server_config(key, certificate.clone())?);
        Ok(Self { shared: Arc::new(shared), tls, certificate })
    }

    /// The server's certificate. Clients need no copy: they judge the evidence in it.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Makes a TLS session of an accepted connection: a stream for the HTTP server, and the connection's state, which
    /// answers the exchange and knows whether it took place. HTTP/2 and HTTP/1.1 are offered ([`Connection::is_http2`]).
    ///
    /// # Errors
    /// When the client breaks off or speaks no TLS 1.3. Waiting is for the caller to bound.
    pub async fn accept<IO>(&self, io: IO) -> io::Result<(ServerStream<IO>, Connection)>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = self.tls.accept(io).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = ServerStream::new(stream);
        let connection = Connection::new(Arc::clone(&self.shared), stream.exporter(), http2);
        Ok((stream, connection))
    }
}

/// Evidence that names the server's keys and nothing of a session: there is none yet.
async fn certificate_evidence(shared: &Shared) -> Result<Vec<u8>, ServerError> {
    let claims = Claims {
        pubkey_hash: HashEntry::sha256(&shared.spki_sha256),
        nonce: None,
        tls_exporter: None,
        receipt_key: Some(HashEntry::sha256(&shared.receipt_key_sha256)),
        // No log is shown with a certificate.
        event_log: None,
    };
    let claims = claims.encode()?;
    let (backend, data) = (Arc::clone(&shared.backend), report_data(&sha256(&claims)));
    let quote = tokio::task::spawn_blocking(move || backend.quote(&data)).await;
    let quote = quote.map_err(|_| ServerError::Interrupted)??;
    Ok(TaggedEvidence { kind: EvidenceKind::Quote, evidence: &quote, claims: &claims }.encode()?)
}

fn certificate(key: &TlsKey, evidence: Vec<u8>) -> Result<CertificateDer<'static>, ServerError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(ServerError::Certificate)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "RA-TLS");
    let oid: Vec<u64> = OID_TAGGED_EVIDENCE.arcs().map(u64::from).collect();
    params.custom_extensions.push(CustomExtension::from_oid_content(&oid, evidence));
    let certificate = params.self_signed(key).map_err(ServerError::Certificate)?;
    Ok(certificate.der().clone())
}

/// TLS 1.3 alone, without resumption and early data: each session has a handshake and an exporter of its own.
fn server_config(key: TlsKey, certificate: CertificateDer<'static>) -> Result<Arc<ServerConfig>, ServerError> {
    let certified = CertifiedKey::new(vec![certificate], Arc::new(key));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(ServerError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
