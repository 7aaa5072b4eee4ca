//! Evidence of any kind as it lies in files, with whatever its vendor says beside it: what it is, and whether it is genuine.
//!
//! Whoever knows what kind of evidence to expect calls that kind's own `verify`; this is for those who do not: command lines, and programs in
//! other languages. Nothing is looked up: what a kind needs and was not given is [`Error::Missing`].
//!
//! ```no_run
//! use sealwright_verify::any::{Request, Supplied};
//! use sealwright_wire::time::UnixTime;
//!
//! let mut supplied = Supplied::default();
//! supplied.add(&std::fs::read("collateral.json")?)?;
//! let at = UnixTime::parse_rfc3339("2025-06-20T10:16:00Z")?;
//! let facts = Request::new(&supplied, at).verify(&std::fs::read("evidence")?)?;
//! println!("{} under {}", facts.tee().name(), facts.anchor().name);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod amd;
mod hygon;
mod intel;
mod kind;
mod lists;
mod requests;
mod supplied;
mod verdict;

pub use kind::{Kind, decoded, hex_text};
pub use requests::quoted_pcrs;
pub use supplied::{NotCollateral, Supplied};
pub use verdict::{NoDemand, Reason, UNDEMANDING, Verdict, demand};

use crate::{Error as VerifyError, Facts, nitro::Freshness, snp::Revocation};
use sealwright_wire::time::UnixTime;
use std::fmt;

/// What to trust in place of the vendors' built-in roots, by a name for it: a root certificate in DER or PEM, or Hygon's HRK; for a TPM its
/// attestation key (a public key in DER or PEM, or a public area), or the root of a CA that certifies such keys; for Arm CCA a platform's
/// key (JWK) or a store of them (JSON). A root of Nitro's or NVIDIA's format may have any common name but one of another vendor's.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    /// What verdicts call it.
    pub name: &'a str,
    /// Its bytes as they lie in a file.
    pub bytes: &'a [u8],
}

/// How evidence is to be verified, and with what.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The point in time.
    pub at: UnixTime,
    /// What came along with the evidence.
    pub supplied: &'a Supplied,
    /// What to trust. The vendors' built-in roots where none is named.
    pub roots: Vec<Root<'a>>,
    /// The event log that explains the evidence's registers.
    pub event_log: Option<&'a [u8]>,
    /// The kernel's IMA list, for a TPM's quote; for a trust domain's, beside its event log.
    pub ima: Option<&'a [u8]>,
    /// A canonical event log of what was measured behind the others: userspace's, as systemd keeps it, or a whole boot in this form.
    pub cel: Option<&'a [u8]>,
    /// The signature of a TPM's quote (`TPMT_SIGNATURE`).
    pub signature: Option<&'a [u8]>,
    /// The PCRs of a TPM's quote, as tpm2-tools write them (binary or YAML).
    pub pcrs: Option<&'a [u8]>,
    /// The attestation key of a TPM's quote, where several are named as roots.
    pub key: Option<&'a [u8]>,
    /// The vTPM's quote beside an HCL report: with its signature and PCRs, or `TPMS_ATTEST` with these given apart.
    pub vtpm_quote: Option<&'a [u8]>,
    /// The quote of a trust domain whose TDREPORT an HCL report holds.
    pub td_quote: Option<&'a [u8]>,
    /// Whether a chain of AMD's needs the revocation list of its root.
    pub revocation: Revocation,
    /// How old a Nitro document may be.
    pub freshness: Freshness,
}

impl<'a> Request<'a> {
    /// Under the vendors' roots, with revocation lists, and nothing beside `supplied`.
    pub fn new(supplied: &'a Supplied, at: UnixTime) -> Self {
        Self {
            at,
            supplied,
            roots: Vec::new(),
            event_log: None,
            ima: None,
            cel: None,
            signature: None,
            pcrs: None,
            key: None,
            vtpm_quote: None,
            td_quote: None,
            revocation: Revocation::Required,
            freshness: Freshness::default(),
        }
    }

    /// Verifies evidence, in bytes or written as hex, base64 or, of a certificate, PEM.
    ///
    /// # Errors
    /// [`Error::Refused`] when the evidence is not believed, or is none; else what is wrong with the request.
    pub fn verify(&self, evidence: &[u8]) -> Result<Facts, Error> {
        let (kind, bytes) =
            Kind::of_text(evidence).ok_or_else(|| VerifyError::NotEvidence { found: unknown(evidence) })?;
        self.verify_as(kind, &bytes)
    }
}

/// What there is to say of bytes of which nothing is known.
pub fn unknown(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing at all".to_owned(),
        _ => format!("{} bytes beginning with {}", bytes.len(), hex::encode(bytes.get(..16).unwrap_or(bytes))),
    }
}

/// Why there are no facts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The evidence is not believed.
    #[error("{error}")]
    Refused {
        /// Why not.
        #[source]
        error: VerifyError,
        /// Whether the root that the evidence names is a simulator's; `None` where it names none that is trusted.
        simulated: Option<bool>,
    },
    /// Without this the evidence cannot be judged.
    #[error("{} needs {missing}", kind.with_article())]
    Missing {
        /// What the evidence is.
        kind: Kind,
        /// What is needed.
        missing: Missing,
    },
    /// What would not be looked at must not seem to have been.
    #[error("{} is not verified with {beside}", kind.with_article())]
    Unused {
        /// What the evidence is.
        kind: Kind,
        /// What was given beside it.
        beside: Beside,
    },
    /// What was named to be trusted is not what this kind of evidence stands on.
    #[error("{name} is no {expected}: {reason}")]
    Root {
        /// The name under which it was given.
        name: String,
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// Whether the root that the evidence names is a simulator's, where that is known.
    pub const fn simulated(&self) -> Option<bool> {
        match self {
            Self::Refused { simulated, .. } => *simulated,
            _ => None,
        }
    }
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        Self::Refused { error, simulated: None }
    }
}

/// What evidence may need beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Intel's collateral.
    IntelCollateral,
    /// A part of Intel's collateral, where that came in parts.
    IntelPart(&'static str),
    /// Hygon's certificates of the chip.
    HskCek,
    /// The one of them that did not come with the other.
    HygonCertificate(&'static str),
    /// A certificate of AMD's, by its subject's common name.
    AmdCertificate(String),
    /// The certificates of a device's key.
    DeviceChain,
    /// The signature of a TPM's quote.
    Signature,
    /// The PCRs of a TPM's quote.
    Pcrs,
    /// The attestation key of a TPM's quote.
    AttestationKey,
    /// The event log that comes before an IMA list.
    EventLog,
    /// The vTPM's quote, which an HCL report is verified with.
    VtpmQuote,
    /// The quote of the trust domain whose TDREPORT an HCL report holds.
    TdQuote,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntelCollateral => write!(f, "Intel's collateral, as one JSON document or in its parts"),
            Self::IntelPart(name) => write!(f, "{name} among Intel's collateral"),
            Self::HskCek => write!(f, "HSK and CEK of its chip, as Hygon's service hands them out"),
            Self::HygonCertificate(name) => write!(f, "the {name} of its chip beside the other certificate"),
            Self::AmdCertificate(name) => write!(f, "the certificate of {name} among its collateral"),
            Self::DeviceChain => write!(f, "the device's certificate chain in PEM"),
            Self::Signature => write!(f, "its signature (TPMT_SIGNATURE)"),
            Self::Pcrs => write!(f, "its PCRs, as `tpm2_quote --pcr` writes them"),
            Self::EventLog => write!(f, "the event log that comes before the IMA list"),
            Self::VtpmQuote => write!(f, "the quote of its vTPM"),
            Self::TdQuote => write!(f, "the quote that was made of its TDREPORT"),
            Self::AttestationKey => write!(f, "its attestation key, or the key's certificates"),
        }
    }
}

/// What may come along with evidence of some kinds, and not of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The firmware's log, or the TEE's.
    EventLog,
    /// The kernel's IMA list.
    Ima,
    /// A canonical event log.
    Cel,
    /// The signature of a TPM's quote.
    Signature,
    /// The PCRs of a TPM's quote.
    Pcrs,
    /// The attestation key of a TPM's quote.
    Key,
    /// The quote of Azure's vTPM.
    VtpmQuote,
    /// The quote of the trust domain below Azure's vTPM.
    TdQuote,
    /// Collateral of another vendor's.
    OtherCollateral,
    /// A revocation list of another vendor's.
    OtherList,
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventLog => "an event log",
            Self::Ima => "an IMA list",
            Self::Cel => "a canonical event log",
            Self::Signature => "a TPM's signature in a file of its own",
            Self::Pcrs => "PCRs in a file of their own",
            Self::Key => "an attestation key",
            Self::VtpmQuote => "a vTPM's quote beside it",
            Self::TdQuote => "a trust domain's quote beside it",
            Self::OtherCollateral => "collateral of this kind",
            Self::OtherList => "a revocation list of this issuer",
        })
    }
}
