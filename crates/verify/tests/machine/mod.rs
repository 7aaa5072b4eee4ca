//! A machine with a TPM in miniature, in which each single thing can be made wrong.
#![allow(dead_code)] // each test binary uses its own part

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use sealwright_verify::tpm::{AttestationKey, Evidence};
use sealwright_verify::{Anchor, Anchors, Error, Facts, tpm};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::time::UnixTime;
use sealwright_wire::tpm::{
    Attest, Attributes, ClockInfo, Curve, Key, Name, PcrSelection, PcrSelections, PcrValues, Public, Scheme, Signature,
    alg, tools,
};
use std::sync::OnceLock;

/// The time at which everything is verified unless a test says otherwise.
pub(crate) fn at() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-15T12:00:00Z").unwrap()
}

pub(crate) fn hash_of(algorithm: AlgorithmId) -> &'static digest::Algorithm {
    match algorithm {
        AlgorithmId::SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        AlgorithmId::SHA256 => &digest::SHA256,
        AlgorithmId::SHA384 => &digest::SHA384,
        _ => &digest::SHA512,
    }
}

pub(crate) fn digest_of(algorithm: AlgorithmId, bytes: &[u8]) -> Vec<u8> {
    digest::digest(hash_of(algorithm), bytes).as_ref().to_vec()
}

/// How an attestation key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RsaSsa,
    RsaSsa512,
    RsaPss,
    P256,
    P384,
}

/// An attestation key outside of any TPM.
pub(crate) enum Ak {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecc(EcdsaKeyPair, Curve),
}

/// RSA keys take long to make.
fn rsa() -> RsaKeyPair {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let pkcs8 = KEY.get_or_init(|| {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        key.as_der().unwrap().as_ref().to_vec()
    });
    RsaKeyPair::from_pkcs8(pkcs8).unwrap()
}

impl Ak {
    pub(crate) fn new(kind: Kind) -> Self {
        let ecc = |algorithm: &'static EcdsaSigningAlgorithm, curve| {
            Self::Ecc(EcdsaKeyPair::generate(algorithm).unwrap(), curve)
        };
        match kind {
            Kind::RsaSsa => Self::Rsa(Box::new(rsa()), &RSA_PKCS1_SHA256),
            Kind::RsaSsa512 => Self::Rsa(Box::new(rsa()), &RSA_PKCS1_SHA512),
            Kind::RsaPss => Self::Rsa(Box::new(rsa()), &RSA_PSS_SHA256),
            Kind::P256 => ecc(&ECDSA_P256_SHA256_ASN1_SIGNING, Curve::NIST_P256),
            Kind::P384 => ecc(&ECDSA_P384_SHA384_ASN1_SIGNING, Curve::NIST_P384),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ecc(key, _) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
        }
    }

    /// The RSA modulus (behind the tags of an RSAPublicKey of 2048 bits), or the point's coordinates in a row.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key, _) => key.public_key().as_ref()[9..265].to_vec(),
            Self::Ecc(key, _) => key.public_key().as_ref()[1..].to_vec(),
        }
    }
}

/// The machine. Every field can be changed before [`verify`](Self::verify).
pub(crate) struct Machine {
    pub(crate) ak: Ak,
    /// Signs in place of the attestation key.
    pub(crate) signer: Option<Ak>,
    pub(crate) scheme: u16,
    pub(crate) hash: AlgorithmId,
    /// The scheme of the public area, where it is another than that of the signature.
    pub(crate) area_scheme: Option<Option<Scheme>>,
    pub(crate) attributes: Attributes,
    pub(crate) extra_data: Vec<u8>,
    pub(crate) clock_info: ClockInfo,
    pub(crate) pcrs: PcrValues,
    pub(crate) select: Vec<PcrSelection>,
    /// Stands in place of the digest over the selected PCRs.
    pub(crate) pcr_digest: Option<Vec<u8>>,
    /// Changes the message before it is signed.
    pub(crate) message: fn(&mut Vec<u8>),
    /// The PCRs that come with the quote, where they are others.
    pub(crate) sent: Option<PcrValues>,
    pub(crate) event_log: Option<Vec<u8>>,
    pub(crate) ima: Option<Vec<u8>>,
    pub(crate) anchors: Anchors,
}

/// PCR 0 to 23 in both banks: `n + 1` in each byte, and zero from PCR 16 on.
pub(crate) fn registers() -> PcrValues {
    let mut pcrs = PcrValues::new();
    for (hash, size) in [(AlgorithmId::SHA256, 32), (AlgorithmId::SHA384, 48)] {
        for pcr in 0..24u8 {
            let byte = if pcr < 16 { pcr + 1 } else { 0 };
            pcrs.insert(hash, u32::from(pcr), &vec![byte; size]).unwrap();
        }
    }
    pcrs
}

impl Machine {
    /// A machine whose key is enrolled by its public area.
    pub(crate) fn new(kind: Kind) -> Self {
        let (scheme, hash) = match kind {
            Kind::RsaSsa => (alg::RSASSA, AlgorithmId::SHA256),
            Kind::RsaSsa512 => (alg::RSASSA, AlgorithmId::SHA512),
            Kind::RsaPss => (alg::RSAPSS, AlgorithmId::SHA256),
            Kind::P256 => (alg::ECDSA, AlgorithmId::SHA256),
            Kind::P384 => (alg::ECDSA, AlgorithmId::SHA384),
        };
        let mut machine = Self {
            ak: Ak::new(kind),
            signer: None,
            scheme,
            hash,
            area_scheme: None,
            attributes: Attributes::ATTESTATION_KEY,
            extra_data: b"challenge".to_vec(),
            clock_info: ClockInfo { clock: 1000, reset_count: 2, restart_count: 3, safe: true },
            pcrs: registers(),
            select: vec![
                PcrSelection::new(AlgorithmId::SHA384, [7]),
                PcrSelection::new(AlgorithmId::SHA256, [0, 7, 23]),
            ],
            pcr_digest: None,
            message: |_| {},
            sent: None,
            event_log: None,
            ima: None,
            anchors: Anchors::none(),
        };
        machine.anchors = Anchors::none().with(Anchor::attestation_key_area("machine", &machine.area()).unwrap());
        machine
    }

    /// The key's `TPM2B_PUBLIC`.
    pub(crate) fn area(&self) -> Vec<u8> {
        let public = self.ak.public();
        let scheme = Some(Scheme { algorithm: self.scheme, hash: Some(self.hash), count: None });
        let key = match &self.ak {
            Ak::Rsa(..) => Key::Rsa { bits: 2048, exponent: 0, modulus: &public },
            Ak::Ecc(_, curve) => {
                let (x, y) = public.split_at(public.len() / 2);
                Key::Ecc { curve: *curve, kdf: None, x, y }
            }
        };
        let area = Public {
            name_alg: AlgorithmId::SHA256,
            attributes: self.attributes,
            auth_policy: &[],
            symmetric: None,
            scheme: self.area_scheme.unwrap_or(scheme),
            key,
        };
        area.encode_sized().unwrap()
    }

    pub(crate) fn key_info(&self) -> Vec<u8> {
        Public::parse(&self.area()).unwrap().key_info().unwrap()
    }

    fn selections(&self) -> PcrSelections {
        PcrSelections::new(self.select.clone()).unwrap()
    }

    pub(crate) fn message_bytes(&self) -> Vec<u8> {
        let selections = self.selections();
        let values = selections.registers().flat_map(|(hash, pcr)| self.pcrs.get(hash, pcr).unwrap().to_vec());
        let digest = self.pcr_digest.clone().unwrap_or_else(|| digest_of(self.hash, &values.collect::<Vec<_>>()));
        let name = [5; 32];
        let attest = Attest {
            qualified_signer: Name::Digest { algorithm: AlgorithmId::SHA256, digest: &name },
            extra_data: &self.extra_data,
            clock_info: self.clock_info,
            firmware_version: 0x2019_1023_0016_3636,
            pcr_select: selections,
            pcr_digest: &digest,
        };
        let mut message = attest.encode().unwrap();
        (self.message)(&mut message);
        message
    }

    /// The quote's message and `TPMT_SIGNATURE`.
    pub(crate) fn quote(&self) -> (Vec<u8>, Vec<u8>) {
        let message = self.message_bytes();
        let signature = self.signer.as_ref().unwrap_or(&self.ak).sign(&message);
        let hash = self.hash;
        let encoded = match self.scheme {
            alg::RSASSA => Signature::RsaSsa { hash, signature: &signature }.encode(),
            alg::RSAPSS => Signature::RsaPss { hash, signature: &signature }.encode(),
            _ => {
                let (r, s) = tools::plain_ecdsa(&signature).unwrap();
                Signature::Ecdsa { hash, r: &r, s: &s }.encode()
            }
        };
        (message, encoded.unwrap())
    }

    /// The selected PCRs as `tpm2_quote -o` writes them.
    pub(crate) fn pcr_file(&self) -> Vec<u8> {
        tools::write_pcrs(&self.selections(), &self.pcrs).unwrap()
    }

    pub(crate) fn verify_with(&self, key: AttestationKey<'_>) -> Result<Facts, Error> {
        let (message, signature) = self.quote();
        let evidence = Evidence {
            message: &message,
            signature: Signature::parse(&signature).unwrap(),
            pcrs: self.sent.as_ref().unwrap_or(&self.pcrs),
            key,
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: None,
        };
        tpm::verify(&evidence, &self.anchors, at())
    }

    /// With the key named by its public area.
    pub(crate) fn verify(&self) -> Result<Facts, Error> {
        self.verify_with(AttestationKey::Public(&self.area()))
    }

    /// The reason of the refusal.
    pub(crate) fn refusal(&self) -> &'static str {
        self.verify().unwrap_err().code()
    }
}
