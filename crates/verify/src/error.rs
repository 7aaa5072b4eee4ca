//! Why evidence is not believed.

mod code;
mod part;
mod remedy;

pub use part::Part;

use crate::{CcaError, CsvError, HeldDataError, NvidiaError, RatlsError, az_vtpm, replay, snp, tpm};
use sealwright_wire::{Error as WireError, time::UnixTime};

/// Why evidence or collateral is not believed: what was checked, what was wanted and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are of no kind of evidence.
    #[error("no evidence of a kind that can be verified, but {found}")]
    NotEvidence {
        /// What they are instead, as far as that is known.
        found: String,
    },
    /// A part is not in its format.
    #[error("{part} cannot be read: {source}")]
    Malformed {
        /// Which part.
        part: Part,
        /// The field, the place and the reason.
        source: WireError,
    },
    /// A certificate or revocation list is not one of the profile.
    #[error("{part} does not follow its profile: {rule}, found {found}")]
    Profile {
        /// Which part.
        part: Part,
        /// What the profile demands.
        rule: &'static str,
        /// What was found.
        found: String,
    },
    /// A chain has another number of certificates than its kind has.
    #[error("chain of the {part} has {found} certificates, expected {expected}")]
    ChainLength {
        /// The chain's first certificate.
        part: Part,
        /// How many certificates such a chain has.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// No anchor has the key of the chain's root.
    #[error("{found} with key SHA-256 {sha256} is not among the trusted roots ({trusted})")]
    UntrustedRoot {
        /// Subject of the root that was found.
        found: String,
        /// SHA-256 of its public key (SubjectPublicKeyInfo), in hex.
        sha256: String,
        /// Names of the roots that are trusted.
        trusted: String,
    },
    /// A certificate or revocation list was issued by somebody else.
    #[error("{part} was issued by {found}, expected {expected}")]
    Issuer {
        /// Which part.
        part: Part,
        /// Subject of the certificate that should have issued it.
        expected: String,
        /// Issuer that it names.
        found: String,
    },
    /// A signature does not verify.
    #[error("signature of the {part} does not verify under the {signer}")]
    Signature {
        /// Which part is signed.
        part: Part,
        /// Whose key should have signed it.
        signer: &'static str,
    },
    /// A part is no longer valid.
    #[error("{part} expired at {until}, {} before {at}", span(*.until, *.at))]
    Expired {
        /// Which part.
        part: Part,
        /// The last second of its validity.
        until: UnixTime,
        /// The time of verification.
        at: UnixTime,
    },
    /// A part is not valid yet.
    #[error("{part} is valid from {from}, {} after {at}", span(*.at, *.from))]
    NotYetValid {
        /// Which part.
        part: Part,
        /// The first second of its validity.
        from: UnixTime,
        /// The time of verification.
        at: UnixTime,
    },
    /// A certificate has been revoked.
    #[error("{part} with serial number {serial} is revoked by the {crl}")]
    Revoked {
        /// Which certificate.
        part: Part,
        /// Its serial number, in hex.
        serial: String,
        /// The list that revokes it.
        crl: Part,
    },
    /// The quote was signed by a quoting enclave of an unknown vendor.
    #[error("QE vendor id is {found}, expected {expected}")]
    QeVendor {
        /// Intel's.
        expected: String,
        /// That of the quote, in hex.
        found: String,
    },
    /// The quote carries no PCK certificate chain, and none was given.
    #[error("quote has certification data of type {kind} ({}), which holds no PCK certificate chain", certification(*.kind))]
    CertificationData {
        /// The type's number.
        kind: u16,
    },
    /// A verified platform was used for a quote that carries another chain.
    #[error("quote carries another PCK certificate chain than the verified platform's (FMSPC {fmspc})")]
    OtherPlatform {
        /// FMSPC of the verified platform, in hex.
        fmspc: String,
    },
    /// The collateral is for another kind of environment or platform.
    #[error("{field} of the {part} is {found}, the evidence needs {expected}")]
    CollateralMismatch {
        /// TCB info or QE identity.
        part: Part,
        /// Which field.
        field: &'static str,
        /// What the evidence needs.
        expected: String,
        /// What the collateral has.
        found: String,
    },
    /// The TDX module is not the one that TCB info describes.
    #[error("TDX module: {field} is {found}, TCB info demands {expected}")]
    TdxModule {
        /// Which field of the report.
        field: &'static str,
        /// What TCB info demands.
        expected: String,
        /// What the report says.
        found: String,
    },
    /// An enclave of Intel's is not the one that its identity describes.
    #[error("{enclave}: {field} is {found}, its identity demands {expected}")]
    QeMismatch {
        /// Which enclave: the quoting enclave or the quote verification enclave.
        enclave: &'static str,
        /// Which field of the QE's report.
        field: &'static str,
        /// What the identity demands.
        expected: String,
        /// What the report says.
        found: String,
    },
    /// The QE's report does not bind the attestation key.
    #[error("report data of the QE report is {found}, the attestation key hashes to {expected}")]
    QeReportData {
        /// SHA-256 of attestation key and authentication data, in hex.
        expected: String,
        /// The first 32 bytes of the report data, in hex.
        found: String,
    },
    /// The platform, module or quoting enclave is below every level that the vendor lists.
    #[error("no level of the {part} matches: found {found}; the lowest level needs {expected}")]
    NotSupported {
        /// Platform (TCB info) or quoting enclave (QE identity).
        part: Part,
        /// What the lowest level needs.
        expected: String,
        /// The security versions of the evidence.
        found: String,
    },
    /// The event log does not explain the quote's registers.
    #[error("event log does not explain the quote: {source}")]
    EventLog {
        /// The register or the record, and the reason.
        source: Box<replay::Error>,
    },
    /// An event log came with evidence that has no registers for it.
    #[error("event log came with {tee} evidence, which has no runtime registers to hold it against")]
    UnexpectedLog {
        /// The kind of environment.
        tee: &'static str,
    },
    /// A reason that only evidence of SEV-SNP has.
    #[error(transparent)]
    Snp(#[from] snp::Error),
    /// A token of Arm CCA is of an unknown platform, or not of one piece.
    #[error(transparent)]
    Cca(#[from] CcaError),
    /// An RA-TLS certificate does not belong to evidence in it.
    #[error(transparent)]
    Ratls(#[from] RatlsError),
    /// What came with a quote is not its own.
    #[error(transparent)]
    HeldData(#[from] HeldDataError),
    /// A GPU's report contradicts its certificate.
    #[error(transparent)]
    Nvidia(#[from] NvidiaError),
    /// What a TPM alone can get wrong.
    #[error(transparent)]
    Tpm(#[from] tpm::Error),
    /// What a vTPM of Azure's alone can get wrong.
    #[error(transparent)]
    AzVtpm(#[from] az_vtpm::Error),
    /// A reason that only CSV has.
    #[error(transparent)]
    Csv(#[from] CsvError),
}

impl Error {
    /// Evidence that is none: its bytes are not in the format of a quote.
    pub const fn malformed_quote(source: WireError) -> Self {
        Self::Malformed { part: Part::Quote, source }
    }

    /// Evidence that is none: its bytes are not in the format of an SEV-SNP guest's report.
    pub const fn malformed_report(source: WireError) -> Self {
        Self::Malformed { part: Part::Report, source }
    }

    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub fn code(&self) -> &'static str {
        code::of(self)
    }

    /// What was being judged, as a short path.
    pub fn claim(&self) -> &'static str {
        match self {
            Self::Malformed { part, .. }
            | Self::Profile { part, .. }
            | Self::ChainLength { part, .. }
            | Self::Issuer { part, .. }
            | Self::Signature { part, .. }
            | Self::Expired { part, .. }
            | Self::NotYetValid { part, .. }
            | Self::Revoked { part, .. }
            | Self::CollateralMismatch { part, .. }
            | Self::NotSupported { part, .. } => part.name(),
            Self::NotEvidence { .. } => "evidence",
            Self::UntrustedRoot { .. } => Part::RootCa.name(),
            Self::QeVendor { .. } | Self::CertificationData { .. } | Self::OtherPlatform { .. } => Part::Quote.name(),
            Self::TdxModule { .. } => "TDX module",
            Self::QeMismatch { .. } | Self::QeReportData { .. } => Part::QeReport.name(),
            Self::EventLog { source } => match **source {
                replay::Error::Differs { register, .. } | replay::Error::PcrDiffers { register, .. } => register,
                _ => "event log",
            },
            Self::UnexpectedLog { .. } => "event log",
            Self::Snp(reason) => reason.claim(),
            Self::Cca(error) => error.claim(),
            Self::Nvidia(error) => error.claim(),
            Self::Tpm(error) => error.claim(),
            Self::AzVtpm(error) => error.claim(),
            Self::Ratls(error) => error.claim(),
            Self::HeldData(error) => error.claim(),
            Self::Csv(reason) => reason.claim(),
        }
    }

    /// What was wanted, when it is a value.
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::Issuer { expected, .. }
            | Self::QeVendor { expected, .. }
            | Self::CollateralMismatch { expected, .. }
            | Self::TdxModule { expected, .. }
            | Self::QeMismatch { expected, .. }
            | Self::QeReportData { expected, .. }
            | Self::NotSupported { expected, .. } => Some(expected.clone()),
            Self::EventLog { source } => match &**source {
                replay::Error::Differs { quoted, .. } => Some(quoted.to_string()),
                replay::Error::PcrDiffers { quoted, .. } => Some(quoted.clone()),
                replay::Error::RuntimeData { stated, .. } => Some(stated.to_string()),
                _ => None,
            },
            Self::Profile { rule, .. } => Some((*rule).to_owned()),
            Self::ChainLength { expected, .. } => Some(format!("{expected} certificates")),
            Self::UntrustedRoot { trusted, .. } => Some(trusted.clone()),
            Self::Signature { signer, .. } => Some(format!("a signature by the {signer}")),
            Self::Expired { until, .. } => Some(format!("a time up to {until}")),
            Self::NotYetValid { from, .. } => Some(format!("a time from {from}")),
            Self::Revoked { crl, .. } => Some(format!("a certificate that the {crl} does not list")),
            Self::CertificationData { .. } => Some("a PCK certificate chain (type 5)".to_owned()),
            Self::OtherPlatform { fmspc } => Some(format!("the chain of the platform with FMSPC {fmspc}")),
            Self::Snp(reason) => reason.expected(),
            Self::Cca(error) => error.expected(),
            Self::Nvidia(error) => error.expected(),
            Self::Tpm(error) => error.expected(),
            Self::AzVtpm(error) => error.expected(),
            Self::Ratls(error) => error.expected(),
            Self::HeldData(error) => Some(error.expected()),
            Self::Csv(reason) => reason.expected(),
            Self::NotEvidence { .. } => Some("a quote, report, document, token or certificate of a TEE".to_owned()),
            Self::Malformed { .. } | Self::UnexpectedLog { .. } => None,
        }
    }

    /// What was found, when it is a value.
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::UntrustedRoot { found, sha256, .. } => Some(format!("{found} with key SHA-256 {sha256}")),
            Self::NotEvidence { found }
            | Self::Profile { found, .. }
            | Self::Issuer { found, .. }
            | Self::QeVendor { found, .. }
            | Self::CollateralMismatch { found, .. }
            | Self::TdxModule { found, .. }
            | Self::QeMismatch { found, .. }
            | Self::QeReportData { found, .. }
            | Self::NotSupported { found, .. } => Some(found.clone()),
            Self::EventLog { source } => match &**source {
                replay::Error::Differs { replayed, .. } => Some(replayed.to_string()),
                replay::Error::PcrDiffers { replayed, .. } => Some(replayed.clone()),
                replay::Error::RuntimeData { computed, .. } => Some(computed.to_string()),
                other => Some(other.to_string()),
            },
            Self::ChainLength { found, .. } => Some(format!("{found} certificates")),
            Self::Expired { at, .. } | Self::NotYetValid { at, .. } => Some(at.to_string()),
            Self::Revoked { serial, .. } => Some(format!("serial number {serial}")),
            Self::CertificationData { kind } => Some(format!("certification data of type {kind}")),
            Self::Malformed { source, .. } => Some(source.to_string()),
            Self::Snp(reason) => reason.actual(),
            Self::Cca(error) => error.actual(),
            Self::Nvidia(error) => error.actual(),
            Self::Tpm(error) => error.actual(),
            Self::AzVtpm(error) => error.actual(),
            Self::Ratls(error) => error.actual(),
            Self::HeldData(error) => Some(error.actual()),
            Self::Csv(reason) => reason.actual(),
            Self::Signature { .. } | Self::OtherPlatform { .. } | Self::UnexpectedLog { .. } => None,
        }
    }

    /// What the reader can do about it.
    pub fn remedy(&self) -> &'static str {
        remedy::of(self)
    }
}

/// Days or seconds between two times.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.0.saturating_sub(from.0);
    match seconds / 86_400 {
        0 => format!("{seconds} s"),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// What a type of certification data holds (Intel SGX ECDSA QuoteLibReference DCAP API, A.4 "QE Certification Data").
const fn certification(kind: u16) -> &'static str {
    match kind {
        1 => "plain PPID",
        2 => "PPID encrypted with RSA-2048",
        3 => "PPID encrypted with RSA-3072",
        4 => "PCK certificate alone",
        6 => "QE report",
        7 => "platform manifest",
        _ => "unknown",
    }
}
