//! Why evidence is not believed.

use crate::replay;
use sealwright_wire::{Error as WireError, time::UnixTime};
use std::fmt;

/// A signed or dated part of evidence or collateral, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The vendor's root certificate.
    RootCa,
    /// The certificate of the CA that issued the PCK certificate.
    PckCa,
    /// The platform's certificate.
    Pck,
    /// The CA's certificate in the platform's chain, where it is another than the one that came with the collateral.
    ChainPckCa,
    /// The root's certificate in the platform's chain, where it is another than the one that came with the collateral.
    ChainRootCa,
    /// The certificate that signed TCB info.
    TcbSigner,
    /// The certificate that signed the QE identity.
    QeIdentitySigner,
    /// The root CA's revocation list.
    RootCrl,
    /// The PCK CA's revocation list.
    PckCrl,
    /// TCB info.
    TcbInfo,
    /// QE identity.
    QeIdentity,
    /// The quoting enclave's report.
    QeReport,
    /// The quote itself.
    Quote,
}

impl Part {
    /// The part's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RootCa => "root CA certificate",
            Self::PckCa => "PCK CA certificate",
            Self::Pck => "PCK certificate",
            Self::ChainPckCa => "PCK CA certificate in the platform's chain",
            Self::ChainRootCa => "root CA certificate in the platform's chain",
            Self::TcbSigner => "TCB info signing certificate",
            Self::QeIdentitySigner => "QE identity signing certificate",
            Self::RootCrl => "root CA CRL",
            Self::PckCrl => "PCK CRL",
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::QeReport => "QE report",
            Self::Quote => "quote",
        }
    }
}

impl Part {
    /// Whether this is a certificate of the chain that comes with the quote.
    const fn is_of_platform(self) -> bool {
        matches!(self, Self::Pck | Self::ChainPckCa | Self::ChainRootCa)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why evidence or collateral is not believed: what was checked, what was wanted and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    #[error("signature of the {part} does not verify under the key of the {signer}")]
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
    /// The quoting enclave is not the one that its identity describes.
    #[error("quoting enclave: {field} is {found}, QE identity demands {expected}")]
    QeMismatch {
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
}

impl Error {
    /// Evidence that is none: its bytes are not in the format of a quote.
    pub const fn malformed_quote(source: WireError) -> Self {
        Self::Malformed { part: Part::Quote, source }
    }

    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { part: Part::Quote, .. } => "malformed-evidence",
            Self::Malformed { part, .. } if part.is_of_platform() => "malformed-pck-chain",
            Self::Malformed { .. } => "malformed-collateral",
            Self::Profile { part: Part::TcbInfo | Part::QeIdentity, .. } => "malformed-collateral",
            Self::Profile { .. } => "certificate-profile",
            Self::ChainLength { .. } => "chain-length",
            Self::UntrustedRoot { .. } => "untrusted-root",
            Self::Issuer { .. } => "wrong-issuer",
            Self::Signature { part: Part::Quote, .. } => "quote-signature",
            Self::Signature { part: Part::QeReport, .. } => "qe-report-signature",
            Self::Signature { part, .. } if part.is_of_platform() => "pck-chain-signature",
            Self::Signature { .. } => "collateral-signature",
            Self::Expired { .. } => "collateral-expired",
            Self::NotYetValid { .. } => "collateral-not-yet-valid",
            Self::Revoked { .. } => "certificate-revoked",
            Self::QeVendor { .. } => "qe-vendor",
            Self::CertificationData { .. } => "no-pck-chain",
            Self::OtherPlatform { .. } => "other-platform",
            Self::CollateralMismatch { .. } => "collateral-mismatch",
            Self::TdxModule { .. } => "tdx-module-mismatch",
            Self::QeMismatch { .. } => "qe-identity-mismatch",
            Self::QeReportData { .. } => "qe-report-data",
            Self::NotSupported { .. } => "tcb-not-supported",
            Self::EventLog { source } => log_code(source),
            Self::UnexpectedLog { .. } => "unexpected-event-log",
        }
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
            Self::UntrustedRoot { .. } => Part::RootCa.name(),
            Self::QeVendor { .. } | Self::CertificationData { .. } | Self::OtherPlatform { .. } => Part::Quote.name(),
            Self::TdxModule { .. } => "TDX module",
            Self::QeMismatch { .. } | Self::QeReportData { .. } => Part::QeReport.name(),
            Self::EventLog { source } => match **source {
                replay::Error::Differs { register, .. } => register,
                _ => "event log",
            },
            Self::UnexpectedLog { .. } => "event log",
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
            Self::Malformed { .. } | Self::UnexpectedLog { .. } => None,
        }
    }

    /// What was found, when it is a value.
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::UntrustedRoot { found, sha256, .. } => Some(format!("{found} with key SHA-256 {sha256}")),
            Self::Profile { found, .. }
            | Self::Issuer { found, .. }
            | Self::QeVendor { found, .. }
            | Self::CollateralMismatch { found, .. }
            | Self::TdxModule { found, .. }
            | Self::QeMismatch { found, .. }
            | Self::QeReportData { found, .. }
            | Self::NotSupported { found, .. } => Some(found.clone()),
            Self::EventLog { source } => match &**source {
                replay::Error::Differs { replayed, .. } => Some(replayed.to_string()),
                replay::Error::RuntimeData { computed, .. } => Some(computed.to_string()),
                other => Some(other.to_string()),
            },
            Self::ChainLength { found, .. } => Some(format!("{found} certificates")),
            Self::Expired { at, .. } | Self::NotYetValid { at, .. } => Some(at.to_string()),
            Self::Revoked { serial, .. } => Some(format!("serial number {serial}")),
            Self::CertificationData { kind } => Some(format!("certification data of type {kind}")),
            Self::Malformed { source, .. } => Some(source.to_string()),
            Self::Signature { .. } | Self::OtherPlatform { .. } | Self::UnexpectedLog { .. } => None,
        }
    }

    /// What the reader can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed { part: Part::Quote, .. } => {
                "send the quote's bytes exactly as the platform made them (not hex, not base64, not cut short)"
            }
            Self::Malformed { part, .. } | Self::Profile { part, .. } | Self::Signature { part, .. }
                if part.is_of_platform() =>
            {
                "the certificates that came with the quote were changed: have the platform make a new quote, and look at what \
                 carries it here (or fetch pck_certificate_chain again, if the collateral brought the chain)"
            }
            Self::Malformed { .. } | Self::Profile { .. } | Self::ChainLength { .. } => {
                "fetch the collateral again from the vendor's service; if the damaged part came with the quote, have the \
                 platform make a new quote"
            }
            Self::UntrustedRoot { .. } => {
                "if this root is meant to be trusted (a simulated or pre-production machine), name it explicitly as an \
                 anchor; otherwise the evidence is not from the vendor's hardware"
            }
            Self::Issuer { .. } => {
                "fetch collateral for this platform: the PCK CRL and its chain must be of the CA (Platform or Processor) \
                 that issued the PCK certificate; if they are, the certificates in the quote were changed"
            }
            Self::Signature { part: Part::Quote | Part::QeReport, .. } | Self::QeReportData { .. } => {
                "the evidence was changed after it was signed, or pieces of different evidence were put together: have \
                 the platform make a new quote, and look at what carries it here"
            }
            Self::Signature { .. } => {
                "the collateral was changed after it was signed: fetch it again and keep the signed documents byte for \
                 byte as the vendor sends them"
            }
            Self::Expired { .. } => {
                "refresh the collateral; if it is fresh, compare the clock of this machine with the time above"
            }
            Self::NotYetValid { .. } => "compare the clock of this machine with the time above",
            Self::Revoked { .. } => {
                "the vendor has withdrawn this certificate: do not trust this machine; its owner must update and \
                 register it again"
            }
            Self::QeVendor { .. } => "only quotes of Intel's quoting enclaves are verified here",
            Self::CertificationData { .. } => {
                "fetch the platform's PCK certificate chain from the vendor's service and put it into the collateral as \
                 pck_certificate_chain, or configure the platform's quote provider to embed it (type 5)"
            }
            Self::OtherPlatform { .. } => "verify this quote's own chain first; a verified platform serves one chain",
            Self::CollateralMismatch { .. } => "fetch collateral for the FMSPC and kind of environment of this quote",
            Self::TdxModule { .. } => {
                "the machine runs a TDX module that the vendor does not list: its owner must load a released module, or \
                 the collateral is too old"
            }
            Self::QeMismatch { .. } => {
                "the quote was signed by another quoting enclave than the vendor's: do not trust this machine, or fetch \
                 the QE identity for this kind of environment"
            }
            Self::NotSupported { .. } => {
                "the machine's owner must update firmware, microcode or the quoting enclave; collateral that is newer \
                 than the machine's certificates can also be the cause: compare the security versions above"
            }
            Self::EventLog { source } => log_remedy(source),
            Self::UnexpectedLog { .. } => "send SGX evidence without an event log",
        }
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

/// The reason code of a log that does not explain the quote.
const fn log_code(error: &replay::Error) -> &'static str {
    match error {
        replay::Error::Differs { .. } => "event-log-mismatch",
        replay::Error::RuntimeData { .. } => "runtime-event-mismatch",
        _ => "malformed-event-log",
    }
}

/// What to do about a log that does not explain the quote.
const fn log_remedy(error: &replay::Error) -> &'static str {
    match error {
        replay::Error::Differs { .. } => {
            "the log is not of this boot or lacks events (kernel measurements of IMA are kept in another list): replay it \
             to find the first register that differs"
        }
        replay::Error::RuntimeData { .. } => {
            "a record of the runtime log was changed after it was measured: look at what carries the log here"
        }
        _ => "send the log as the firmware left it (CCEL), with runtime records behind it",
    }
}
