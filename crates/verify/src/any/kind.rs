//! What kind of evidence some bytes are, by how they begin and by what their parser says of them.

use crate::pem;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use sealwright_wire::{
    cca, csv, hcl,
    held_data::{HeldData, open_enclave_quote},
    nitro, nvidia,
    quote::Quote,
    ratls::{self, CertificateEvidence, OID_LEGACY_INTEL, TaggedEvidence},
    snp, tpm,
};
use std::{borrow::Cow, fmt};
use zerocopy::FromBytes;

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
            Self::Nitro => "AWS Nitro attestation document",
            Self::Cca => "Arm CCA attestation token",
            Self::Nvidia => "NVIDIA GPU attestation report",
            Self::Ratls => "RA-TLS certificate",
            Self::HeldData => "Intel SGX quote with the data that its enclave held",
        }
    }

    /// The kind of these very bytes. Where the beginning of damaged evidence tells its kind, it is of that kind, and its parser says what is wrong; kinds
    /// that nothing but their parser tells are of none then.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0x54, 0x43, 0x47, ..] => Some(Self::Tpm),
            [3..=5, 0, 2..=3, 0, ..] => Some(Self::Quote),
            [2..=5, 0, 0, 0, ..] if looks_like_snp(bytes) => Some(Self::Snp),
            [0x11, 0xe0, ..] if nvidia::Report::parse(bytes).is_ok() => Some(Self::Nvidia),
            [0x84 | 0xd2, ..] if nitro::Document::parse(bytes).is_ok() => Some(Self::Nitro),
            [0xd9, ..] if cca::Token::parse(bytes).is_ok() => Some(Self::Cca),
            [0x30, ..] if has_evidence(bytes) => Some(Self::Ratls),
            _ if bytes.starts_with(&csv::EXTENSION_MAGIC) => Some(Self::Csv),
            _ => Self::of_json(bytes.trim_ascii_start()).or_else(|| Self::of_length(bytes)),
        }
    }

    fn of_json(text: &[u8]) -> Option<Self> {
        match text {
            [b'{', ..] if tpm::Evidence::from_json(text).is_ok() => Some(Self::TpmJson),
            [b'{', ..] if hcl::Evidence::from_json(text).is_ok() => Some(Self::AzVtpm),
            [b'{', ..] if hcl::Quote::parse(text).is_ok() => Some(Self::TpmQuote),
            [b'{', ..] if HeldData::from_json(text).is_ok() => Some(Self::HeldData),
            _ => None,
        }
    }

    /// What has nothing of its own to be known by but its length: a CSV report of version 1, with its padding or without, and a quote behind the
    /// lengths of its parts.
    fn of_length(bytes: &[u8]) -> Option<Self> {
        const BARE: usize = size_of::<csv::TeeInfoV1>() + size_of::<csv::Signer>();
        if [BARE, csv::REPORT_SIZE].contains(&bytes.len()) && looks_like_csv(bytes) {
            return Some(Self::Csv);
        }
        hcl::Quote::parse(bytes).is_ok().then_some(Self::TpmQuote)
    }

    /// The kind of bytes that may be written as text or stand behind the header of an Open Enclave report, and the bytes themselves.
    pub fn of_text(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let decoded = [Some(bytes.to_vec()), hex_text(bytes), base64_text(bytes), pem_text(bytes)];
        let unwrapped = |bytes: Vec<u8>| open_enclave_quote(&bytes).map(<[u8]>::to_vec).unwrap_or(bytes);
        decoded.into_iter().flatten().map(unwrapped).find_map(|bytes| Self::of(&bytes).map(|kind| (kind, bytes)))
    }

    /// As [`Kind::of_text`]; what is of no kind is a quote that is none, for which its parser has the reason.
    pub fn read(bytes: &[u8]) -> (Self, Vec<u8>) {
        Self::of_text(bytes).unwrap_or_else(|| (Self::Quote, bytes.to_vec()))
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
                Some((Self::Snp, hcl::Report::parse(&evidence.hcl_report).ok()?.hardware_report.to_vec()))
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
            Self::Csv | Self::Tpm | Self::TpmQuote => "a ",
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

/// Whether bytes that begin with a version of SEV-SNP's reports are one: the guest's policy has the bits that are always one or zero, or the
/// algorithm is the one that signs all of them. Either is enough, so that a report in which one was changed is still called a report.
fn looks_like_snp(bytes: &[u8]) -> bool {
    let Ok((report, _)) = snp::AttestationReport::ref_from_prefix(bytes) else { return false };
    report.guest_policy().is_well_formed() || report.signature_algo.get() == snp::ECDSA_P384_SHA384
}

/// The same of a CSV report of version 1: what its signer's key is for, or its certificate.
fn looks_like_csv(bytes: &[u8]) -> bool {
    let Ok(report) = csv::Report::parse(bytes) else { return false };
    report.tee_info().sig_usage.get() == csv::Usage::PEK.0 || report.plain_signer().is_ok()
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

/// Whether a certificate holds evidence, good or bad. Under one identifier stands a quote in certificates of Intel's SDK from before the profile,
/// and what Intel says of a platform in PCK certificates.
fn has_evidence(der: &[u8]) -> bool {
    match ratls::Certificate::parse(der).map(|certificate| certificate.evidence) {
        Ok(CertificateEvidence::Legacy { oid: OID_LEGACY_INTEL, quote }) => Quote::parse(quote).is_ok(),
        Ok(evidence) => evidence != CertificateEvidence::Absent,
        Err(_) => false,
    }
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
