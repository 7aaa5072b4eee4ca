//! A CSV vendor, one chip of it and a guest's report in miniature, in which each single thing can be made wrong.

use hmac::{Hmac, KeyInit, Mac};
use sealwright_verify::csv::Chip;
use sealwright_verify::{Anchor, Anchors, Error, Facts};
use sealwright_wire::csv::{
    Body, CaCertificate, Certificate, CertificateSignature, HskCek, PublicKey, Report, Shape, Signature, Signer,
    TeeInfo, TeeInfoV1, TeeInfoV2, Usage,
};
use sealwright_wire::time::UnixTime;
use sm2::dsa::SigningKey;
use sm2::dsa::signature::Signer as _;
use sm2::elliptic_curve::sec1::ToSec1Point;
use zerocopy::{FromZeros, IntoBytes};

pub(crate) fn at() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-15T12:00:00Z").unwrap()
}

/// A key with the id under which it signs.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: [u8; 32],
}

impl Key {
    /// One of many keys, always the same for a seed.
    pub(crate) fn new(id: &str, seed: u8) -> Self {
        Self { id: id.to_owned(), secret: [seed; 32] }
    }

    fn signer(&self) -> SigningKey {
        SigningKey::from_slice(&self.id, &self.secret).unwrap()
    }

    pub(crate) fn public(&self) -> PublicKey {
        let point = self.signer().verifying_key().to_sec1_point(false);
        let array = |bytes: &[u8]| bytes.try_into().unwrap();
        PublicKey::new(&array(point.x().unwrap()), &array(point.y().unwrap()))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature: sm2::dsa::Signature = self.signer().sign(message);
        let bytes = signature.to_bytes();
        Signature::new(bytes[..32].try_into().unwrap(), bytes[32..].try_into().unwrap())
    }
}

/// A HRK or HSK before it is signed.
#[derive(Clone)]
pub(crate) struct Ca {
    pub(crate) key: Key,
    pub(crate) certificate: CaCertificate,
}

impl Ca {
    pub(crate) fn new(usage: Usage, key: Key, key_id: u8, signer_id: u8) -> Self {
        let certificate =
            CaCertificate::new(usage, [key_id; 16], [signer_id; 16], key.public(), key.id.as_bytes()).unwrap();
        Self { key, certificate }
    }

    pub(crate) fn signed_by(&self, key: &Key) -> CaCertificate {
        let mut certificate = self.certificate;
        certificate.signature = key.sign(certificate.signed());
        certificate
    }
}

/// A CEK, PEK or OCA before it is signed, and who signs it in which place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) key: Key,
    pub(crate) certificate: Certificate,
    pub(crate) signers: Vec<(Usage, Key)>,
}

impl Node {
    pub(crate) fn new(usage: Usage, key: Key, signer_id: u8, signers: Vec<(Usage, Key)>) -> Self {
        let certificate = Certificate::new(usage, [signer_id; 16], key.public(), key.id.as_bytes()).unwrap();
        Self { key, certificate, signers }
    }

    pub(crate) fn signed(&self) -> Certificate {
        let mut certificate = self.certificate;
        for (place, (usage, key)) in self.signers.iter().enumerate() {
            certificate.signatures[place] = CertificateSignature::new(*usage, key.sign(self.certificate.signed()));
        }
        certificate
    }
}

/// Everything from the root to the report.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) hrk: Ca,
    pub(crate) hsk: Ca,
    pub(crate) cek: Node,
    pub(crate) oca: Node,
    pub(crate) pek: Node,
    /// Who signs the HSK, where it is another than the HRK.
    pub(crate) hsk_signer: Option<Key>,
    /// Who signs the report, where it is another than the PEK.
    pub(crate) report_signer: Option<Key>,
    pub(crate) info: TeeInfo,
    /// Version 1: the mask.
    pub(crate) anonce: [u8; 4],
    /// Version 2: RTMR0 to RTMR4.
    pub(crate) rtmr: Option<[[u8; 32]; 5]>,
    pub(crate) serial_number: [u8; 64],
    pub(crate) mac_key: [u8; 16],
    /// Whether the guest's library has taken the mask off and wiped the reserved bytes.
    pub(crate) restored: bool,
    pub(crate) event_log: Option<Vec<u8>>,
}

impl Site {
    pub(crate) fn v1() -> Self {
        let hrk = Ca::new(Usage::HRK, Key::new("TEST-HRK", 1), 0x11, 0x11);
        let hsk = Ca::new(Usage::HSK, Key::new("TEST-HSK", 2), 0x22, 0x11);
        let cek = Node::new(Usage::CEK, Key::new("TEST-CEK", 3), 0x22, vec![(Usage::HSK, hsk.key.clone())]);
        let owner = Key::new("TEST-OCA", 4);
        let oca = Node::new(Usage::OCA, owner.clone(), 0, vec![(Usage::OCA, owner.clone())]);
        let signers = vec![(Usage::CEK, cek.key.clone()), (Usage::OCA, owner)];
        let pek = Node::new(Usage::PEK, Key::new("TEST-PEK", 5), 0, signers);
        let mut info = TeeInfo::new_zeroed();
        (info.report_data, info.measure, info.mnonce) = ([0x5a; 64], [0x6b; 32], [0x7c; 16]);
        (info.user_pubkey_digest, info.vm_id, info.vm_version) = ([1; 32], [2; 16], [3; 16]);
        info.policy.set(0x0201_3445);
        info.sig_usage.set(Usage::PEK.0);
        info.sig_algo.set(4);
        let mut serial_number = [0; 64];
        serial_number[..8].copy_from_slice(b"TEST0001");
        Self {
            hrk,
            hsk,
            cek,
            oca,
            pek,
            hsk_signer: None,
            report_signer: None,
            info,
            anonce: [0x9b, 0x42, 0x91, 0x12],
            rtmr: None,
            serial_number,
            mac_key: info.mnonce,
            restored: false,
            event_log: None,
        }
    }

    pub(crate) fn v2() -> Self {
        let site = Self::v1();
        Self { anonce: [0; 4], rtmr: Some([site.info.measure, [0; 32], [0; 32], [0; 32], [0; 32]]), ..site }
    }

    pub(crate) fn hrk(&self) -> Vec<u8> {
        self.hrk.signed_by(&self.hrk.key).as_bytes().to_vec()
    }

    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::none().with(Anchor::from_certificate("test", &self.hrk()).unwrap())
    }

    pub(crate) fn hsk_cek(&self) -> Vec<u8> {
        let hsk = self.hsk.signed_by(self.hsk_signer.as_ref().unwrap_or(&self.hrk.key));
        HskCek { hsk: &hsk, cek: &self.cek.signed() }.encode()
    }

    pub(crate) fn signer(&self) -> Signer {
        let mut signer = Signer::new(self.pek.signed(), self.serial_number, [0xd8; 32], self.anonce);
        let mut mac = Hmac::<sm3::Sm3>::new_from_slice(&self.mac_key).unwrap();
        mac.update(signer.authenticated());
        signer.mac = mac.finalize().into_bytes().into();
        if self.restored { signer.restored(self.anonce) } else { signer }
    }

    pub(crate) fn report(&self) -> Vec<u8> {
        let key = self.report_signer.as_ref().unwrap_or(&self.pek.key);
        let Some(rtmr) = self.rtmr else {
            let mut body = TeeInfoV1::new(self.info, self.anonce);
            body.signature = key.sign(Body::V1(&body).signed());
            return Report::encode(Shape::Bare, &Body::V1(&body), &self.signer()).unwrap();
        };
        let mut body = TeeInfoV2::new(self.info, 2337, [[0; 32]; 4]);
        body.rtmr = rtmr;
        body.signature = key.sign(Body::V2(&body).signed());
        Report::encode(Shape::Extension, &Body::V2(&body), &self.signer()).unwrap()
    }

    pub(crate) fn chip(&self) -> Result<Chip, Error> {
        Chip::verify(&self.hsk_cek(), &self.anchors())
    }

    pub(crate) fn verify(&self) -> Result<Facts, Error> {
        let report = self.report();
        let report = Report::parse(&report).unwrap();
        self.chip()?.verify_report(&report, self.event_log.as_deref(), at())
    }

    /// The reason why this site is refused.
    pub(crate) fn refusal(&self) -> Error {
        self.verify().unwrap_err()
    }
}
