//! What kind of evidence some bytes are, by how they begin and by what their parser says of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealwright_wire::{cca, csv, hcl, nitro, nvidia, snp, tpm};
use std::fmt;

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
    /// A guest of Azure behind its vTPM, in the JSON of trustee's attester.
    AzVtpm,
    /// An attestation document of a Nitro enclave.
    Nitro,
    /// A token of Arm CCA.
    Cca,
    /// A report of an NVIDIA GPU.
    Nvidia,
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
            Self::AzVtpm => "evidence of an Azure guest behind its vTPM",
            Self::Nitro => "AWS Nitro attestation document",
            Self::Cca => "Arm CCA attestation token",
            Self::Nvidia => "NVIDIA GPU attestation report",
        }
    }

    /// The kind of these very bytes. What begins like a kind and is damaged is of that kind: its parser says what is wrong.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0x54, 0x43, 0x47, ..] => Some(Self::Tpm),
            [3..=5, 0, 2..=3, 0, ..] => Some(Self::Quote),
            [2..=5, 0, 0, 0, ..] if bytes.len() >= size_of::<snp::AttestationReport>() => Some(Self::Snp),
            [0x11, 0xe0, ..] if nvidia::Report::parse(bytes).is_ok() => Some(Self::Nvidia),
            [0x84 | 0xd2, ..] if nitro::Document::parse(bytes).is_ok() => Some(Self::Nitro),
            [0xd9, ..] if cca::Token::parse(bytes).is_ok() => Some(Self::Cca),
            _ if bytes.starts_with(&csv::EXTENSION_MAGIC) => Some(Self::Csv),
            _ => Self::of_json(bytes.trim_ascii_start()).or_else(|| Self::of_length(bytes)),
        }
    }

    fn of_json(text: &[u8]) -> Option<Self> {
        match text {
            [b'{', ..] if tpm::Evidence::from_json(text).is_ok() => Some(Self::TpmJson),
            [b'{', ..] if hcl::Evidence::from_json(text).is_ok() => Some(Self::AzVtpm),
            _ => None,
        }
    }

    /// A CSV report of version 1 has nothing of its own to be known by but its length, with its padding or without.
    fn of_length(bytes: &[u8]) -> Option<Self> {
        const BARE: usize = size_of::<csv::TeeInfoV1>() + size_of::<csv::Signer>();
        ([BARE, csv::REPORT_SIZE].contains(&bytes.len()) && csv::Report::parse(bytes).is_ok()).then_some(Self::Csv)
    }

    /// The kind of bytes that may be written as text, and the bytes themselves.
    pub fn of_text(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let decoded = [Some(bytes.to_vec()), hex_text(bytes), base64_text(bytes)];
        decoded.into_iter().flatten().find_map(|bytes| Self::of(&bytes).map(|kind| (kind, bytes)))
    }

    /// As [`Kind::of_text`]; what is of no kind is a quote that is none, for which its parser has the reason.
    pub fn read(bytes: &[u8]) -> (Self, Vec<u8>) {
        Self::of_text(bytes).unwrap_or_else(|| (Self::Quote, bytes.to_vec()))
    }

    /// The kind in words, as a sentence names one.
    pub(super) fn with_article(self) -> String {
        let article = match self {
            Self::Quote | Self::Snp | Self::Nitro | Self::Cca | Self::Nvidia => "an ",
            Self::Csv | Self::Tpm => "a ",
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

/// Bytes written as hex digits, as some tools store quotes.
pub fn hex_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.trim_ascii();
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    (!text.is_empty()).then(|| hex::decode(text).ok()).flatten()
}

/// Bytes written in base64, perhaps in lines.
fn base64_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    (!text.is_empty()).then(|| STANDARD.decode(text).ok()).flatten()
}
