//! What the reader can do.

use super::{Error, Part, part::Family};
use crate::replay;

/// What to do about an error.
pub(super) fn of(error: &Error) -> &'static str {
    match error {
        Error::NotEvidence { .. } => {
            "hand over the evidence as its attester sent it, whole, in bytes, hex, base64 or, of a certificate, PEM: logs, certificates and collateral are given beside it, \
             and a REPORT or TDREPORT is evidence on its own machine alone, where the quoting service makes a quote of it"
        }
        Error::Malformed { part: Part::Pcrs, .. } => {
            "give the PCRs as `tpm2_quote --pcr` or `tpm2_pcrread -o` wrote them, or the text of `tpm2_pcrread`, unchanged"
        }
        Error::Malformed { part, .. } => malformed(part.family()),
        Error::Profile { part, .. } => profile(part.family()),
        Error::ChainLength { part, .. } => chain_length(part.family()),
        Error::Issuer { part, .. } => issuer(part.family()),
        Error::Signature { part, .. } => signature(*part),
        Error::Expired { part, .. } => expired(part.family()),
        Error::NotYetValid { .. } => "compare the clock of this machine with the time above",
        Error::UntrustedRoot { .. } => {
            "if this root is meant to be trusted (a simulated or pre-production machine), name it explicitly as an \
             anchor; otherwise the evidence is not from the vendor's hardware"
        }
        Error::QeReportData { .. } => CHANGED_QUOTE,
        Error::Revoked { .. } => {
            "the vendor has withdrawn this certificate: do not trust this machine; its owner must update and \
             register it again"
        }
        Error::QeVendor { .. } => "only quotes of Intel's quoting enclaves are verified here",
        Error::CertificationData { .. } => {
            "fetch the platform's PCK certificate chain from the vendor's service and put it into the collateral as \
             pck_certificate_chain, or configure the platform's quote provider to embed it (type 5)"
        }
        Error::OtherPlatform { .. } => "verify this quote's own chain first; a verified platform serves one chain",
        Error::CollateralMismatch { .. } => "fetch collateral for the FMSPC and kind of environment of this quote",
        Error::TdxModule { .. } => {
            "the machine runs a TDX module that the vendor does not list: its owner must load a released module, or \
             the collateral is too old"
        }
        Error::QeMismatch { .. } => {
            "the quote was signed, or verified, by another enclave than the vendor's: do not trust this machine, or \
             fetch the enclave's identity for this kind of environment"
        }
        Error::NotSupported { .. } => {
            "the machine's owner must update firmware, microcode or the quoting enclave; collateral that is newer \
             than the machine's certificates can also be the cause: compare the security versions above"
        }
        Error::EventLog { source } => event_log(source),
        Error::UnexpectedLog { .. } => "send this evidence without an event log",
        Error::Snp(reason) => reason.remedy(),
        Error::Cca(reason) => reason.remedy(),
        Error::Nvidia(reason) => reason.remedy(),
        Error::Tpm(reason) => reason.remedy(),
        Error::AzVtpm(reason) => reason.remedy(),
        Error::Ratls(reason) => reason.remedy(),
        Error::HeldData(reason) => reason.remedy(),
        Error::Csv(reason) => reason.remedy(),
    }
}

const CHANGED_QUOTE: &str = "the evidence was changed after it was signed, or pieces of different evidence were put together: have \
                             the platform make a new quote, and look at what carries it here";
const CHANGED_CSV_REPORT: &str = "the report was changed after it was signed, or pieces of different reports were put together: have the guest ask for a \
                                  new one, and look at what carries it here";
const CHANGED_DOCUMENT: &str = "the evidence is not as its maker signed it: take fresh evidence, send it unchanged and whole, and look at what \
                                carries it here";
const INCOMPLETE: &str = "the certificates in the evidence are incomplete or in another order: send them as the device or service gives them";
const PCK_CHAIN: &str = "the certificates that came with the quote were changed: have the platform make a new quote, and look at what \
                         carries it here (or fetch pck_certificate_chain again, if the collateral brought the chain)";
const VEK: &str = "the certificate of the key that signed the report was changed, or is of another CA than the collateral's: fetch it \
                   again from AMD's key distribution service, with the collateral of its product line and kind of key";
const AK_CHAIN: &str = "send the attestation key's certificate and those of its CAs, each in DER, leaf first and root last; if they are \
                        complete, they are not certificates of an attestation key, or were changed";
const CSV_CHAIN: &str = "fetch HSK and CEK for the serial number that the report names (https://cert.hygon.cn/hsk_cek?snumber=) and keep them byte \
                         for byte; if they are right, the PEK in the report is not of this chip or was changed";
const COLLATERAL: &str = "fetch the collateral again from the vendor's service; if the damaged part came with the quote, have the \
                          platform make a new quote";

const fn malformed(family: Family) -> &'static str {
    match family {
        Family::Quote => "send the quote exactly as the platform made it, and whole",
        Family::SnpReport => "send the report exactly as the firmware made it, and whole",
        Family::CsvReport => "send the report exactly as the device made it, with or without the wrapper, and whole",
        Family::Document | Family::DocumentChain => CHANGED_DOCUMENT,
        Family::PckChain => PCK_CHAIN,
        Family::Vek => VEK,
        Family::AkChain => AK_CHAIN,
        Family::CsvChain => CSV_CHAIN,
        Family::Enrolment | Family::Collateral => COLLATERAL,
    }
}

const fn profile(family: Family) -> &'static str {
    match family {
        Family::CsvReport => CHANGED_CSV_REPORT,
        Family::Document | Family::DocumentChain => CHANGED_DOCUMENT,
        Family::PckChain => PCK_CHAIN,
        Family::Vek => VEK,
        Family::AkChain => AK_CHAIN,
        Family::CsvChain => CSV_CHAIN,
        Family::Enrolment => "enrol the key that the platform's maker or owner states, unchanged",
        Family::Quote | Family::SnpReport | Family::Collateral => COLLATERAL,
    }
}

const fn chain_length(family: Family) -> &'static str {
    match family {
        Family::DocumentChain => INCOMPLETE,
        Family::AkChain => AK_CHAIN,
        _ => COLLATERAL,
    }
}

const fn issuer(family: Family) -> &'static str {
    match family {
        Family::DocumentChain => INCOMPLETE,
        Family::Vek => VEK,
        Family::AkChain => AK_CHAIN,
        Family::CsvChain => CSV_CHAIN,
        _ => {
            "fetch collateral for this platform: the PCK CRL and its chain must be of the CA (Platform or Processor) \
             that issued the PCK certificate; if they are, the certificates in the quote were changed"
        }
    }
}

const fn signature(part: Part) -> &'static str {
    match part.family() {
        Family::Quote => CHANGED_QUOTE,
        Family::SnpReport => {
            "the report was changed after it was signed, or another key signed it: have the guest ask for a new report, and fetch \
             the certificate for its CHIP_ID and REPORTED_TCB"
        }
        Family::CsvReport => CHANGED_CSV_REPORT,
        Family::Document | Family::DocumentChain => CHANGED_DOCUMENT,
        Family::PckChain => PCK_CHAIN,
        Family::Vek => VEK,
        Family::AkChain => AK_CHAIN,
        Family::CsvChain => CSV_CHAIN,
        // It comes with the quote.
        Family::Collateral if matches!(part, Part::QeReport) => CHANGED_QUOTE,
        Family::Enrolment | Family::Collateral => {
            "the collateral was changed after it was signed: fetch it again and keep the signed documents byte for \
             byte as the vendor sends them"
        }
    }
}

const fn expired(family: Family) -> &'static str {
    match family {
        Family::Document | Family::DocumentChain => {
            "take fresh evidence and send it at once; if it is fresh, compare the clocks of this machine and of the one that made it"
        }
        Family::Enrolment => "ask the platform's maker or owner whether its key still holds, and enrol it anew",
        _ => "refresh the collateral; if it is fresh, compare the clock of this machine with the time above",
    }
}

/// About a log that does not explain the quote.
const fn event_log(error: &replay::Error) -> &'static str {
    match error {
        replay::Error::Differs { .. } | replay::Error::PcrDiffers { .. } => {
            "the log is not of this boot or lacks events (kernel measurements of IMA are kept in another list, those of userspace \
             in a canonical log behind the firmware's): replay it to find the first register that differs"
        }
        replay::Error::RuntimeData { .. } => {
            "a record of the runtime log was changed after it was measured: look at what carries the log here"
        }
        replay::Error::Canonical(_) | replay::Error::CanonicalDigest { .. } => {
            "send the canonical log as it was written, with a digest in a bank of the evidence for each record"
        }
        replay::Error::ImaAlone => "send the event log beside the IMA list, or neither",
        replay::Error::NoBank(_) => {
            "have the firmware log in the hash of the registers, or quote registers of a bank that the log has"
        }
        replay::Error::ImaDigest { .. } | replay::Error::Ima(_) => {
            "send the kernel's list as it is (ascii_runtime_measurements or binary_runtime_measurements)"
        }
        _ => "send the log as the firmware left it (CCEL, or binary_bios_measurements), with runtime records behind it",
    }
}
