//! Certificates of attestation keys: only those of a CA for TPMs that is an anchor, valid, unrevoked, and for an attestation key.

mod machine;
mod site;

use machine::{Ak, Kind, Machine, at};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use sealwright_verify::tpm::AttestationKey;
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Facts, SIMULATION};
use sealwright_wire::tpm::Attributes;
use site::Site;

/// Extended key usages in DER: tcg-kp-AIKCertificate, tcg-kp-EKCertificate, both of TLS.
const AIK: [u8; 9] = [0x30, 0x07, 0x06, 0x05, 0x67, 0x81, 0x05, 0x08, 0x03];
const EK: [u8; 9] = [0x30, 0x07, 0x06, 0x05, 0x67, 0x81, 0x05, 0x08, 0x01];
const TLS: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// The attestation key as the certificate generator sees it.
struct Subject {
    bits: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

/// A CA: its key and what its certificate says.
struct Ca {
    name: &'static str,
    organization: &'static str,
    serial: u8,
    key: KeyPair,
    path_length: Option<u8>,
    is_ca: bool,
    years: (i32, i32),
}

impl Ca {
    fn new(name: &'static str, serial: u8, rsa: bool) -> Self {
        let key = if rsa {
            KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
        } else {
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
        };
        Self { name, organization: "Example TPM", serial, key, path_length: None, is_ca: true, years: (2020, 2040) }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.distinguished_name.push(DnType::OrganizationName, self.organization);
        params.serial_number = Some(SerialNumber::from_slice(&[0x7f, self.serial]));
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        let constraints = self.path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained);
        params.is_ca = if self.is_ca { IsCa::Ca(constraints) } else { IsCa::NoCa };
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn issuer(&self) -> Issuer<'static, &KeyPair> {
        Issuer::new(self.params(), &self.key)
    }

    fn der(&self, issuer: &Self) -> Vec<u8> {
        self.params().signed_by(&self.key, &issuer.issuer()).unwrap().der().to_vec()
    }

    fn crl(&self, revoked: &[u8], years: (i32, i32)) -> Vec<u8> {
        let entry = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[0x7f, *serial]),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(years.0, 1, 1),
            next_update: date_time_ymd(years.1, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().chain(&[0xee]).map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer()).unwrap().der().to_vec()
    }
}

/// A machine whose key a CA has certified: root, CA, key.
struct Certified {
    machine: Machine,
    root: Ca,
    ca: Ca,
    /// Stands between the CA and the key, where there is one.
    sub_ca: Option<Ca>,
    leaf: CertificateParams,
    /// Signs the leaf in place of the CA.
    leaf_issuer: Option<Ca>,
    crls: Vec<Vec<u8>>,
    /// The public area that is sent along.
    area: Option<Vec<u8>>,
}

impl Certified {
    fn new(kind: Kind, rsa: bool) -> Self {
        let mut machine = Machine::new(kind);
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = DistinguishedName::new();
        leaf.distinguished_name.push(DnType::CommonName, "attestation key");
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x7f, 9]));
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(2040, 1, 1);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], AIK.to_vec())];
        let root = Ca::new("Example TPM Root", 1, rsa);
        machine.anchors = Anchors::none().with(Anchor::tpm_ca("tpm", &root.der(&root)).unwrap());
        let area = Some(machine.area());
        let ca = Ca::new("Example TPM CA", 2, rsa);
        Self { machine, root, ca, sub_ca: None, leaf, leaf_issuer: None, crls: Vec::new(), area }
    }

    fn subject(&self) -> Subject {
        let public = self.machine.ak.public();
        match &self.machine.ak {
            Ak::Rsa(key, _) => {
                let bits = aws_lc_rs::signature::KeyPair::public_key(&**key).as_ref().to_vec();
                Subject { bits, algorithm: &rcgen::PKCS_RSA_SHA256 }
            }
            Ak::Ecc(..) => Subject {
                bits: [[4].as_slice(), &public].concat(),
                algorithm: if public.len() == 64 {
                    &rcgen::PKCS_ECDSA_P256_SHA256
                } else {
                    &rcgen::PKCS_ECDSA_P384_SHA384
                },
            },
        }
    }

    fn usage(&mut self, der: &[u8]) {
        self.leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], der.to_vec())];
    }

    fn chain(&self) -> Vec<Vec<u8>> {
        let above = self.sub_ca.as_ref().unwrap_or(&self.ca);
        let issuer = self.leaf_issuer.as_ref().unwrap_or(above);
        let leaf = self.leaf.signed_by(&self.subject(), &issuer.issuer()).unwrap().der().to_vec();
        let sub_ca = self.sub_ca.iter().map(|sub_ca| sub_ca.der(&self.ca));
        [leaf].into_iter().chain(sub_ca).chain([self.ca.der(&self.root), self.root.der(&self.root)]).collect()
    }

    fn verify_chain(&self, chain: &[Vec<u8>]) -> Result<Facts, Error> {
        self.machine.verify_with(AttestationKey::Certified { chain, public: self.area.as_deref(), crls: &self.crls })
    }

    fn verify(&self) -> Result<Facts, Error> {
        self.verify_chain(&self.chain())
    }

    fn refusal(&self) -> &'static str {
        self.verify().unwrap_err().code()
    }
}

/// A change to the certified machine.
type Change = fn(&mut Certified);

fn refused(change: Change) -> &'static str {
    let mut certified = Certified::new(Kind::P256, false);
    change(&mut certified);
    certified.refusal()
}

#[test]
fn rsa_and_ecdsa_chains_certify_keys_of_every_kind() {
    for (kind, rsa) in [(Kind::RsaSsa, true), (Kind::RsaSsa, false), (Kind::P256, true), (Kind::P384, false)] {
        let certified = Certified::new(kind, rsa);
        let facts = certified.verify().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("tpm", AnchorKind::Configured));
        let claims = facts.claims().tpm().unwrap();
        assert_eq!((claims.ak_origin, claims.ak_revocation_checked), ("certificate", false));
        assert_eq!(claims.ak_attributes_from, Some("evidence"));
        assert_eq!(facts.collateral_expires().to_string(), "2040-01-01T00:00:00Z");
        let alone = Certified { area: None, ..certified };
        assert_eq!(alone.verify().unwrap().claims().tpm().unwrap().ak_attributes, None);
    }
}

#[test]
fn a_chain_needs_its_own_kind_of_anchor() {
    let mut certified = Certified::new(Kind::P256, false);
    let root = certified.root.der(&certified.root);
    // A processor's roots are no CA for TPMs, nor is the key itself, nor another CA.
    let intel = Site::tdx();
    let other = Ca::new("Example TPM Root", 1, false);
    let key_info = certified.machine.key_info();
    for anchors in [
        Anchors::none(),
        Anchors::vendor(),
        intel.anchors(),
        Anchors::none().with(Anchor::attestation_key("key", &key_info).unwrap()),
        Anchors::none().with(Anchor::tpm_ca("other", &other.der(&other)).unwrap()),
    ] {
        certified.machine.anchors = anchors;
        assert_eq!(certified.refusal(), "untrusted-root");
    }
    // A CA for TPMs is no root of a processor's vendor, and vouches for no key by name.
    assert!(Anchor::from_certificate("tpm", &root).is_err());
    let as_tpm_ca = Anchors::none().with(Anchor::tpm_ca("intel", &intel.root_der()).unwrap());
    let error = sealwright_verify::Collateral::verify(&intel.bundle(), &as_tpm_ca, at()).unwrap_err();
    assert_eq!(error.code(), "untrusted-root");
    certified.machine.anchors = Anchors::none().with(Anchor::tpm_ca("tpm", &root).unwrap());
    assert_eq!(certified.machine.refusal(), "attestation-key-not-enrolled");
}

#[test]
fn a_simulated_root_is_simulated() {
    let mut certified = Certified::new(Kind::P256, false);
    certified.root.organization = SIMULATION;
    let root = certified.root.der(&certified.root);
    certified.machine.anchors = Anchors::none().with(Anchor::tpm_ca("tpm", &root).unwrap());
    assert_eq!(certified.verify().unwrap().anchor().kind, AnchorKind::Simulated);
}

#[test]
fn only_certificates_for_attestation_keys_count() {
    assert_eq!(refused(|certified| certified.usage(&EK)), "certificate-profile");
    assert_eq!(refused(|certified| certified.usage(&TLS)), "certificate-profile");
    assert_eq!(refused(|certified| certified.usage(&[0x30, 0x01])), "malformed-ak-chain");
    assert_eq!(refused(|certified| certified.leaf.custom_extensions.clear()), "certificate-profile");
}

#[test]
fn the_chain_must_be_whole_and_signed() {
    assert_eq!(refused(|c| c.leaf_issuer = Some(Ca::new("Example TPM CA", 2, false))), "ak-chain-signature");
    assert_eq!(refused(|c| c.leaf_issuer = Some(Ca::new("Another CA", 2, false))), "wrong-issuer");
    assert_eq!(refused(|c| c.ca.is_ca = false), "certificate-profile");
    let certified = Certified::new(Kind::P256, false);
    let chain = certified.chain();
    for (name, chain, code) in [
        ("none", vec![], "chain-length"),
        ("the key's alone", chain[..1].to_vec(), "chain-length"),
        ("without the CA", vec![chain[0].clone(), chain[2].clone()], "wrong-issuer"),
        ("without the root", chain[..2].to_vec(), "untrusted-root"),
        ("too long", vec![chain[1].clone(); 7], "chain-length"),
        ("the wrong way round", chain.iter().rev().cloned().collect(), "untrusted-root"),
    ] {
        assert_eq!(certified.verify_chain(&chain).unwrap_err().code(), code, "{name}");
    }
    for place in 0..3 {
        for at in (0..chain[place].len()).step_by(7) {
            let mut changed = chain.clone();
            changed[place][at] ^= 0x01;
            assert!(certified.verify_chain(&changed).is_err(), "byte {at} of certificate {place}");
        }
        let mut cut = chain.clone();
        cut[place].pop();
        assert_eq!(certified.verify_chain(&cut).unwrap_err().code(), "malformed-ak-chain");
    }
}

#[test]
fn a_ca_that_may_have_no_ca_below_it_has_none() {
    let mut certified = Certified::new(Kind::P256, false);
    certified.sub_ca = Some(Ca::new("Example TPM CA 2", 3, false));
    certified.verify().unwrap();
    certified.ca.path_length = Some(0);
    assert_eq!(certified.refusal(), "certificate-profile");
    certified.sub_ca = None;
    certified.verify().unwrap();
    certified.root.path_length = Some(0);
    assert_eq!(certified.refusal(), "certificate-profile");
}

#[test]
fn what_is_not_valid_now_is_refused() {
    assert_eq!(refused(|c| c.leaf.not_after = date_time_ymd(2026, 1, 1)), "collateral-expired");
    assert_eq!(refused(|c| c.leaf.not_before = date_time_ymd(2027, 1, 1)), "collateral-not-yet-valid");
    assert_eq!(refused(|c| c.ca.years = (2020, 2026)), "collateral-expired");
    assert_eq!(refused(|c| c.crls = vec![c.ca.crl(&[], (2024, 2026))]), "collateral-expired");
}

#[test]
fn what_is_revoked_is_refused_and_facts_say_whether_anybody_looked() {
    let mut certified = Certified::new(Kind::P256, false);
    let checked = |certified: &Certified| certified.verify().unwrap().claims().tpm().unwrap().ak_revocation_checked;
    certified.crls = vec![certified.ca.crl(&[], (2026, 2027))];
    assert!(!checked(&certified), "nobody looked for the CA");
    certified.crls.push(certified.root.crl(&[], (2026, 2027)));
    assert!(checked(&certified));
    assert_eq!(certified.verify().unwrap().collateral_expires().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(refused(|c| c.crls = vec![c.ca.crl(&[9], (2026, 2027))]), "certificate-revoked");
    assert_eq!(refused(|c| c.crls = vec![c.root.crl(&[2], (2026, 2027))]), "certificate-revoked");
    // Serial numbers are those of one issuer.
    certified.crls = vec![certified.root.crl(&[9], (2026, 2027)), certified.ca.crl(&[2], (2026, 2027))];
    assert!(checked(&certified));
    assert_eq!(refused(|c| c.crls = vec![Ca::new("Another CA", 2, false).crl(&[], (2026, 2027))]), "wrong-issuer");
    let same_name = refused(|c| c.crls = vec![Ca::new("Example TPM CA", 2, false).crl(&[], (2026, 2027))]);
    assert_eq!(same_name, "collateral-signature");
    assert_eq!(refused(|c| c.crls = vec![vec![0x30]]), "malformed-collateral");
}

#[test]
fn a_public_area_must_be_of_the_certified_key_and_of_an_attestation_key() {
    assert_eq!(refused(|c| c.area = Some(Machine::new(Kind::P256).area())), "attestation-key-mismatch");
    assert_eq!(
        refused(|c| {
            c.machine.attributes = Attributes(0x0004_0032);
            c.area = Some(c.machine.area());
        }),
        "attestation-key-attributes"
    );
    assert_eq!(refused(|c| c.machine.signer = Some(Ak::new(Kind::P256))), "quote-signature");
}
