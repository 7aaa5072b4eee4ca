//! TLS 1.3 to a server that is known by its certificate or by who issued it. Nothing else is trusted: no system roots.

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    server::ParsedCertificate,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sealwright_verify::hash;
use sealwright_wire::Digest;
use std::{fmt, sync::Arc};

/// Whom a client of a broker trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates that these issued for the server's name.
    Issuers(Vec<CertificateDer<'static>>),
    /// This certificate and no other, whatever name and dates are in it.
    Certificate(CertificateDer<'static>),
}

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text holds no certificate, or a malformed one.
    #[error("expected certificates in PEM: {0}")]
    Pem(String),
    /// A certificate cannot be an issuer.
    #[error("a trusted certificate is unusable: {0}")]
    Issuer(#[source] rustls::Error),
    /// A certificate whose key is asked for cannot be read.
    #[error("a certificate is malformed: {0}")]
    Certificate(#[source] rustls::Error),
    /// No certificate to trust was given.
    #[error("no certificate to trust was given")]
    NobodyTrusted,
    /// The TLS library refused its configuration.
    #[error("TLS: {0}")]
    Configuration(#[source] rustls::Error),
}

impl Trust {
    /// Trusts whom the certificates in a PEM text issue certificates for.
    ///
    /// # Errors
    /// When the text holds no certificate, or a malformed one.
    pub fn issuers_from_pem(pem: &[u8]) -> Result<Self, Error> {
        let issuers: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Pem(error.to_string()))?;
        if issuers.is_empty() {
            return Err(Error::NobodyTrusted);
        }
        Ok(Self::Issuers(issuers))
    }

    /// A TLS 1.3 client that trusts nobody else, speaks HTTP/1.1 and resumes no sessions.
    ///
    /// # Errors
    /// When a certificate is unusable.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::Issuers(issuers) => issued_by(issuers)?,
            Self::Certificate(certificate) => Arc::new(pinned(certificate.clone())),
        };
        let mut config = client_config(verifier)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// SHA-256 of the `SubjectPublicKeyInfo` in a certificate. It names whoever has the private key, and no other certificate of the same key
/// changes it.
///
/// # Errors
/// When the certificate is malformed.
pub fn key_sha256(certificate: &CertificateDer<'_>) -> Result<Digest<32>, Error> {
    let certificate = ParsedCertificate::try_from(certificate).map_err(Error::Certificate)?;
    Ok(hash::sha256(&[&certificate.subject_public_key_info()]))
}

/// The one cryptographic provider of this crate, whatever the process has installed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS 1.3 alone, with this verifier, without resumption: every connection proves its peer anew.
pub(crate) fn client_config(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::Configuration)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn issued_by(issuers: &[CertificateDer<'static>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for issuer in issuers {
        roots.add(issuer.clone()).map_err(Error::Issuer)?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|_| Error::NobodyTrusted)
}

/// Accepts one certificate, byte for byte.
fn pinned(certificate: CertificateDer<'static>) -> impl ServerCertVerifier {
    ByCertificate::new(move |shown: &CertificateDer<'_>| {
        if *shown == certificate { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    })
}

/// Judges a server by the bytes of its certificate alone. Whatever the judge asks, the server must also prove that it has the certificate's
/// key, as TLS 1.3 has it.
pub(crate) struct ByCertificate<J> {
    judge: J,
    provider: Arc<CryptoProvider>,
}

impl<J: Fn(&CertificateDer<'_>) -> Result<(), rustls::Error>> ByCertificate<J> {
    pub(crate) fn new(judge: J) -> Self {
        Self { judge, provider: provider() }
    }
}

impl<J> fmt::Debug for ByCertificate<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByCertificate")
    }
}

impl<J> ServerCertVerifier for ByCertificate<J>
where
    J: Fn(&CertificateDer<'_>) -> Result<(), rustls::Error> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        (self.judge)(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // A version that no client here offers.
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// A refusal by one of our own rules, with its words.
pub(crate) fn refuse(reason: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(reason))).into()
}
