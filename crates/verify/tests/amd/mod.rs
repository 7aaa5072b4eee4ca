//! AMD in miniature: a root, a CA, one signing key and its report, in which each single thing can be made wrong.
#![allow(dead_code)] // each test binary uses its own part

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA384, RSA_PSS_SHA384, RsaEncoding, RsaKeyPair,
};
use der::Encode;
use der::asn1::ObjectIdentifier;
use sealwright_verify::snp::{Collateral, Revocation, Vek};
use sealwright_verify::{Anchor, Anchors, Error, Facts};
use sealwright_wire::collateral::encode_pem_chain;
use sealwright_wire::snp::{
    AttestationReport, Bundle, FirmwareVersion, GuestPolicy, HwId, Product, Report, Signature, SignerInfo, SigningKey,
    Tcb, VekExtensions,
};
use sealwright_wire::time::UnixTime;
use std::rc::Rc;
use zerocopy::FromZeros;

/// The time at which everything is verified unless a test says otherwise.
pub(crate) fn at() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-15T12:00:00Z").unwrap()
}

/// A DER value of a tag.
pub(crate) fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let len = u16::try_from(contents.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let header = match len {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, contents].concat()
}

fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, contents)
}

fn oid(text: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(text).to_der().unwrap()
}

fn sha384() -> Vec<u8> {
    sequence(&[&oid("2.16.840.1.101.3.4.2.2"), &[5, 0]])
}

/// How a certificate or list is signed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Signing {
    /// RSASSA-PSS, with its trailer field written out, as AMD's certificates have it.
    PssWithTrailer,
    /// RSASSA-PSS, with its trailer field left out, as AMD's revocation lists have it.
    Pss,
    /// RSASSA-PSS whose parameters say a salt of 32 bytes.
    PssShortSalt,
    /// sha384WithRSAEncryption.
    Pkcs1,
}

impl Signing {
    fn identifier(self) -> Vec<u8> {
        let salt = if self == Self::PssShortSalt { 32 } else { 48 };
        let mask = sequence(&[&oid("1.2.840.113549.1.1.8"), &sha384()]);
        let mut parameters = vec![tlv(0xa0, &[&sha384()]), tlv(0xa1, &[&mask]), tlv(0xa2, &[&[2, 1, salt]])];
        match self {
            Self::Pkcs1 => return sequence(&[&oid("1.2.840.113549.1.1.12"), &[5, 0]]),
            Self::PssWithTrailer => parameters.push(tlv(0xa3, &[&[2, 1, 1]])),
            Self::Pss | Self::PssShortSalt => {}
        }
        sequence(&[&oid("1.2.840.113549.1.1.10"), &sequence(&[&parameters.concat()])])
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        if self == Self::Pkcs1 { &RSA_PKCS1_SHA384 } else { &RSA_PSS_SHA384 }
    }
}

/// A key of a CA, or of a chip.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    P384(EcdsaKeyPair),
}

impl Key {
    pub(crate) fn rsa() -> Rc<Self> {
        Rc::new(Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn p384() -> Rc<Self> {
        Rc::new(Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()))
    }

    fn info(&self) -> Vec<u8> {
        let info: PublicKeyX509Der<'_> = match self {
            Self::Rsa(key) => key.public_key().as_der().unwrap(),
            Self::P384(key) => key.public_key().as_der().unwrap(),
        };
        info.as_ref().to_vec()
    }

    /// `SEQUENCE { signed, algorithm, BIT STRING }`.
    fn signed(&self, signing: Signing, tbs: &[u8]) -> Vec<u8> {
        let Self::Rsa(key) = self else { panic!("chips do not sign certificates") };
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(signing.encoding(), &SystemRandom::new(), tbs, &mut signature).unwrap();
        sequence(&[tbs, &signing.identifier(), &tlv(3, &[&[0], &signature])])
    }

    /// R and S of a report's signature.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 96] {
        let Self::P384(key) = self else { panic!("CAs do not sign reports") };
        key.sign(&SystemRandom::new(), message).unwrap().as_ref().try_into().unwrap()
    }
}

/// The first second of a year, as a UTCTime.
fn year(year: i32) -> Vec<u8> {
    tlv(0x17, &[format!("{:02}0101000000Z", year % 100).as_bytes()])
}

/// One certificate.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) name: String,
    pub(crate) organization: &'static str,
    pub(crate) serial: u8,
    /// Valid from the first second of the first year to the first second of the other.
    pub(crate) years: (i32, i32),
    /// Basic constraints.
    pub(crate) is_ca: bool,
    /// Key usage: 0x04 keyCertSign, 0x02 cRLSign.
    pub(crate) usage: Option<u8>,
    pub(crate) signing: Signing,
    /// Whether each is critical, and its value.
    pub(crate) extensions: Vec<(ObjectIdentifier, bool, Vec<u8>)>,
    pub(crate) key: Rc<Key>,
    /// Stands in place of the key's SubjectPublicKeyInfo.
    pub(crate) key_info: Option<Vec<u8>>,
}

impl Cert {
    fn new(name: String, serial: u8, usage: Option<u8>, key: Rc<Key>) -> Self {
        Self {
            name,
            organization: "Example Micro Devices",
            serial,
            years: (2020, 2040),
            is_ca: usage.is_some(),
            usage,
            signing: Signing::PssWithTrailer,
            extensions: Vec::new(),
            key,
            key_info: None,
        }
    }

    pub(crate) fn subject(&self) -> Vec<u8> {
        let part = |id, text: &str| tlv(0x31, &[&sequence(&[&oid(id), &tlv(0x0c, &[text.as_bytes()])])]);
        sequence(&[&part("2.5.4.10", self.organization), &part("2.5.4.3", &self.name)])
    }

    fn all_extensions(&self) -> Vec<u8> {
        let extension = |id: &[u8], critical: bool, value: &[u8]| {
            let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
            sequence(&[id, critical, &tlv(4, &[value])])
        };
        let mut all = Vec::new();
        if self.is_ca {
            all.extend(extension(&oid("2.5.29.19"), true, &sequence(&[&[1, 1, 0xff]])));
        }
        if let Some(usage) = self.usage {
            all.extend(extension(&oid("2.5.29.15"), true, &[3, 2, 1, usage]));
        }
        for (id, critical, value) in &self.extensions {
            all.extend(extension(&id.to_der().unwrap(), *critical, value));
        }
        tlv(0xa3, &[&sequence(&[&all])])
    }

    /// The certificate in DER, issued by `issuer`.
    pub(crate) fn der(&self, issuer: &Self) -> Vec<u8> {
        let tbs = sequence(&[
            &[0xa0, 3, 2, 1, 2],
            &[2, 1, self.serial],
            &self.signing.identifier(),
            &issuer.subject(),
            &sequence(&[&year(self.years.0), &year(self.years.1)]),
            &self.subject(),
            &self.key_info.clone().unwrap_or_else(|| self.key.info()),
            &self.all_extensions(),
        ]);
        issuer.key.signed(self.signing, &tbs)
    }
}

/// The revocation list.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) issuer: Cert,
    pub(crate) years: (i32, i32),
    /// Serial numbers.
    pub(crate) revoked: Vec<u8>,
    pub(crate) number: u8,
    /// Has a critical extension that would narrow what it covers.
    pub(crate) partial: bool,
}

impl List {
    fn new(issuer: &Cert) -> Self {
        Self { issuer: issuer.clone(), years: (2026, 2027), revoked: vec![0x70], number: 9, partial: false }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let revoked: Vec<u8> =
            self.revoked.iter().flat_map(|serial| sequence(&[&[2, 1, *serial], &year(2026)])).collect();
        let extension = |id, critical: &[u8], value: &[u8]| sequence(&[&oid(id), critical, &tlv(4, &[value])]);
        let mut extensions = extension("2.5.29.35", &[], &sequence(&[&tlv(0x80, &[&[1; 20]])]));
        extensions.extend(extension("2.5.29.20", &[], &[2, 1, self.number]));
        if self.partial {
            extensions.extend(extension("2.5.29.28", &[1, 1, 0xff], &sequence(&[&[0x82, 1, 0xff]])));
        }
        let tbs = sequence(&[
            &[2, 1, 1],
            &Signing::Pss.identifier(),
            &self.issuer.subject(),
            &year(self.years.0),
            &year(self.years.1),
            &sequence(&[&revoked]),
            &tlv(0xa0, &[&sequence(&[&extensions])]),
        ]);
        self.issuer.key.signed(Signing::Pss, &tbs)
    }
}

/// The whole site. Every field can be changed before [`bundle`](Self::bundle), [`vek`](Self::vek) and [`report`](Self::report) are made.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) product: Product,
    pub(crate) ark: Cert,
    /// Signs the root in its own place.
    pub(crate) ark_issuer: Option<Cert>,
    /// ASK or ASVK.
    pub(crate) ca: Cert,
    pub(crate) ca_issuer: Option<Cert>,
    /// VCEK or VLEK.
    pub(crate) vek: Cert,
    pub(crate) vek_issuer: Option<Cert>,
    pub(crate) extensions: VekExtensions,
    pub(crate) crl: Option<List>,
    pub(crate) report: AttestationReport,
    /// Signs the report in place of the VCEK or VLEK.
    pub(crate) report_signer: Option<Rc<Key>>,
    /// Stands in the report in place of its signature.
    pub(crate) signature: Option<[u8; 96]>,
    pub(crate) revocation: Revocation,
}

/// The security versions of the site's machine.
pub(crate) fn tcb(product: Product) -> Tcb {
    Tcb { fmc: (product == Product::Turin).then_some(2), boot_loader: 3, tee: 1, snp: 8, microcode: 0x73 }
}

/// The certified chip.
pub(crate) fn hwid(product: Product) -> HwId {
    let len = if product == Product::Turin { 8 } else { 64 };
    HwId::new(&[0x5c; 64][..len], false).unwrap()
}

impl Site {
    /// Milan, with a VCEK and a report of version 2: the oldest that there is.
    pub(crate) fn vcek() -> Self {
        Self::new(Product::Milan, SigningKey::Vcek, 2)
    }

    /// Genoa, with a VLEK and a report of version 3.
    pub(crate) fn vlek() -> Self {
        Self::new(Product::Genoa, SigningKey::Vlek, 3)
    }

    /// Turin, with a VCEK and a report of version 5.
    pub(crate) fn turin() -> Self {
        Self::new(Product::Turin, SigningKey::Vcek, 5)
    }

    pub(crate) fn new(product: Product, kind: SigningKey, version: u32) -> Self {
        let (name, vlek) = (product.name(), kind == SigningKey::Vlek);
        let ark = Cert::new(format!("ARK-{name}"), 1, Some(0x06), Key::rsa());
        let ca_name = if vlek { format!("SEV-VLEK-{name}") } else { format!("SEV-{name}") };
        Self {
            product,
            ark_issuer: None,
            ca: Cert::new(ca_name, 2, Some(0x04), Key::rsa()),
            ca_issuer: None,
            vek: Cert::new(format!("SEV-{}", kind.name()), 0, None, Key::p384()),
            vek_issuer: None,
            extensions: VekExtensions {
                struct_version: 1,
                product_name: name.to_owned(),
                tcb: tcb(product),
                reserved_spl: [Some(0); 4],
                hwid: (!vlek).then(|| hwid(product)),
                csp_id: vlek.then(|| "CN=cloud.example".to_owned()),
            },
            crl: Some(List::new(&ark)),
            report: report(product, kind, version),
            report_signer: None,
            signature: None,
            revocation: Revocation::Required,
            ark,
        }
    }

    pub(crate) fn ark_der(&self) -> Vec<u8> {
        self.ark.der(self.ark_issuer.as_ref().unwrap_or(&self.ark))
    }

    /// The root's key, by a certificate that is as it should be.
    pub(crate) fn anchors(&self) -> Anchors {
        let product = self.product.name();
        let ark = Cert { name: format!("ARK-{product}"), is_ca: true, usage: Some(0x06), ..self.ark.clone() };
        let ark = Cert { years: (2020, 2040), signing: Signing::Pss, extensions: Vec::new(), ..ark };
        Anchors::none().with(Anchor::from_certificate("test", &ark.der(&ark)).unwrap())
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let ca = self.ca.der(self.ca_issuer.as_ref().unwrap_or(&self.ark));
        Bundle { cert_chain: encode_pem_chain(&[ca, self.ark_der()]), crl: self.crl.as_ref().map(List::der) }
    }

    pub(crate) fn vek(&self) -> Vec<u8> {
        let extensions = self.extensions.to_extensions().unwrap();
        let mut vek = self.vek.clone();
        vek.extensions.extend(extensions.into_iter().map(|(id, value)| (id, false, value)));
        vek.der(self.vek_issuer.as_ref().unwrap_or(&self.ca))
    }

    pub(crate) fn report(&self) -> Vec<u8> {
        let mut report = self.report;
        let signer = self.report_signer.as_ref().unwrap_or(&self.vek.key);
        let signature = self.signature.unwrap_or_else(|| match **signer {
            Key::P384(_) => signer.sign(report.signed()),
            Key::Rsa(_) => [1; 96],
        });
        report.signature = Signature::from_be_bytes(&signature);
        report.encode().unwrap()
    }

    pub(crate) fn collateral(&self) -> Result<Collateral, Error> {
        Collateral::verify(&self.bundle(), &self.anchors(), self.revocation, at())
    }

    pub(crate) fn key(&self) -> Result<Vek, Error> {
        self.collateral()?.vek(&self.vek(), at())
    }

    /// Verifies the site's report under the site's root.
    pub(crate) fn verify(&self) -> Result<Facts, Error> {
        self.key()?.verify(&Report::parse(&self.report()).unwrap(), at())
    }
}

fn report(product: Product, kind: SigningKey, version: u32) -> AttestationReport {
    let versions = tcb(product).encode(product);
    let mut report = AttestationReport::new_zeroed();
    report.version.set(version);
    report.guest_svn.set(7);
    report.policy.set(GuestPolicy::RESERVED_ONE | 0x1_0137);
    report.family_id = [0xfa; 16];
    report.image_id = [0x1a; 16];
    report.signature_algo.set(1);
    report.current_tcb = versions;
    report.platform_info.set(0x25);
    report.signer_info.set(SignerInfo::new(kind, false, true).0);
    report.report_data = [0x5a; 64];
    report.measurement = [0x4e; 48];
    report.host_data = [0x40; 32];
    report.id_key_digest = [0x1d; 48];
    report.author_key_digest = [0xa0; 48];
    report.report_id = [0x1e; 32];
    report.report_id_ma = [0xff; 32];
    report.reported_tcb = versions;
    report.committed_tcb = versions;
    report.launch_tcb = versions;
    report.current = FirmwareVersion { build: 4, minor: 55, major: 1 };
    report.committed = report.current;
    if kind == SigningKey::Vcek {
        report.chip_id = *hwid(product).chip_id();
    }
    if version >= 3 {
        (report.cpuid_fam_id, report.cpuid_mod_id, report.cpuid_step) = match product {
            Product::Turin => (0x1a, 0x02, 1),
            Product::Genoa => (0x19, 0x11, 1),
            _ => (0x19, 0x01, 1),
        };
    }
    if version >= 5 {
        report.launch_mit_vector.set(3);
        report.current_mit_vector.set(7);
    }
    report
}
