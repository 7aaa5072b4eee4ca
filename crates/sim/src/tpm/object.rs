//! Keys as TPM objects: public areas and names (Part 1, "Names"; TCG EK Credential Profile, "Default EK Templates").

use super::{
    hash::Hash,
    key::{Key, KeyKind, Scheme},
};
use crate::Error;
use sealwright_wire::tpm::{Attributes, Name, Public, Symmetric, alg};

/// `TPM_RH_ENDORSEMENT`, the parent of endorsement keys.
const RH_ENDORSEMENT: u32 = 0x4000_000b;
/// Attributes of an endorsement key: never leaves its TPM, made there, decrypts for its children, used by policy.
const EK_ATTRIBUTES: Attributes = Attributes(0x0003_00b2);
/// PolicyA: whoever knows the endorsement hierarchy's authorisation may use the key.
pub(super) const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// Hash of all names here.
const NAME_ALG: Hash = Hash::SHA256;

/// What attestation key a machine makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AkTemplate {
    /// How it signs.
    pub scheme: Scheme,
    /// What it may do. A TPM makes keys with other attributes than an attestation key's as well.
    pub attributes: Attributes,
}

impl AkTemplate {
    /// An attestation key as it should be.
    pub const fn new(scheme: Scheme) -> Self {
        Self { scheme, attributes: Attributes::ATTESTATION_KEY }
    }

    /// What TPM2_Create refuses, and what could never quote.
    fn check(self) -> Result<(), Error> {
        let bits = self.attributes;
        let right = bits.sign() && !(bits.restricted() && bits.decrypt()) && bits.0 & Attributes::RESERVED == 0;
        let (field, expected) = ("objectAttributes", "sign, not decrypt where restricted, and no reserved bit");
        if right { Ok(()) } else { Err(Error::Config { field, expected, found: format!("{:#010x}", bits.0) }) }
    }
}

/// A key in a TPM.
pub(super) struct Object {
    pub(super) key: Key,
    /// `TPMT_PUBLIC`.
    pub(super) area: Vec<u8>,
    /// Digest of its qualified name: its name hashed with its parents'.
    pub(super) qualified: Vec<u8>,
}

impl Object {
    /// An endorsement key of the template L-1 (RSA 2048) or L-2 (ECC P-256), which differ in the key alone.
    pub(super) fn endorsement_key(kind: KeyKind) -> Result<Self, Error> {
        if kind == KeyKind::P384 {
            let (field, expected) = ("endorsement key", "RSA 2048 or ECC P-256, which the low range of templates has");
            return Err(Error::Config { field, expected, found: "ECC P-384".to_owned() });
        }
        let key = Key::generate(kind)?;
        let area = Public {
            name_alg: NAME_ALG.id(),
            attributes: EK_ATTRIBUTES,
            auth_policy: &EK_POLICY,
            symmetric: Some(Symmetric { algorithm: alg::AES, key_bits: 128, mode: alg::CFB }),
            scheme: None,
            key: key.public()?,
        };
        let area = encode(&area)?;
        Ok(Self { qualified: qualified(&Name::Handle(RH_ENDORSEMENT), &area), key, area })
    }

    /// An attestation key below an endorsement key.
    pub(super) fn attestation_key(template: AkTemplate, parent: &Self) -> Result<Self, Error> {
        template.check()?;
        let key = Key::generate(template.scheme.kind())?;
        let area = Public {
            name_alg: NAME_ALG.id(),
            attributes: template.attributes,
            auth_policy: &[],
            symmetric: None,
            scheme: Some(template.scheme.stated()),
            key: key.public()?,
        };
        let area = encode(&area)?;
        Ok(Self { qualified: qualified(&parent.qualified_name(), &area), key, area })
    }

    /// `TPM2B_PUBLIC`, as tools write it.
    pub(super) fn sized_area(&self) -> Result<Vec<u8>, Error> {
        self.public().and_then(|public| public.encode_sized()).map_err(Error::tpm("TPM2B_PUBLIC"))
    }

    /// SubjectPublicKeyInfo in DER.
    pub(super) fn key_info(&self) -> Result<Vec<u8>, Error> {
        self.public().and_then(|public| public.key_info()).map_err(Error::tpm("TPM2B_PUBLIC"))
    }

    pub(super) fn qualified_name(&self) -> Name<'_> {
        Name::Digest { algorithm: NAME_ALG.id(), digest: &self.qualified }
    }

    fn public(&self) -> Result<Public<'_>, sealwright_wire::Error> {
        Public::parse(&self.area)
    }
}

fn encode(public: &Public<'_>) -> Result<Vec<u8>, Error> {
    public.encode().map_err(Error::tpm("TPMT_PUBLIC"))
}

/// The digest of the qualified name of the object with this public area below `parent`.
fn qualified(parent: &Name<'_>, area: &[u8]) -> Vec<u8> {
    let digest = NAME_ALG.digest(&[area]);
    let name = Name::Digest { algorithm: NAME_ALG.id(), digest: &digest };
    NAME_ALG.digest(&[&parent.to_bytes(), &name.to_bytes()])
}
