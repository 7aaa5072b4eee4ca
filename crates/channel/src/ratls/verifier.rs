//! What can be said about an RA-TLS certificate during the handshake.

use super::{names, sha256};
use crate::tls;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::CertificateDer;
use sealwright_wire::{
    Evidence,
    quote::Quote,
    ratls::{AttestResponse, Certificate, CertificateEvidence, Claims, EvidenceKind, TaggedEvidence, report_data},
};

/// Why a certificate is not bound to its evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The certificate or its evidence is malformed.
    #[error("RA-TLS certificate: {0}")]
    Format(#[from] sealwright_wire::Error),
    /// There is no evidence in the certificate.
    #[error("the certificate holds no evidence (extension 2.23.133.5.4.9)")]
    NoEvidence,
    /// The evidence is in a form from before the profile.
    #[error("the certificate holds evidence in the legacy extension {0} only, which names no claims")]
    Legacy(String),
    /// The evidence is a report, which only its own machine can check.
    #[error("the certificate holds a report, not a quote: only the machine that made it can check it")]
    NotAQuote,
    /// The claims name another key than the certificate's.
    #[error("the claim pubkey-hash is not the hash of the certificate's key")]
    OtherKey,
    /// The quote was not made for these claims.
    #[error("the quote's report data is not the hash of the claims")]
    OtherClaims,
    /// The claims name another event log than the one beside the quote, or there is one where they name none.
    #[error("the claim event-log-hash is not the hash of the event log beside the quote")]
    OtherLog,
}

/// A certificate whose evidence names its key. Whether the evidence is genuine has not been asked.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    /// The certificate's key.
    pub spki: &'a [u8],
    /// The quote.
    pub quote: Quote<'a>,
    /// What the quote vouches for.
    pub claims: Claims<'a>,
}

/// Checks that a certificate's key, its claims and its quote belong together.
///
/// # Errors
/// When they do not, or the certificate holds no such evidence.
pub fn check_certificate(der: &[u8]) -> Result<Bound<'_>, BindingError> {
    let certificate = Certificate::parse(der)?;
    let tagged = match certificate.evidence {
        CertificateEvidence::Tagged(cbor) => TaggedEvidence::parse(cbor)?,
        CertificateEvidence::Legacy { oid, .. } => return Err(BindingError::Legacy(oid.to_string())),
        _ => return Err(BindingError::NoEvidence),
    };
    let (quote, claims) = open_tagged(&tagged)?;
    if !names(&claims.pubkey_hash, certificate.spki) {
        return Err(BindingError::OtherKey);
    }
    Ok(Bound { spki: certificate.spki, quote, claims })
}

/// What the exchange answered, when it belongs together. Whether it is genuine has not been asked.
pub(crate) struct Opened<'a> {
    /// The quote, and the log that its claims name.
    pub(crate) evidence: Evidence<'a>,
    /// What the quote vouches for.
    pub(crate) claims: Claims<'a>,
    /// What these claims make the quote's report data.
    pub(crate) report_data: [u8; 64],
}

/// Checks that a quote was made for the claims beside it, and these for the event log.
pub(crate) fn open_answer(answer: &AttestResponse) -> Result<Opened<'_>, BindingError> {
    let tagged = TaggedEvidence::parse(&answer.evidence)?;
    let (quote, claims) = open_tagged(&tagged)?;
    let event_log = answer.event_log.as_deref();
    let named = match (&claims.event_log, event_log) {
        (Some(hash), Some(log)) => names(hash, log),
        (hash, log) => hash.is_none() && log.is_none(),
    };
    if !named {
        return Err(BindingError::OtherLog);
    }
    let report_data = *quote.body.report_data();
    Ok(Opened { evidence: Evidence { quote, event_log, ima: None, cel: None }, claims, report_data })
}

/// Checks that a quote was made for the claims beside it.
fn open_tagged<'a>(tagged: &TaggedEvidence<'a>) -> Result<(Quote<'a>, Claims<'a>), BindingError> {
    if tagged.kind != EvidenceKind::Quote {
        return Err(BindingError::NotAQuote);
    }
    let quote = Quote::parse(tagged.evidence)?;
    let claims = Claims::parse(tagged.claims)?;
    if *quote.body.report_data() != report_data(&sha256(tagged.claims)) {
        return Err(BindingError::OtherClaims);
    }
    Ok((quote, claims))
}

/// The certificate verifier of RA-TLS clients: accepts a certificate whose evidence names its key, and a handshake that
/// was signed by that key. Names and dates mean nothing in such a certificate and are not looked at.
///
/// This is the first of two steps. A connection that passed it has an unknown peer until the exchange is through; only
/// [`Connector`](super::Connector) uses it.
pub fn verifier() -> impl ServerCertVerifier {
    tls::ByCertificate::new(|certificate: &CertificateDer<'_>| match check_certificate(certificate) {
        Ok(_) => Ok(()),
        Err(reason) => Err(tls::refuse(reason)),
    })
}
