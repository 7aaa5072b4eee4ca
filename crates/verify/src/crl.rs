//! Certificate revocation lists (RFC 5280, section 5; Intel SGX PCK Certificate and CRL Profile Specification).

use crate::certificate::{Certificate, Extension, SignedFrame, name_text, profile, seconds, sequence};
use crate::{CrlIssue, CrlNumber, Error, Part, window::Window};
use der::asn1::{AnyRef, IntRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, Sequence, TagMode, TagNumber};
use sealwright_wire::Error as WireError;
use x509_cert::time::Time;

const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// Largest list that is read, in bytes. Intel's largest has a few kilobytes.
pub(crate) const MAX_CRL: usize = 1 << 20;

/// A revocation list whose issuer has been verified.
#[derive(Debug)]
pub(crate) struct Crl {
    part: Part,
    window: Window,
    issue: CrlIssue,
    /// Serial numbers, sorted.
    revoked: Vec<Vec<u8>>,
}

/// The fields of a TBSCertList (RFC 5280, 5.1.2), borrowed.
struct Fields<'a> {
    version: u8,
    algorithm: &'a [u8],
    issuer: &'a [u8],
    this_update: Time,
    next_update: Option<Time>,
    revoked: Vec<Revoked<'a>>,
    extensions: Vec<Extension<'a>>,
}

/// One revoked certificate.
#[derive(Sequence)]
struct Revoked<'a> {
    serial: IntRef<'a>,
    date: AnyRef<'a>,
    #[asn1(optional = "true")]
    extensions: Option<Vec<Extension<'a>>>,
}

impl<'a> Fields<'a> {
    fn parse(part: Part, tbs: &'a [u8]) -> Result<Self, Error> {
        sequence(part, tbs, |inner| {
            Ok(Self {
                version: u8::decode(inner)?,
                algorithm: inner.tlv_bytes()?,
                issuer: inner.tlv_bytes()?,
                this_update: Time::decode(inner)?,
                next_update: Option::decode(inner)?,
                revoked: Option::decode(inner)?.unwrap_or_default(),
                extensions: inner.context_specific(TagNumber(0), TagMode::Explicit)?.unwrap_or_default(),
            })
        })
    }

    /// A complete list of version 2: with its number and issuer's key, and nothing critical that would narrow what it
    /// covers (a delta list or a distribution point's).
    fn check(&self, part: Part, identifier: &[u8]) -> Result<(), Error> {
        if self.version != 1 || self.algorithm != identifier {
            let found = format!("{} with {}", self.version, hex::encode(self.algorithm));
            return Err(profile(part, "version 2 with the same signature algorithm inside as outside", found));
        }
        let of_entries = self.revoked.iter().flat_map(|entry| entry.extensions.iter().flatten());
        if let Some(critical) = self.extensions.iter().chain(of_entries).find(|extension| extension.critical) {
            return Err(profile(part, "no unknown critical extension", critical.id.to_string()));
        }
        let has = |id| self.extensions.iter().any(|extension| extension.id == id);
        if !has(CRL_NUMBER) || !has(AUTHORITY_KEY_IDENTIFIER) {
            return Err(profile(part, "a CRL number and an authority key identifier", "not both".into()));
        }
        Ok(())
    }

    fn issue(&self, part: Part) -> Result<CrlIssue, Error> {
        let extension = self.extensions.iter().find(|extension| extension.id == CRL_NUMBER);
        let value = extension.map(|extension| extension.value.as_bytes()).unwrap_or_default();
        let number = UintRef::from_der(value).ok().and_then(|number| CrlNumber::from_be_bytes(number.as_bytes()));
        let number = number
            .ok_or_else(|| profile(part, "a CRL number of at most 20 octets, not negative", hex::encode(value)))?;
        Ok(CrlIssue { number, at: seconds(self.this_update) })
    }
}

impl Crl {
    /// Reads a list and checks that `issuer` signed it.
    pub(crate) fn verify(part: Part, der: &[u8], issuer: &Certificate) -> Result<Self, Error> {
        if der.len() > MAX_CRL {
            return Err(Error::Malformed { part, source: WireError::too_long(part.name(), 0, MAX_CRL, der.len()) });
        }
        let frame = SignedFrame::parse(part, der, issuer.profile())?;
        let fields = Fields::parse(part, frame.tbs)?;
        if fields.issuer != issuer.name() {
            let found = name_text(fields.issuer);
            return Err(Error::Issuer { part, expected: issuer.subject(), found });
        }
        if !issuer.key().verify(frame.algorithm, frame.tbs, frame.signature) {
            return Err(Error::Signature { part, signer: issuer.part().name() });
        }
        fields.check(part, frame.identifier)?;
        let Some(next_update) = fields.next_update else {
            return Err(profile(part, "a time of next update", "none".into()));
        };
        let window = Window::new(part, seconds(fields.this_update), seconds(next_update));
        let mut revoked: Vec<_> = fields.revoked.iter().map(|entry| entry.serial.as_bytes().to_vec()).collect();
        revoked.sort_unstable();
        Ok(Self { part, window, issue: fields.issue(part)?, revoked })
    }

    pub(crate) const fn issue(&self) -> CrlIssue {
        self.issue
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// Refuses a certificate that the list names.
    pub(crate) fn check(&self, certificate: &Certificate) -> Result<(), Error> {
        let serial = certificate.serial();
        if self.revoked.binary_search_by(|revoked| revoked.as_slice().cmp(serial)).is_err() {
            return Ok(());
        }
        Err(Error::Revoked { part: certificate.part(), serial: hex::encode(serial), crl: self.part })
    }
}
