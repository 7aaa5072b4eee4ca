//! The roots that a relying party trusts.

use crate::certificate::{Certificate, Naming, Profile};
use crate::{Error, Part, collateral::chain, csv, hash, snp::roots, tpm};
use sealwright_wire::{Digest, csv::CaCertificate, snp::Product};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::LazyLock};

/// Organisation in the subject of a simulated vendor's root. A root that bears it is [`AnchorKind::Simulated`], whatever it
/// was declared as, so that no configuration can pass a simulation off as hardware.
pub const SIMULATION: &str = "Sealwright Simulation";

/// Names of the built-in anchors.
const INTEL_NAME: &str = "intel-sgx-root";
const NITRO_NAME: &str = "aws-nitro-enclaves-root";
const NVIDIA_NAME: &str = "nvidia-device-identity-root";
const HYGON_NAME: &str = "hygon-hrk";

/// Public key of the Intel SGX Root CA as SubjectPublicKeyInfo: the root of SGX's and TDX's provisioning certificates.
/// Published by Intel as a certificate at <https://certificates.trustedservices.intel.com/>.
#[rustfmt::skip]
const INTEL_KEY: [u8; 91] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    0x0b, 0xa9, 0xc4, 0xc0, 0xc0, 0xc8, 0x61, 0x93, 0xa3, 0xfe, 0x23, 0xd6, 0xb0, 0x2c, 0xda, 0x10,
    0xa8, 0xbb, 0xd4, 0xe8, 0x8e, 0x48, 0xb4, 0x45, 0x85, 0x61, 0xa3, 0x6e, 0x70, 0x55, 0x25, 0xf5,
    0x67, 0x91, 0x8e, 0x2e, 0xdc, 0x88, 0xe4, 0x0d, 0x86, 0x0b, 0xd0, 0xcc, 0x4e, 0xe2, 0x6a, 0xac,
    0xc9, 0x88, 0xe5, 0x05, 0xa9, 0x53, 0x55, 0x8c, 0x45, 0x3f, 0x6b, 0x09, 0x04, 0xae, 0x73, 0x94,
];

/// SHA-256 of the certificate that Intel publishes for this key since 2018, valid to the end of 2049.
const INTEL_CERTIFICATE: &str = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";

/// Public key of the AWS Nitro Enclaves root (G1) as SubjectPublicKeyInfo. Published by AWS as a certificate at
/// <https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip>.
#[rustfmt::skip]
const NITRO_KEY: [u8; 120] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04, 0xfc, 0x02, 0x54, 0xeb, 0xa6, 0x08, 0xc1, 0xf3,
    0x68, 0x70, 0xe2, 0x9a, 0xda, 0x90, 0xbe, 0x46, 0x38, 0x32, 0x92, 0x73, 0x6e, 0x89, 0x4b, 0xff,
    0xf6, 0x72, 0xd9, 0x89, 0x44, 0x4b, 0x50, 0x51, 0xe5, 0x34, 0xa4, 0xb1, 0xf6, 0xdb, 0xe3, 0xc0,
    0xbc, 0x58, 0x1a, 0x32, 0xb7, 0xb1, 0x76, 0x07, 0x0e, 0xde, 0x12, 0xd6, 0x9a, 0x3f, 0xea, 0x21,
    0x1b, 0x66, 0xe7, 0x52, 0xcf, 0x7d, 0xd1, 0xdd, 0x09, 0x5f, 0x6f, 0x13, 0x70, 0xf4, 0x17, 0x08,
    0x43, 0xd9, 0xdc, 0x10, 0x01, 0x21, 0xe4, 0xcf, 0x63, 0x01, 0x28, 0x09, 0x66, 0x44, 0x87, 0xc9,
    0x79, 0x62, 0x84, 0x30, 0x4d, 0xc5, 0x3f, 0xf4,
];

/// SHA-256 of that certificate, valid to October 2049, as the AWS Nitro Enclaves user guide states it ("Verifying the root of trust").
const NITRO_CERTIFICATE: &str = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";

/// Public key of the NVIDIA Device Identity CA as SubjectPublicKeyInfo: the root of the certificates of NVIDIA's GPUs. NVIDIA publishes the
/// certificate with its attestation tools (`verifier_device_root.pem` of nvtrust).
#[rustfmt::skip]
const NVIDIA_KEY: [u8; 120] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04, 0x0e, 0x4c, 0x14, 0xa3, 0x3b, 0xf8, 0xa5, 0x62,
    0x66, 0x58, 0xdb, 0x41, 0x29, 0x60, 0x7e, 0x4c, 0xbf, 0x45, 0x19, 0xc4, 0x41, 0x27, 0x16, 0xf4,
    0xd0, 0xd9, 0x17, 0xc4, 0x97, 0x80, 0x05, 0xbd, 0xea, 0xbe, 0xae, 0xfd, 0x57, 0xbc, 0x66, 0x08,
    0x2d, 0x71, 0x8a, 0x4f, 0x8b, 0x60, 0x52, 0xe1, 0x51, 0x6e, 0xe8, 0xa7, 0xc4, 0x22, 0xb8, 0x4d,
    0xe8, 0x57, 0x07, 0x1b, 0xb5, 0x8f, 0xd3, 0x95, 0xbe, 0xa0, 0xcf, 0xa1, 0xc6, 0x3e, 0xe7, 0xc8,
    0x0d, 0x6b, 0xd6, 0x39, 0x01, 0xd9, 0x1c, 0xbb, 0xd1, 0x87, 0xd3, 0x85, 0x7d, 0xc1, 0x6b, 0x5c,
    0xce, 0xaf, 0x23, 0x8f, 0xf8, 0xc2, 0x7d, 0xbd,
];

/// SHA-256 of that certificate, which does not expire.
const NVIDIA_CERTIFICATE: &str = "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48";

/// Where trust in a root comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorKind {
    /// A hardware vendor's root, built into this crate.
    Vendor,
    /// The root of a simulated vendor: nothing below it says anything about hardware.
    Simulated,
    /// A root that the relying party's configuration names.
    Configured,
    /// A TPM's attestation key that the relying party enrolled: nobody vouches for it but whoever enrolled it.
    Enrolled,
}

impl AnchorKind {
    /// The kind's name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Simulated => "simulated",
            Self::Configured => "configured",
            Self::Enrolled => "enrolled",
        }
    }
}

impl fmt::Display for AnchorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which anchor vouched for evidence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AnchorId {
    /// The name that the relying party gave it.
    pub name: String,
    /// Where trust in it comes from.
    pub kind: AnchorKind,
    /// SHA-256 of its public key (SubjectPublicKeyInfo), which a renewed root certificate keeps.
    pub sha256: Digest<32>,
}

/// A trusted root: a public key with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    id: AnchorId,
    /// SubjectPublicKeyInfo in DER.
    key: Vec<u8>,
    /// SHA-256 of a certificate of this key that is known to be a well-formed root and signed by itself.
    certificate: Option<Digest<32>>,
    scope: Scope,
}

/// What an anchor is trusted for. An anchor of one scope is never one of another.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// The chains of one PKI.
    Pki {
        /// The PKI, by what the common names of its roots contain.
        pki: &'static str,
        /// What the root above a chain must be called.
        naming: Naming,
    },
    /// The quotes of this one key of a TPM; with its public area where that was enrolled.
    AttestationKey { area: Option<Vec<u8>> },
    /// The chains of CSV, whose certificates are not X.509.
    Hrk(Box<csv::Root>),
}

impl Anchor {
    /// The built-in Intel SGX Root CA, named `intel-sgx-root`.
    pub fn intel() -> Self {
        Self::new(INTEL_NAME, AnchorKind::Vendor, &INTEL_KEY, INTEL_CERTIFICATE.parse().ok(), Profile::INTEL)
    }

    /// The built-in AMD Root Key of a product line, named `amd-ark-milan` and so on; none for a product line whose root is not built in.
    pub fn amd(product: Product) -> Option<Self> {
        let root = roots::of(product)?;
        Some(Self::new(root.name, AnchorKind::Vendor, root.key, root.certificate.parse().ok(), Profile::AMD))
    }

    /// The built-in AWS Nitro Enclaves root, named `aws-nitro-enclaves-root`.
    pub fn nitro() -> Self {
        Self::new(NITRO_NAME, AnchorKind::Vendor, &NITRO_KEY, NITRO_CERTIFICATE.parse().ok(), Profile::NITRO)
    }

    /// The built-in NVIDIA Device Identity CA, named `nvidia-device-identity-root`.
    pub fn nvidia() -> Self {
        Self::new(NVIDIA_NAME, AnchorKind::Vendor, &NVIDIA_KEY, NVIDIA_CERTIFICATE.parse().ok(), Profile::NVIDIA)
    }

    /// The roots of hardware vendors that are built in.
    fn vendors() -> impl Iterator<Item = Self> {
        let amd = Product::ALL.into_iter().filter_map(Self::amd);
        [Self::intel(), Self::hygon(), Self::nitro(), Self::nvidia()].into_iter().chain(amd)
    }

    /// The built-in Hygon root key, named `hygon-hrk`.
    pub fn hygon() -> Self {
        Self::of_hrk(HYGON_NAME, AnchorKind::Vendor, &csv::Root::hygon())
    }

    /// A root that the relying party trusts, from its certificate: X.509 in DER, or a HRK of CSV. One with a simulation's organisation becomes
    /// [`AnchorKind::Simulated`] (a HRK's user id stands for its organisation), one with a built-in key stays [`AnchorKind::Vendor`].
    ///
    /// # Errors
    /// When it is no self-signed CA certificate of a PKI that is known here.
    pub fn from_certificate(name: &str, der: &[u8]) -> Result<Self, Error> {
        // A HRK's certificate has this size and begins with its version, an X.509 certificate with the tag of a SEQUENCE.
        if der.len() == size_of::<CaCertificate>() && der.first() != Some(&0x30) {
            return Self::from_hrk(name, der);
        }
        Ok(Self::named(name, &root(der)?, Naming::OfPki))
    }

    /// A root that the relying party trusts for documents of AWS Nitro enclaves, from its certificate in DER. Its common name is free, where
    /// [`Anchor::from_certificate`] takes it for the PKI that it tells: a name that tells another PKI is refused. Everything else about root and
    /// chain is as AWS has it.
    ///
    /// # Errors
    /// When it is no self-signed CA certificate as the Nitro PKI has them, or is named as the root of another.
    pub fn nitro_root(name: &str, der: &[u8]) -> Result<Self, Error> {
        Self::declared(name, Part::RootCa, der, Profile::NITRO)
    }

    /// As [`Anchor::nitro_root`], for reports of NVIDIA's GPUs.
    ///
    /// # Errors
    /// When it is no self-signed CA certificate as NVIDIA's PKI has them, or is named as the root of another.
    pub fn nvidia_root(name: &str, der: &[u8]) -> Result<Self, Error> {
        Self::declared(name, Part::RootCa, der, Profile::NVIDIA)
    }

    /// The root of a CA that certifies attestation keys of TPMs, from its certificate in DER: it vouches for such certificates only, and no
    /// other anchor does. None is built in: who issues them is the maker of the machine or of the cloud, whom the relying party knows.
    ///
    /// # Errors
    /// When it is no self-signed CA certificate.
    pub fn tpm_ca(name: &str, der: &[u8]) -> Result<Self, Error> {
        Self::declared(name, Part::AkRootCa, der, Profile::TPM)
    }

    /// An attestation key of a TPM, from its SubjectPublicKeyInfo in DER. Whoever enrols it has made sure that it is a restricted signing key
    /// of the TPM in question (by credential activation, or at the machine itself): nothing here can check that any more.
    ///
    /// # Errors
    /// When it is no key of RSA, P-256 or P-384.
    pub fn attestation_key(name: &str, key_info: &[u8]) -> Result<Self, Error> {
        tpm::public_key(key_info)?;
        Ok(Self::enrolled(name, key_info, None))
    }

    /// As [`Anchor::attestation_key`], from the key's public area (`TPM2B_PUBLIC` or `TPMT_PUBLIC`), which says what the key may do.
    ///
    /// # Errors
    /// When it is no public area, or its attributes or scheme are not those of an attestation key.
    pub fn attestation_key_area(name: &str, public: &[u8]) -> Result<Self, Error> {
        let area = tpm::Area::parse(public)?;
        Ok(Self::enrolled(name, &area.key_info, Some(area.bytes.to_vec())))
    }

    fn enrolled(name: &str, key_info: &[u8], area: Option<Vec<u8>>) -> Self {
        Self::of_scope(name, AnchorKind::Enrolled, key_info, None, Scope::AttestationKey { area })
    }

    fn from_hrk(name: &str, certificate: &[u8]) -> Result<Self, Error> {
        let root = csv::Root::parse(certificate)?;
        let kind = if root.is_simulation() {
            AnchorKind::Simulated
        } else if root.is_hygon() {
            AnchorKind::Vendor
        } else {
            AnchorKind::Configured
        };
        Ok(Self::of_hrk(name, kind, &root))
    }

    fn of_hrk(name: &str, kind: AnchorKind, root: &csv::Root) -> Self {
        Self::of_scope(name, kind, &root.key_info(), None, Scope::Hrk(Box::new(root.clone())))
    }

    /// The same anchor, declared to be a simulation's.
    #[must_use]
    pub fn simulated(mut self) -> Self {
        self.id.kind = AnchorKind::Simulated;
        self
    }

    /// Its name, kind and key's digest.
    pub const fn id(&self) -> &AnchorId {
        &self.id
    }

    /// A built-in root.
    fn new(name: &str, kind: AnchorKind, key: &[u8], certificate: Option<Digest<32>>, pki: &'static Profile) -> Self {
        Self::of_scope(name, kind, key, certificate, Scope::Pki { pki: pki.root, naming: Naming::OfPki })
    }

    /// A root that is of this PKI because the relying party says so.
    fn declared(name: &str, part: Part, der: &[u8], pki: &'static Profile) -> Result<Self, Error> {
        let root = Certificate::parse(part, der, pki)?;
        root.check_root(Naming::Declared)?;
        Ok(Self::named(name, &root, Naming::Declared))
    }

    /// A root of the relying party's, which was checked.
    fn named(name: &str, root: &Certificate, naming: Naming) -> Self {
        let pki = root.profile().root;
        let kind = if root.is_simulation() {
            AnchorKind::Simulated
        } else if Self::vendors().any(|vendor| vendor.pki() == Some(pki) && vendor.key == root.key_info()) {
            AnchorKind::Vendor
        } else {
            AnchorKind::Configured
        };
        Self::of_scope(name, kind, root.key_info(), Some(hash::sha256(&[root.der()])), Scope::Pki { pki, naming })
    }

    /// The PKI whose chains it is trusted for.
    const fn pki(&self) -> Option<&'static str> {
        if let Scope::Pki { pki, .. } = self.scope { Some(pki) } else { None }
    }

    fn of_scope(name: &str, kind: AnchorKind, key: &[u8], certificate: Option<Digest<32>>, scope: Scope) -> Self {
        let id = AnchorId { name: name.to_owned(), kind, sha256: hash::sha256(&[key]) };
        Self { id, key: key.to_vec(), certificate, scope }
    }
}

/// A root's certificate, read as that of the first PKI to which it is a root. Where it is to none, the reason is that of the first whose
/// certificates are signed as this one.
fn root(der: &[u8]) -> Result<Certificate, Error> {
    let as_root = |rules| {
        let root = Certificate::parse(Part::RootCa, der, rules)?;
        root.check_root(Naming::OfPki).map(|()| root)
    };
    let [first, others @ ..] = Profile::ALL;
    others.into_iter().fold(as_root(first), |kept, rules| match kept {
        Err(error) if signed_otherwise(&error) => as_root(rules),
        Err(error) => as_root(rules).map_err(|_| error),
        root => root,
    })
}

fn signed_otherwise(error: &Error) -> bool {
    matches!(error, Error::Profile { rule, .. } if Profile::ALL.iter().any(|rules| rules.signed == *rule))
}

/// The set of trusted roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors(Vec<Anchor>);

impl Anchors {
    /// No root at all: everything is refused.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The roots of hardware vendors that are built in.
    pub fn vendor() -> Self {
        static VENDOR: LazyLock<Anchors> = LazyLock::new(|| Anchors(Anchor::vendors().collect()));
        VENDOR.clone()
    }

    /// These roots and one more. The first anchor with a chain's key is the one that facts name.
    #[must_use]
    pub fn with(mut self, anchor: Anchor) -> Self {
        self.0.push(anchor);
        self
    }

    /// The roots, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Anchor> {
        self.0.iter()
    }

    /// The roots of CSV among them.
    pub(crate) fn hrks(&self) -> impl Iterator<Item = (&csv::Root, &AnchorId)> {
        self.0.iter().filter_map(|anchor| match &anchor.scope {
            Scope::Hrk(root) => Some((&**root, &anchor.id)),
            _ => None,
        })
    }

    /// The anchor above a PCK chain as quotes carry it (PEM, leaf first, root last): whether the chain could be believed at all. Only
    /// the root is looked at; [`crate::Collateral::platform`] verifies the chain.
    ///
    /// # Errors
    /// [`Error::UntrustedRoot`] when no anchor has the root's key, and when the chain or its root is malformed.
    pub fn above(&self, pck_chain: &[u8]) -> Result<AnchorId, Error> {
        let [_, _, root] = chain::<3>(Part::Pck, pck_chain)?;
        self.trust(&Certificate::parse(Part::RootCa, &root, Profile::INTEL)?)
    }

    /// The anchor of the root's PKI that has its key; the root itself must be well-formed and self-signed, or known to be.
    pub(crate) fn trust(&self, root: &Certificate) -> Result<AnchorId, Error> {
        let of_pki = || {
            self.0.iter().filter_map(|anchor| match anchor.scope {
                Scope::Pki { pki, naming } if pki == root.profile().root => Some((anchor, naming)),
                _ => None,
            })
        };
        let Some((anchor, naming)) = of_pki().find(|(anchor, _)| anchor.key == root.key_info()) else {
            let trusted: Vec<_> = of_pki().map(|(anchor, _)| anchor.id.name.as_str()).collect();
            return Err(Error::UntrustedRoot {
                found: root.subject(),
                sha256: hash::sha256(&[root.key_info()]).to_string(),
                trusted: if trusted.is_empty() { "none".to_owned() } else { trusted.join(", ") },
            });
        };
        root.check_root_name(naming)?;
        if anchor.certificate != Some(hash::sha256(&[root.der()])) {
            root.check_root(naming)?;
        }
        let mut id = anchor.id.clone();
        if root.is_simulation() {
            id.kind = AnchorKind::Simulated;
        }
        Ok(id)
    }

    /// The anchor of an enrolled attestation key, and its public area where that was enrolled.
    pub(crate) fn trust_attestation_key(&self, key_info: &[u8]) -> Result<(AnchorId, Option<&[u8]>), tpm::Error> {
        let enrolled = self.0.iter().filter_map(|anchor| match &anchor.scope {
            Scope::AttestationKey { area } => Some((anchor, area.as_deref())),
            Scope::Pki { .. } | Scope::Hrk(_) => None,
        });
        let mut names = Vec::new();
        for (anchor, area) in enrolled {
            if anchor.key == key_info {
                return Ok((anchor.id.clone(), area));
            }
            names.push(anchor.id.name.as_str());
        }
        let enrolled = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(tpm::Error::NotEnrolled { sha256: hash::sha256(&[key_info]), enrolled })
    }
}
