//! The reasons as stable words.

use super::{Error, Part, part::Family};
use crate::replay;

/// The word for an error.
pub(super) fn of(error: &Error) -> &'static str {
    match error {
        Error::NotEvidence { .. } => "not-evidence",
        Error::Malformed { part, .. } => malformed(*part),
        Error::Profile { part, .. } => profile(*part),
        Error::ChainLength { .. } => "chain-length",
        Error::UntrustedRoot { .. } => "untrusted-root",
        Error::Issuer { .. } => "wrong-issuer",
        Error::Signature { part, .. } => signature(*part),
        Error::Expired { part, .. } => match part.family() {
            Family::Document | Family::DocumentChain => "evidence-expired",
            Family::Enrolment => "enrolment-expired",
            _ => "collateral-expired",
        },
        Error::NotYetValid { part, .. } => match part.family() {
            Family::Document | Family::DocumentChain => "evidence-not-yet-valid",
            _ => "collateral-not-yet-valid",
        },
        Error::Revoked { .. } => "certificate-revoked",
        Error::QeVendor { .. } => "qe-vendor",
        Error::CertificationData { .. } => "no-pck-chain",
        Error::OtherPlatform { .. } => "other-platform",
        Error::CollateralMismatch { .. } => "collateral-mismatch",
        Error::TdxModule { .. } => "tdx-module-mismatch",
        Error::QeMismatch { .. } => "qe-identity-mismatch",
        Error::QeReportData { .. } => "qe-report-data",
        Error::NotSupported { .. } => "tcb-not-supported",
        Error::EventLog { source } => event_log(source),
        Error::UnexpectedLog { .. } => "unexpected-event-log",
        Error::Snp(reason) => reason.code(),
        Error::Cca(reason) => reason.code(),
        Error::Nvidia(reason) => reason.code(),
        Error::Tpm(reason) => reason.code(),
        Error::AzVtpm(reason) => reason.code(),
        Error::Ratls(reason) => reason.code(),
        Error::HeldData(reason) => reason.code(),
        Error::Csv(reason) => reason.code(),
    }
}

const fn malformed(part: Part) -> &'static str {
    match part.family() {
        Family::Quote | Family::SnpReport | Family::CsvReport | Family::Document => "malformed-evidence",
        // It stands in the report.
        Family::CsvChain if matches!(part, Part::Pek) => "malformed-evidence",
        Family::DocumentChain => "malformed-evidence-chain",
        Family::PckChain => "malformed-pck-chain",
        Family::Vek => "malformed-vek",
        Family::AkChain => "malformed-ak-chain",
        Family::CsvChain | Family::Enrolment | Family::Collateral => "malformed-collateral",
    }
}

const fn profile(part: Part) -> &'static str {
    match (part, part.family()) {
        (Part::TcbInfo | Part::QeIdentity | Part::QveIdentity, _) => "malformed-collateral",
        (_, Family::Document) => "evidence-profile",
        (_, Family::Enrolment) => "enrolled-key",
        _ => "certificate-profile",
    }
}

const fn signature(part: Part) -> &'static str {
    match part.family() {
        Family::Quote => "quote-signature",
        Family::SnpReport | Family::CsvReport => "report-signature",
        Family::Document => "evidence-signature",
        Family::DocumentChain => "evidence-chain-signature",
        Family::PckChain => "pck-chain-signature",
        Family::Vek => "vek-signature",
        Family::AkChain => "ak-chain-signature",
        Family::CsvChain => "csv-chain-signature",
        Family::Collateral if matches!(part, Part::QeReport) => "qe-report-signature",
        Family::Enrolment | Family::Collateral => "collateral-signature",
    }
}

/// Of a log that does not explain the quote.
const fn event_log(error: &replay::Error) -> &'static str {
    match error {
        replay::Error::Differs { .. } | replay::Error::PcrDiffers { .. } => "event-log-mismatch",
        replay::Error::RuntimeData { .. } => "runtime-event-mismatch",
        replay::Error::NoBank(_) => "event-log-no-bank",
        _ => "malformed-event-log",
    }
}
