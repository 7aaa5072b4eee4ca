//! Certificates on P-384 in which each single thing can be made wrong, for the vendors whose evidence brings its chain along.
#![allow(dead_code)] // each test binary uses its own part

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// The time at which everything is made unless a test says otherwise.
pub(crate) const AT: u64 = 1_781_524_800; // 2026-06-15T12:00:00Z

pub(crate) fn at() -> UnixTime {
    UnixTime(AT)
}

/// A P-384 key that signs certificates and everything else.
pub(crate) struct Key {
    certificates: KeyPair,
    signer: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn generate() -> Rc<Self> {
        let certificates = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let pkcs8 = certificates.serialized_der();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8).unwrap();
        Rc::new(Self { certificates, signer })
    }

    /// The point in uncompressed form.
    pub(crate) fn point(&self) -> [u8; 97] {
        self.certificates.public_key_raw().try_into().unwrap()
    }

    /// Signature as (r, s).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 96] {
        self.signer.sign(&SystemRandom::new(), message).unwrap().as_ref().try_into().unwrap()
    }
}

/// One certificate.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) name: &'static str,
    pub(crate) organization: &'static str,
    pub(crate) serial: u8,
    /// Seconds before and after [`AT`] between which it is valid.
    pub(crate) valid: (u64, u64),
    /// `None` for a certificate that is no CA's, else its path length.
    pub(crate) ca: Option<Option<u8>>,
    pub(crate) usages: Vec<KeyUsagePurpose>,
    pub(crate) extensions: Vec<CustomExtension>,
    pub(crate) key: Rc<Key>,
}

impl Cert {
    pub(crate) fn ca(name: &'static str, path_length: Option<u8>) -> Self {
        Self {
            name,
            organization: "Example Vendor",
            serial: 1,
            valid: (86_400, 86_400),
            ca: Some(path_length),
            usages: vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
            extensions: Vec::new(),
            key: Key::generate(),
        }
    }

    pub(crate) fn leaf(name: &'static str) -> Self {
        Self { ca: None, usages: vec![KeyUsagePurpose::DigitalSignature], ..Self::ca(name, None) }
    }

    fn params(&self) -> CertificateParams {
        let moment = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.distinguished_name.push(DnType::OrganizationName, self.organization);
        params.serial_number = Some(SerialNumber::from_slice(&[0x7f, self.serial]));
        params.not_before = moment(AT - self.valid.0);
        params.not_after = moment(AT + self.valid.1);
        params.key_usages.clone_from(&self.usages);
        params.is_ca = match self.ca {
            None => IsCa::ExplicitNoCa,
            Some(None) => IsCa::Ca(BasicConstraints::Unconstrained),
            Some(Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
        };
        params.custom_extensions.clone_from(&self.extensions);
        params
    }

    /// The certificate in DER, issued by `issuer`.
    pub(crate) fn der(&self, issuer: &Self) -> Vec<u8> {
        let mut params = issuer.params();
        // The generator must be willing to do what the verifier should refuse.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = Issuer::new(params, &issuer.key.certificates);
        self.params().signed_by(&self.key.certificates, &issuer).unwrap().der().to_vec()
    }

    /// This CA's revocation list, valid for a day around [`AT`] moved by so many days.
    pub(crate) fn list(&self, revoked: &[u8], days: u64) -> Vec<u8> {
        let moment = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(AT + days * 86_400 - 43_200 + seconds);
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[0x7f, *serial]),
            revocation_time: moment(0),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: moment(0),
            next_update: moment(86_400),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&Issuer::new(self.params(), &self.key.certificates)).unwrap().der().to_vec()
    }

    /// The same certificate with another key.
    pub(crate) fn stranger(&self) -> Self {
        Self { key: Key::generate(), ..self.clone() }
    }

    /// This root, trusted.
    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::none().with(Anchor::from_certificate("test", &self.der(self)).unwrap())
    }
}

/// A chain as its issuers would make it: the last certificate is the root.
pub(crate) fn chain(leaf_first: &[&Cert]) -> Vec<Vec<u8>> {
    let issuers = leaf_first.iter().skip(1).chain(leaf_first.last());
    leaf_first.iter().zip(issuers).map(|(cert, issuer)| cert.der(issuer)).collect()
}
