//! Certificates and revocation lists as AMD's key distribution service writes them (57230, chapter "Certificates"): RSASSA-PSS with
//! SHA-384, which `rcgen` does not sign.

use super::key::CaKey;
use crate::{Error, platform::sha256};
use der::{
    AnyRef, DateTime, Decode, Encode, Sequence,
    asn1::{Any, BitStringRef, Ia5String, ObjectIdentifier, OctetString, Uint},
    oid::AssociatedOid,
};
use sealwright_wire::time::UnixTime;
use std::time::Duration;
use x509_cert::{
    Version,
    crl::{RevokedCert, TbsCertList},
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, CrlNumber, KeyUsage, SubjectKeyIdentifier,
            crl::dp::DistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");

/// RSASSA-PSS-params (RFC 4055, 3.1).
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    salt_length: u8,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer_field: Option<u8>,
}

/// TBSCertificate (RFC 5280, 4.1).
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial: SerialNumber,
    algorithm: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// What certificates and revocation lists are when they are signed (RFC 5280, 4.1 and 5.1).
#[derive(Sequence)]
struct Signed<'a> {
    tbs: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitStringRef<'a>,
}

/// Who signs.
pub(super) struct Issuer<'a> {
    pub(super) name: &'a Name,
    pub(super) key: &'a CaKey,
}

/// What a certificate says, but for its issuer.
pub(super) struct Subject<'a> {
    pub(super) name: &'a Name,
    pub(super) serial: u32,
    /// The first and the last second.
    pub(super) validity: (UnixTime, UnixTime),
    /// SubjectPublicKeyInfo in DER.
    pub(super) key_info: &'a [u8],
    pub(super) extensions: Vec<Extension>,
}

/// What a revocation list says, but for its issuer.
pub(super) struct List<'a> {
    pub(super) number: u64,
    /// The first and the last second.
    pub(super) validity: (UnixTime, UnixTime),
    /// Serial numbers and times.
    pub(super) revoked: &'a [(u32, UnixTime)],
}

impl Issuer<'_> {
    /// A certificate in DER.
    pub(super) fn certify(&self, subject: Subject<'_>) -> Result<Vec<u8>, Error> {
        // AMD's certificates write out the default of the trailer field, its revocation lists do not.
        let algorithm = pss(Some(1))?;
        let (from, until) = subject.validity;
        let tbs = TbsCertificate {
            version: Version::V3,
            serial: serial(subject.serial)?,
            algorithm: algorithm.clone(),
            issuer: self.name.clone(),
            validity: Validity::new(time(from)?, time(until)?),
            subject: subject.name.clone(),
            key_info: SubjectPublicKeyInfoOwned::from_der(subject.key_info)?,
            extensions: subject.extensions,
        };
        self.sign(&tbs, algorithm)
    }

    /// A revocation list in DER.
    pub(super) fn revoke(&self, list: &List<'_>) -> Result<Vec<u8>, Error> {
        let algorithm = pss(None)?;
        let revoked = list.revoked.iter().map(|(number, at)| revoked(*number, *at)).collect::<Result<Vec<_>, _>>()?;
        let (from, until) = list.validity;
        let tbs: TbsCertList = TbsCertList {
            version: Version::V2,
            signature: algorithm.clone(),
            issuer: self.name.clone(),
            this_update: time(from)?,
            next_update: Some(time(until)?),
            // A list without entries has no list of entries (RFC 5280, 5.1.2.6).
            revoked_certificates: Some(revoked).filter(|revoked| !revoked.is_empty()),
            crl_extensions: Some(vec![
                self.authority_key_identifier()?,
                extension(false, &CrlNumber(Uint::new(&list.number.to_be_bytes())?))?,
            ]),
        };
        self.sign(&tbs, algorithm)
    }

    /// Names the issuer's key.
    pub(super) fn authority_key_identifier(&self) -> Result<Extension, Error> {
        let key_identifier = Some(key_identifier(&self.key.key_info()?)?);
        extension(false, &AuthorityKeyIdentifier { key_identifier, ..AuthorityKeyIdentifier::default() })
    }

    fn sign(&self, tbs: &impl Encode, algorithm: AlgorithmIdentifierOwned) -> Result<Vec<u8>, Error> {
        let tbs = tbs.to_der()?;
        let signature = self.key.sign(&tbs)?;
        let signature = BitStringRef::from_bytes(&signature)?;
        Ok(Signed { tbs: AnyRef::from_der(&tbs)?, algorithm, signature }.to_der()?)
    }
}

/// The extensions of a CA's certificate.
pub(super) fn ca_extensions(
    key_info: &[u8],
    path_length: Option<u8>,
    usage: KeyUsage,
    crl: &str,
) -> Result<Vec<Extension>, Error> {
    let point = GeneralName::UniformResourceIdentifier(Ia5String::new(crl)?);
    let point = DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![point])),
        reasons: None,
        crl_issuer: None,
    };
    Ok(vec![
        extension(false, &SubjectKeyIdentifier(key_identifier(key_info)?))?,
        extension(true, &BasicConstraints { ca: true, path_len_constraint: path_length })?,
        extension(true, &usage)?,
        extension(false, &CrlDistributionPoints(vec![point]))?,
    ])
}

/// An extension that a reader may pass over.
pub(super) fn plain((extn_id, value): (ObjectIdentifier, Vec<u8>)) -> Result<Extension, Error> {
    Ok(Extension { extn_id, critical: false, extn_value: OctetString::new(value)? })
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, Error> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// The first 160 bits of the SHA-256 of a SubjectPublicKeyInfo (RFC 7093, section 2).
fn key_identifier(key_info: &[u8]) -> Result<OctetString, Error> {
    Ok(OctetString::new(&sha256(key_info)[..20])?)
}

fn revoked(number: u32, at: UnixTime) -> Result<RevokedCert, Error> {
    Ok(RevokedCert { serial_number: serial(number)?, revocation_date: time(at)?, crl_entry_extensions: None })
}

fn serial(number: u32) -> Result<SerialNumber, Error> {
    Ok(SerialNumber::new(&number.to_be_bytes())?)
}

/// RSASSA-PSS with SHA-384 throughout and a salt of 48 bytes.
fn pss(trailer_field: Option<u8>) -> Result<AlgorithmIdentifierOwned, Error> {
    let hash = AlgorithmIdentifierOwned { oid: SHA384, parameters: Some(Any::null()) };
    let mask = AlgorithmIdentifierOwned { oid: MGF1, parameters: Some(Any::encode_from(&hash)?) };
    let parameters = Any::encode_from(&PssParameters { hash, mask, salt_length: 48, trailer_field })?;
    Ok(AlgorithmIdentifierOwned { oid: RSASSA_PSS, parameters: Some(parameters) })
}

fn time(at: UnixTime) -> Result<Time, Error> {
    Ok(DateTime::from_unix_duration(Duration::from_secs(at.0))?.into())
}
