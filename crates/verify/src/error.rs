//! Why evidence is not believed.

use crate::{CcaError, CsvError, NvidiaError, RatlsError, az_vtpm, replay, snp, tpm};
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
    /// The certificate of the CA that issued the VCEK's (ASK) or the VLEK's (ASVK) certificate.
    Ask,
    /// The certificate of the key that a chip of AMD's derives.
    Vcek,
    /// The certificate of the key that AMD gave to a cloud provider.
    Vlek,
    /// The attestation report of an SEV-SNP guest.
    Report,
    /// The root's certificate in the evidence.
    EvidenceRoot,
    /// A CA's certificate in the evidence.
    EvidenceCa,
    /// The certificate in the evidence whose key signed it.
    EvidenceLeaf,
    /// The revocation list of a CA whose certificate is in the evidence.
    EvidenceCrl,
    /// The attestation document of a Nitro enclave.
    NitroDocument,
    /// The attestation report of a GPU.
    GpuReport,
    /// A token of Arm CCA as a whole.
    CcaToken,
    /// The platform's part of a token of Arm CCA.
    CcaPlatformToken,
    /// The realm's part of a token of Arm CCA.
    CcaRealmToken,
    /// The enrolled key of a platform of Arm CCA.
    CcaPlatformKey,
    /// The quote of a TPM.
    TpmQuote,
    /// A TPM's attestation key: its public area, or its SubjectPublicKeyInfo.
    AttestationKey,
    /// The certificate of a TPM's attestation key.
    AkCertificate,
    /// A CA between that certificate and its root.
    AkCa,
    /// The root above it.
    AkRootCa,
    /// A revocation list of one of these CAs.
    AkCrl,
    /// The report of Azure's paravisor.
    HclReport,
    /// The claims that this report binds.
    RuntimeClaims,
    /// An RA-TLS certificate.
    RatlsCertificate,
    /// The certificate of a root of CSV (HRK).
    Hrk,
    /// The certificate that a HRK signed (HSK).
    Hsk,
    /// The certificate of a CSV chip (CEK).
    Cek,
    /// The certificate of a CSV platform (PEK).
    Pek,
    /// The certificate of a CSV platform's owner (OCA).
    Oca,
    /// A CSV attestation report.
    CsvReport,
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
            Self::Ask => "ASK or ASVK certificate",
            Self::Vcek => "VCEK certificate",
            Self::Vlek => "VLEK certificate",
            Self::Report => "attestation report",
            Self::EvidenceRoot => "root certificate in the evidence",
            Self::EvidenceCa => "CA certificate in the evidence",
            Self::EvidenceLeaf => "signer's certificate in the evidence",
            Self::EvidenceCrl => "CRL of a CA in the evidence",
            Self::NitroDocument => "Nitro attestation document",
            Self::GpuReport => "GPU attestation report",
            Self::CcaToken => "CCA attestation token",
            Self::CcaPlatformToken => "CCA platform token",
            Self::CcaRealmToken => "CCA realm token",
            Self::CcaPlatformKey => "enrolled key of the CCA platform",
            Self::TpmQuote => "TPM quote",
            Self::AttestationKey => "attestation key",
            Self::AkCertificate => "attestation key certificate",
            Self::AkCa => "attestation key CA certificate",
            Self::AkRootCa => "attestation key root CA certificate",
            Self::AkCrl => "attestation key CRL",
            Self::HclReport => "HCL report",
            Self::RuntimeClaims => "runtime claims",
            Self::RatlsCertificate => "RA-TLS certificate",
            Self::Hrk => "HRK certificate",
            Self::Hsk => "HSK certificate",
            Self::Cek => "CEK certificate",
            Self::Pek => "PEK certificate",
            Self::Oca => "OCA certificate",
            Self::CsvReport => "CSV report",
        }
    }
}

impl Part {
    /// Whether this is a certificate of the chain that comes with the quote.
    const fn is_of_platform(self) -> bool {
        matches!(self, Self::Pck | Self::ChainPckCa | Self::ChainRootCa)
    }

    /// Whether this is the certificate of the key that signs an SEV-SNP guest's report.
    const fn is_vek(self) -> bool {
        matches!(self, Self::Vcek | Self::Vlek)
    }

    /// Whether this is a certificate that comes inside evidence other than a quote.
    const fn is_of_evidence_chain(self) -> bool {
        matches!(self, Self::EvidenceRoot | Self::EvidenceCa | Self::EvidenceLeaf)
    }

    /// Whether this is evidence itself, other than a quote.
    const fn is_evidence(self) -> bool {
        matches!(
            self,
            Self::NitroDocument
                | Self::GpuReport
                | Self::CcaToken
                | Self::CcaPlatformToken
                | Self::CcaRealmToken
                | Self::RatlsCertificate
        )
    }

    /// Whether this is the statement itself, as opposed to what vouches for it.
    const fn is_of_evidence(self) -> bool {
        matches!(self, Self::Quote | Self::TpmQuote | Self::AttestationKey | Self::HclReport | Self::RuntimeClaims)
    }

    /// Whether this is a certificate above a TPM's attestation key.
    const fn is_of_ak_chain(self) -> bool {
        matches!(self, Self::AkCertificate | Self::AkCa | Self::AkRootCa)
    }

    /// Whether this is a certificate of a CSV chain.
    const fn is_of_csv_chain(self) -> bool {
        matches!(self, Self::Hrk | Self::Hsk | Self::Cek | Self::Pek | Self::Oca)
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
    /// A reason that only evidence of SEV-SNP has.
    #[error(transparent)]
    Snp(#[from] snp::Error),
    /// A token of Arm CCA is of an unknown platform, or not of one piece.
    #[error(transparent)]
    Cca(#[from] CcaError),
    /// An RA-TLS certificate does not belong to evidence in it.
    #[error(transparent)]
    Ratls(#[from] RatlsError),
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
        match self {
            Self::Malformed { part: Part::Quote | Part::Report, .. } => "malformed-evidence",
            Self::Malformed { part, .. } if part.is_vek() => "malformed-vek",
            Self::Malformed { part, .. } if part.is_evidence() => "malformed-evidence",
            Self::Malformed { part, .. } if part.is_of_evidence_chain() => "malformed-evidence-chain",
            Self::Malformed { part, .. } if part.is_of_evidence() => "malformed-evidence",
            Self::Malformed { part: Part::CsvReport | Part::Pek, .. } => "malformed-evidence",
            Self::Malformed { part, .. } if part.is_of_platform() => "malformed-pck-chain",
            Self::Malformed { part, .. } if part.is_of_ak_chain() => "malformed-ak-chain",
            Self::Malformed { .. } => "malformed-collateral",
            Self::Profile { part: Part::TcbInfo | Part::QeIdentity, .. } => "malformed-collateral",
            Self::Profile { part, .. } if part.is_evidence() => "evidence-profile",
            Self::Profile { part: Part::CcaPlatformKey, .. } => "enrolled-key",
            Self::Profile { .. } => "certificate-profile",
            Self::ChainLength { .. } => "chain-length",
            Self::UntrustedRoot { .. } => "untrusted-root",
            Self::Issuer { .. } => "wrong-issuer",
            Self::Signature { part: Part::Quote | Part::TpmQuote, .. } => "quote-signature",
            Self::Signature { part, .. } if part.is_of_ak_chain() => "ak-chain-signature",
            Self::Signature { part: Part::QeReport, .. } => "qe-report-signature",
            Self::Signature { part: Part::Report, .. } => "report-signature",
            Self::Signature { part, .. } if part.is_vek() => "vek-signature",
            Self::Signature { part, .. } if part.is_evidence() => "evidence-signature",
            Self::Signature { part, .. } if part.is_of_evidence_chain() => "evidence-chain-signature",
            Self::Signature { part: Part::CsvReport, .. } => "report-signature",
            Self::Signature { part, .. } if part.is_of_csv_chain() => "csv-chain-signature",
            Self::Signature { part, .. } if part.is_of_platform() => "pck-chain-signature",
            Self::Signature { .. } => "collateral-signature",
            Self::Expired { part, .. } if part.is_evidence() || part.is_of_evidence_chain() => "evidence-expired",
            Self::Expired { part: Part::CcaPlatformKey, .. } => "enrolment-expired",
            Self::Expired { .. } => "collateral-expired",
            Self::NotYetValid { part, .. } if part.is_evidence() || part.is_of_evidence_chain() => {
                "evidence-not-yet-valid"
            }
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
            Self::Snp(reason) => reason.code(),
            Self::Cca(error) => error.code(),
            Self::Nvidia(error) => error.code(),
            Self::Tpm(error) => error.code(),
            Self::AzVtpm(error) => error.code(),
            Self::Ratls(error) => error.code(),
            Self::Csv(reason) => reason.code(),
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
            Self::Csv(reason) => reason.expected(),
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
            Self::Csv(reason) => reason.actual(),
            Self::Signature { .. } | Self::OtherPlatform { .. } | Self::UnexpectedLog { .. } => None,
        }
    }

    /// What the reader can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed { part, .. } if part.is_of_evidence() => {
                "send the quote's bytes exactly as the platform made them (not hex, not base64, not cut short)"
            }
            Self::Malformed { part: Part::Report, .. } => {
                "send the report's bytes exactly as the firmware made them (not hex, not base64, not cut short)"
            }
            Self::Malformed { part, .. }
            | Self::Profile { part, .. }
            | Self::Signature { part, .. }
            | Self::Issuer { part, .. }
                if part.is_vek() =>
            {
                "the certificate of the key that signed the report was changed, or is of another CA than the collateral's: fetch it \
                 again from AMD's key distribution service, with the collateral of its product line and kind of key"
            }
            Self::Malformed { part, .. } | Self::Profile { part, .. } | Self::Signature { part, .. }
                if part.is_evidence() || part.is_of_evidence_chain() =>
            {
                "the evidence is not as its maker signed it: take fresh evidence, send its bytes unchanged (not hex, not base64, not cut \
                 short), and look at what carries it here"
            }
            Self::ChainLength { part, .. } | Self::Issuer { part, .. } if part.is_of_evidence_chain() => {
                "the certificates in the evidence are incomplete or in another order: send them as the device or service gives them"
            }
            Self::Expired { part, .. } if part.is_evidence() || part.is_of_evidence_chain() => {
                "take fresh evidence and send it at once; if it is fresh, compare the clocks of this machine and of the one that made it"
            }
            Self::Malformed { part: Part::CsvReport, .. } => {
                "send the report's bytes exactly as the device made them, with or without the wrapper (not hex, not base64, not cut short)"
            }
            Self::Profile { part: Part::CsvReport, .. } | Self::Signature { part: Part::CsvReport, .. } => {
                "the report was changed after it was signed, or pieces of different reports were put together: have the guest ask for a \
                 new one, and look at what carries it here"
            }
            Self::Malformed { part, .. }
            | Self::Profile { part, .. }
            | Self::Issuer { part, .. }
            | Self::Signature { part, .. }
                if part.is_of_csv_chain() =>
            {
                "fetch HSK and CEK for the serial number that the report names (https://cert.hygon.cn/hsk_cek?snumber=) and keep them byte \
                 for byte; if they are right, the PEK in the report is not of this chip or was changed"
            }
            Self::Malformed { part, .. } | Self::Profile { part, .. } | Self::Signature { part, .. }
                if part.is_of_platform() =>
            {
                "the certificates that came with the quote were changed: have the platform make a new quote, and look at what \
                 carries it here (or fetch pck_certificate_chain again, if the collateral brought the chain)"
            }
            Self::Profile { part: Part::CcaPlatformKey, .. } => {
                "enrol the key that the platform's maker or owner states, unchanged"
            }
            Self::Malformed { part, .. }
            | Self::Profile { part, .. }
            | Self::ChainLength { part, .. }
            | Self::Signature { part, .. }
            | Self::Issuer { part, .. }
                if part.is_of_ak_chain() =>
            {
                "send the attestation key's certificate and those of its CAs, each in DER, leaf first and root last; if they are \
                 complete, they are not certificates of an attestation key, or were changed"
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
            Self::Signature { part: Part::Quote | Part::QeReport | Part::TpmQuote, .. } | Self::QeReportData { .. } => {
                "the evidence was changed after it was signed, or pieces of different evidence were put together: have \
                 the platform make a new quote, and look at what carries it here"
            }
            Self::Signature { part: Part::Report, .. } => {
                "the report was changed after it was signed, or another key signed it: have the guest ask for a new report, and fetch \
                 the certificate for its CHIP_ID and REPORTED_TCB"
            }
            Self::Signature { .. } => {
                "the collateral was changed after it was signed: fetch it again and keep the signed documents byte for \
                 byte as the vendor sends them"
            }
            Self::Expired { part: Part::CcaPlatformKey, .. } => {
                "ask the platform's maker or owner whether its key still holds, and enrol it anew"
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
            Self::Snp(reason) => reason.remedy(),
            Self::Cca(error) => error.remedy(),
            Self::Nvidia(error) => error.remedy(),
            Self::Tpm(error) => error.remedy(),
            Self::AzVtpm(error) => error.remedy(),
            Self::Ratls(error) => error.remedy(),
            Self::UnexpectedLog { .. } => "send this evidence without an event log",
            Self::Csv(reason) => reason.remedy(),
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
        replay::Error::Differs { .. } | replay::Error::PcrDiffers { .. } => "event-log-mismatch",
        replay::Error::RuntimeData { .. } => "runtime-event-mismatch",
        _ => "malformed-event-log",
    }
}

/// What to do about a log that does not explain the quote.
const fn log_remedy(error: &replay::Error) -> &'static str {
    match error {
        replay::Error::Differs { .. } | replay::Error::PcrDiffers { .. } => {
            "the log is not of this boot or lacks events (kernel measurements of IMA are kept in another list): replay it \
             to find the first register that differs"
        }
        replay::Error::RuntimeData { .. } => {
            "a record of the runtime log was changed after it was measured: look at what carries the log here"
        }
        replay::Error::ImaTemplate { .. } | replay::Error::Ima(_) => {
            "send the kernel's list as it is (ascii_runtime_measurements or binary_runtime_measurements)"
        }
        _ => "send the log as the firmware left it (CCEL, or binary_bios_measurements), with runtime records behind it",
    }
}
