//! Whether an RA-TLS certificate, of whichever maker, belongs to the quote in it: the first of the two questions about such a certificate.
//! The second is whether the quote is genuine ([`crate::verify`]).
//!
//! A quote that vouches for a certificate's key says nothing of the session in which the certificate is shown, nor of its age. The
//! certificate's own signature, names and dates say nothing at all: its key made them.

use crate::{Error, Part, hash};
use der::asn1::ObjectIdentifier;
use sealwright_wire::quote::Quote;
use sealwright_wire::ratls::{
    Certificate, CertificateEvidence, Claims, EvidenceKind, HashAlgorithm, HashEntry, OID_LEGACY_GRAMINE,
    OID_LEGACY_OPEN_ENCLAVE, OID_LEGACY_RATS_TLS, TaggedEvidence, open_enclave_key, report_data,
};
use std::borrow::Cow;

/// Why an RA-TLS certificate does not belong to evidence in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RatlsError {
    /// There is no evidence in the certificate.
    #[error(
        "the certificate holds no evidence (extensions 2.23.133.5.4.9, 1.2.840.113741.1337.6 and 1.2.840.113556.10.1.1)"
    )]
    NoEvidence,
    /// The evidence is a report, which only its own machine can check.
    #[error("the certificate holds a report, not a quote: only the machine that made it can check it")]
    NotAQuote,
    /// The extension is one whose quotes vouch for nothing that the certificate has.
    #[error(
        "the certificate holds a quote in the legacy extension {oid} only, which does not vouch for the certificate's key"
    )]
    Unnamed {
        /// Which extension.
        oid: String,
    },
    /// The claims name another key than the certificate's.
    #[error("the claim pubkey-hash is not the hash of the certificate's key")]
    OtherKey {
        /// The claim, in hex.
        expected: String,
        /// The hash of the certificate's key, in hex.
        found: String,
    },
    /// The quote was made for other claims, or for another key.
    #[error("the quote's report data is not the hash of the {of}")]
    OtherReportData {
        /// What should have been hashed: `claims` or `certificate's key`.
        of: &'static str,
        /// What the report data should be, in hex.
        expected: String,
        /// What it is, in hex.
        found: String,
    },
}

impl RatlsError {
    /// One word for all: the certificate is not bound to evidence.
    pub(crate) const fn code(&self) -> &'static str {
        "ratls-unbound"
    }

    pub(crate) const fn claim(&self) -> &'static str {
        match self {
            Self::NoEvidence | Self::NotAQuote | Self::Unnamed { .. } => "RA-TLS certificate",
            Self::OtherKey { .. } => "pubkey-hash",
            Self::OtherReportData { .. } => "report data",
        }
    }

    pub(crate) fn expected(&self) -> Option<String> {
        match self {
            Self::OtherKey { expected, .. } | Self::OtherReportData { expected, .. } => Some(expected.clone()),
            Self::NoEvidence | Self::NotAQuote | Self::Unnamed { .. } => Some("a quote that names the key".to_owned()),
        }
    }

    pub(crate) fn actual(&self) -> Option<String> {
        match self {
            Self::OtherKey { found, .. } | Self::OtherReportData { found, .. } => Some(found.clone()),
            Self::Unnamed { oid } => Some(oid.clone()),
            Self::NoEvidence | Self::NotAQuote => None,
        }
    }

    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::NoEvidence => "the peer speaks plain TLS: have it make an RA-TLS certificate inside its environment",
            Self::NotAQuote => "have the peer put a quote into its certificate, not a report",
            Self::Unnamed { .. } => {
                "have the peer use a release of its library that follows the interoperable RA-TLS profile"
            }
            Self::OtherKey { .. } | Self::OtherReportData { .. } => {
                "the evidence was taken from another certificate: do not trust whoever shows this one"
            }
        }
    }
}

/// A certificate whose quote vouches for its key. Whether the quote is genuine has not been asked.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    /// SubjectPublicKeyInfo of the certificate in DER.
    pub spki: &'a [u8],
    /// The quote.
    pub quote: Quote<'a>,
    /// What else the quote vouches for; none in certificates from before the profile.
    pub claims: Option<Claims<'a>>,
}

/// Checks that the quote in a certificate (DER) vouches for the certificate's key, as the profile or the maker's form before it has it.
///
/// # Errors
/// When certificate, evidence or quote are malformed, or do not belong together.
pub fn check_certificate(der: &[u8]) -> Result<Bound<'_>, Error> {
    let certificate = Certificate::parse(der).map_err(malformed)?;
    match certificate.evidence {
        CertificateEvidence::Tagged(cbor) => check_tagged(&certificate, cbor),
        CertificateEvidence::Legacy { oid, quote } => check_legacy(&certificate, oid, quote),
        _ => Err(RatlsError::NoEvidence.into()),
    }
}

/// The profile: the quote vouches for the claims, and these name the key.
fn check_tagged<'a>(certificate: &Certificate<'a>, cbor: &'a [u8]) -> Result<Bound<'a>, Error> {
    let tagged = TaggedEvidence::parse(cbor).map_err(malformed)?;
    if tagged.kind != EvidenceKind::Quote {
        return Err(RatlsError::NotAQuote.into());
    }
    let quote = Quote::parse(tagged.evidence).map_err(Error::malformed_quote)?;
    let claims = Claims::parse(tagged.claims).map_err(malformed)?;
    check_report_data(&quote, "claims", &[tagged.claims])?;
    let (expected, found) = (hex::encode(claims.pubkey_hash.digest), hashed(&claims.pubkey_hash, certificate.spki));
    if expected != found {
        return Err(RatlsError::OtherKey { expected, found }.into());
    }
    Ok(Bound { spki: certificate.spki, quote, claims: Some(claims) })
}

/// Before the profile: the quote vouches for the key.
fn check_legacy<'a>(certificate: &Certificate<'a>, oid: ObjectIdentifier, quote: &'a [u8]) -> Result<Bound<'a>, Error> {
    let keys = legacy_keys(certificate, oid).ok_or_else(|| RatlsError::Unnamed { oid: oid.to_string() })?;
    let quote = Quote::parse(quote).map_err(Error::malformed_quote)?;
    check_report_data(&quote, "certificate's key", &keys)?;
    Ok(Bound { spki: certificate.spki, quote, claims: None })
}

/// The forms of a certificate's key of which the maker of an extension hashes one: for RSA some releases of RATS-TLS leave out what stands around
/// the key. `None` where the maker hashes something else.
fn legacy_keys<'a>(certificate: &Certificate<'a>, oid: ObjectIdentifier) -> Option<Vec<Cow<'a, [u8]>>> {
    let Certificate { spki, key, .. } = *certificate;
    match oid {
        OID_LEGACY_RATS_TLS if is_rsa_public_key(key) => Some(vec![spki.into(), key.into()]),
        OID_LEGACY_GRAMINE | OID_LEGACY_RATS_TLS => Some(vec![spki.into()]),
        OID_LEGACY_OPEN_ENCLAVE => Some(vec![open_enclave_key(spki).into()]),
        _ => None,
    }
}

/// RSAPublicKey is a SEQUENCE; the points of elliptic curves begin otherwise.
fn is_rsa_public_key(key: &[u8]) -> bool {
    key.first() == Some(&0x30)
}

/// The report data must be the hash of one of these.
fn check_report_data(quote: &Quote<'_>, of: &'static str, one_of: &[impl AsRef<[u8]>]) -> Result<(), Error> {
    let stated = quote.body.report_data();
    let wanted: Vec<_> = one_of.iter().map(|bytes| report_data(&hash::sha256(&[bytes.as_ref()]).0)).collect();
    if wanted.iter().any(|wanted| wanted == stated) {
        return Ok(());
    }
    let expected = wanted.first().map(hex::encode).unwrap_or_default();
    Err(RatlsError::OtherReportData { of, expected, found: hex::encode(stated) }.into())
}

fn hashed(entry: &HashEntry<'_>, bytes: &[u8]) -> String {
    let algorithm = match entry.algorithm {
        HashAlgorithm::Sha256 => hash::Hash::SHA256,
        HashAlgorithm::Sha384 => hash::Hash::SHA384,
        HashAlgorithm::Sha512 => hash::Hash::SHA512,
    };
    algorithm.digest(bytes).to_string()
}

const fn malformed(source: sealwright_wire::Error) -> Error {
    Error::Malformed { part: Part::RatlsCertificate, source }
}
