//! The server's end of TLS.

use crate::files::{self, FileError};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sealwright_channel::tls::key_sha256;
use sealwright_wire::Digest;
use std::{path::Path, sync::Arc};

/// The longest certificate chain that is read, in bytes.
const MAX_CHAIN: u64 = 256 << 10;
/// The longest private key that is read, in bytes.
const MAX_KEY: u64 = 16 << 10;

/// Why the server has no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or others can read the key.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds something else.
    #[error("{path}: expected {expected} in PEM")]
    Content {
        /// The file.
        path: String,
        /// What should be in it.
        expected: &'static str,
    },
    /// The certificate and the key cannot be used together.
    #[error("{path}: {source}")]
    Rustls {
        /// The certificate's file.
        path: String,
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
}

/// The server's end, ready to accept.
pub(crate) struct Server {
    pub(crate) config: Arc<ServerConfig>,
    /// Names this broker: SHA-256 of its TLS key's `SubjectPublicKeyInfo`.
    pub(crate) key_sha256: Digest<32>,
}

/// TLS 1.3 and 1.2 with this certificate; HTTP/2 and HTTP/1.1 over it.
pub(crate) fn server(certificate: &Path, key: &Path) -> Result<Server, TlsError> {
    let content = |path: &Path, expected| TlsError::Content { path: path.display().to_string(), expected };
    let pem = files::read(certificate, MAX_CHAIN)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| content(certificate, "certificates"))?;
    let own = chain.first().ok_or_else(|| content(certificate, "certificates"))?;
    let key_sha256 = key_sha256(own).map_err(|_| content(certificate, "certificates"))?;
    let pem = files::read_private(key, MAX_KEY)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| content(key, "a private key"))?;
    let rejected = |source| TlsError::Rustls { path: certificate.display().to_string(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(rejected)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(rejected)?;
    Ok(Server { config: Arc::new(config), key_sha256 })
}
