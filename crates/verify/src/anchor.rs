//! The roots that a relying party trusts.

use crate::certificate::{Certificate, Profile};
use crate::{Error, Part, collateral::chain, csv, hash};
use sealwright_wire::{Digest, csv::CaCertificate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Organisation in the subject of a simulated vendor's root. A root that bears it is [`AnchorKind::Simulated`], whatever it
/// was declared as, so that no configuration can pass a simulation off as hardware.
pub const SIMULATION: &str = "Sealwright Simulation";

/// Names of the built-in anchors.
const INTEL_NAME: &str = "intel-sgx-root";
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
}

impl AnchorKind {
    /// The kind's name in JSON and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Simulated => "simulated",
            Self::Configured => "configured",
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
    /// The same root as a HRK, when it is one: a root of CSV, whose certificates are not X.509.
    hrk: Option<csv::Root>,
}

impl Anchor {
    /// The built-in Intel SGX Root CA, named `intel-sgx-root`.
    pub fn intel() -> Self {
        Self::new(INTEL_NAME, AnchorKind::Vendor, &INTEL_KEY, INTEL_CERTIFICATE.parse().ok())
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
        let root = root(der)?;
        root.check_root()?;
        let kind = if root.is_simulation() {
            AnchorKind::Simulated
        } else if root.key_info() == INTEL_KEY {
            AnchorKind::Vendor
        } else {
            AnchorKind::Configured
        };
        Ok(Self::new(name, kind, root.key_info(), Some(hash::sha256(&[der]))))
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
        Self { hrk: Some(root.clone()), ..Self::new(name, kind, &root.key_info(), None) }
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

    fn new(name: &str, kind: AnchorKind, key: &[u8], certificate: Option<Digest<32>>) -> Self {
        let id = AnchorId { name: name.to_owned(), kind, sha256: hash::sha256(&[key]) };
        Self { id, key: key.to_vec(), certificate, hrk: None }
    }
}

/// A root's certificate, read as that of the first PKI whose certificates look like it.
fn root(der: &[u8]) -> Result<Certificate, Error> {
    let [first, others @ ..] = Profile::ALL;
    let parse = |rules| Certificate::parse(Part::RootCa, der, rules);
    let as_first = parse(first);
    if as_first.is_ok() {
        as_first
    } else {
        others.into_iter().find_map(|rules| parse(rules).ok()).map_or(as_first, Ok)
    }
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
        Self(vec![Anchor::intel(), Anchor::hygon()])
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
        self.0.iter().filter_map(|anchor| Some((anchor.hrk.as_ref()?, &anchor.id)))
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

    /// The anchor that has the root's key; the root itself must be well-formed and self-signed, or known to be.
    pub(crate) fn trust(&self, root: &Certificate) -> Result<AnchorId, Error> {
        let Some(anchor) = self.0.iter().find(|anchor| anchor.key == root.key_info()) else {
            let of_x509 = self.0.iter().filter(|anchor| anchor.hrk.is_none());
            let trusted: Vec<_> = of_x509.map(|anchor| anchor.id.name.as_str()).collect();
            return Err(Error::UntrustedRoot {
                found: root.subject(),
                sha256: hash::sha256(&[root.key_info()]).to_string(),
                trusted: if trusted.is_empty() { "none".to_owned() } else { trusted.join(", ") },
            });
        };
        if anchor.certificate != Some(hash::sha256(&[root.der()])) {
            root.check_root()?;
        }
        let mut id = anchor.id.clone();
        if root.is_simulation() {
            id.kind = AnchorKind::Simulated;
        }
        Ok(id)
    }
}
