//! What kind of evidence some bytes are, by how they begin.

mod beginning;

use crate::pem;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use sealwright_wire::{
    hcl::{self, ReportType},
    held_data::{HeldData, open_enclave_quote},
    ratls::{self, CertificateEvidence, TaggedEvidence},
};
use std::{borrow::Cow, fmt};

/// A kind of evidence that can be told from its bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A quote of Intel SGX or TDX.
    Quote,
    /// A report of an SEV-SNP guest.
    Snp,
    /// A report of a Hygon CSV guest.
    Csv,
    /// A TPM's quote (`TPMS_ATTEST`), whose signature is another file.
    Tpm,
    /// A TPM's quote with signature and PCRs, in the JSON of trustee's attester.
    TpmJson,
    /// A TPM's quote with signature and PCRs, as the crates for Azure's vTPMs keep it; its key is elsewhere.
    TpmQuote,
    /// A guest of Azure behind its vTPM, in the JSON of trustee's attester.
    AzVtpm,
    /// The report of Azure's paravisor, as the vTPM holds it; the quotes that belong to it are other files.
    HclReport,
    /// An attestation document of a Nitro enclave.
    Nitro,
    /// A token of Arm CCA.
    Cca,
    /// A report of an NVIDIA GPU.
    Nvidia,
    /// An RA-TLS certificate, whose quote vouches for its key.
    Ratls,
    /// A quote of Intel SGX with the data that its enclave held, as Azure's attestation service takes them.
    HeldData,
}

impl Kind {
    /// The kind in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quote => "Intel quote",
            Self::Snp => "AMD SEV-SNP attestation report",
            Self::Csv => "Hygon CSV attestation report",
            Self::Tpm => "TPM 2.0 quote (TPMS_ATTEST)",
            Self::TpmJson => "TPM evidence",
            Self::TpmQuote => "TPM 2.0 quote with its signature and PCRs",
            Self::AzVtpm => "evidence of an Azure guest behind its vTPM",
            Self::HclReport => "report of Azure's paravisor (HCL)",
            Self::Nitro => "AWS Nitro attestation document",
            Self::Cca => "Arm CCA attestation token",
            Self::Nvidia => "NVIDIA GPU attestation report",
            Self::Ratls => "RA-TLS certificate",
            Self::HeldData => "Intel SGX quote with the data that its enclave held",
        }
    }

    /// The kind of these very bytes, by how they begin: damaged evidence is of its kind, and its parser says what is wrong. What has no beginning of
    /// its own (a CSV report of version 1, the bincode of a vTPM's quote) must be whole.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        beginning::tell(bytes)
    }

    /// The kind of bytes that may be written as text or stand behind the header of an Open Enclave report, and the bytes themselves.
    pub fn of_text(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let decoded = [Some(bytes.to_vec()), hex_text(bytes), base64_text(bytes), pem_text(bytes)];
        let unwrapped = |bytes: Vec<u8>| open_enclave_quote(&bytes).map(<[u8]>::to_vec).unwrap_or(bytes);
        decoded.into_iter().flatten().map(unwrapped).find_map(|bytes| Self::of(&bytes).map(|kind| (kind, bytes)))
    }

    /// What of evidence of this kind a vendor's collateral is looked up for: itself, or the hardware's evidence that it carries. Nothing for kinds
    /// that need none, or whose vendors hand it out by no service, and for what cannot be read.
    pub fn hardware(self, evidence: &[u8]) -> Option<(Self, Vec<u8>)> {
        match self {
            Self::Quote | Self::Snp | Self::Csv => Some((self, evidence.to_vec())),
            Self::AzVtpm => {
                let evidence = hcl::Evidence::from_json(evidence).ok()?;
                if let Some(quote) = evidence.td_quote {
                    return Some((Self::Quote, quote));
                }
                Self::HclReport.hardware(&evidence.hcl_report)
            }
            Self::HclReport => {
                let report = hcl::Report::parse(evidence).ok()?;
                (report.report_type == ReportType::Snp).then(|| (Self::Snp, report.hardware_report.to_vec()))
            }
            Self::Ratls => {
                let quote = match ratls::Certificate::parse(evidence).ok()?.evidence {
                    CertificateEvidence::Tagged(cbor) => TaggedEvidence::parse(cbor).ok()?.evidence,
                    CertificateEvidence::Legacy { quote, .. } => quote,
                    _ => return None,
                };
                Some((Self::Quote, quote.to_vec()))
            }
            Self::HeldData => Some((Self::Quote, HeldData::from_json(evidence).ok()?.quote)),
            Self::Tpm | Self::TpmJson | Self::TpmQuote | Self::Nitro | Self::Cca | Self::Nvidia => None,
        }
    }

    /// The kind in words, as a sentence names one: with its article, where it has one.
    pub(super) fn with_article(self) -> String {
        let article = match self {
            Self::Quote | Self::Snp | Self::Nitro | Self::Cca | Self::Nvidia | Self::Ratls | Self::HeldData => "an ",
            Self::Csv | Self::Tpm | Self::TpmQuote | Self::HclReport => "a ",
            Self::TpmJson | Self::AzVtpm => "",
        };
        format!("{article}{self}")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes written as hex digits, perhaps in lines, as some tools store quotes.
pub fn hex_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = in_one_line(bytes);
    let text = text.strip_prefix(b"0x").unwrap_or(&text);
    (!text.is_empty()).then(|| hex::decode(text).ok()).flatten()
}

/// What bytes are that may be written as hex or base64: the bytes themselves where they are not. Neither logs nor collateral nor signatures are such a
/// text themselves; PEM, whose dashes are letters of base64url, is told before.
pub fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.trim_ascii_start().starts_with(b"-----") {
        return Cow::Borrowed(bytes);
    }
    hex_text(bytes).or_else(|| base64_text(bytes)).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// A text without the ends of its lines. Words with spaces between them are an IMA list's, although each may be of letters that base64 has.
fn in_one_line(text: &[u8]) -> Vec<u8> {
    text.trim_ascii().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}

/// The one certificate of a PEM text.
fn pem_text(bytes: &[u8]) -> Option<Vec<u8>> {
    match pem::certificate(bytes) {
        Cow::Owned(der) => Some(der),
        Cow::Borrowed(_) => None,
    }
}

/// Bytes written in base64 of either alphabet, perhaps in lines.
fn base64_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = in_one_line(bytes);
    if text.is_empty() {
        return None;
    }
    STANDARD.decode(&text).or_else(|_| URL_SAFE.decode(&text)).or_else(|_| URL_SAFE_NO_PAD.decode(&text)).ok()
}
