//! How each kind of evidence begins.

use super::Kind;
use sealwright_wire::{
    cca,
    csv::{self, EXTENSION_MAGIC},
    hcl,
    json::members_among,
    nvidia::{GET_MEASUREMENTS, SPDM_VERSION},
    quote::{Quote, VENDOR_INTEL},
    ratls::{self, CertificateEvidence, OID_LEGACY_INTEL},
    snp::{self, GuestPolicy},
    tpm::GENERATED_VALUE,
};

/// The kind of bytes.
pub(super) fn tell(bytes: &[u8]) -> Option<Kind> {
    let text = bytes.trim_ascii_start();
    match bytes {
        _ if bytes.starts_with(&GENERATED_VALUE.to_be_bytes()) => Some(Kind::Tpm),
        _ if bytes.starts_with(&EXTENSION_MAGIC) => Some(Kind::Csv),
        _ if bytes.starts_with(&hcl::SIGNATURE) => Some(Kind::HclReport),
        _ if bytes.starts_with(&[SPDM_VERSION, GET_MEASUREMENTS]) => Some(Kind::Nvidia),
        _ if looks_like_cca(bytes) => Some(Kind::Cca),
        _ if looks_like_nitro(bytes) => Some(Kind::Nitro),
        _ if looks_like_quote(bytes) => Some(Kind::Quote),
        _ if looks_like_snp(bytes) => Some(Kind::Snp),
        [0x30, ..] if has_evidence(bytes) => Some(Kind::Ratls),
        _ if text.starts_with(b"{") => of_json(text),
        _ if is_bare_csv(bytes) => Some(Kind::Csv),
        _ => hcl::Quote::parse(bytes).is_ok().then_some(Kind::TpmQuote),
    }
}

/// By the tag of a collection, in the three bytes of its shortest form (RFC 8949, section 3.4).
fn looks_like_cca(bytes: &[u8]) -> bool {
    let begins_with = |tag: u64| {
        let [.., high, low] = tag.to_be_bytes();
        bytes.starts_with(&[0xd9, high, low])
    };
    begins_with(cca::TAG_COLLECTION) || begins_with(cca::TAG_CMW)
}

/// By the protected header of a `COSE_Sign1` with its tag or without: `{1: -35}` alone, which is ES384 (AWS Nitro Enclaves NSM API, section 3.1).
fn looks_like_nitro(bytes: &[u8]) -> bool {
    let message = bytes.strip_prefix(&[0xd2]).unwrap_or(bytes);
    message.starts_with(&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22])
}

/// By version and key type, or by the vendor of the quoting enclave: either is enough, so that a quote in which one was changed is still called a
/// quote (Intel SGX ECDSA QuoteLibReference DCAP API, A.4 "Quote Header").
fn looks_like_quote(bytes: &[u8]) -> bool {
    matches!(bytes, [3..=5, 0, 2..=3, 0, ..]) || bytes.get(12..28).is_some_and(|vendor| vendor == VENDOR_INTEL)
}

/// By the version, and by the bits of the guest's policy that are always one or zero or the algorithm that signs all reports (SEV Secure Nested
/// Paging Firmware ABI, "ATTESTATION_REPORT Structure"). Either is enough, as above.
fn looks_like_snp(bytes: &[u8]) -> bool {
    let u32_at = |at: usize| bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes);
    let policy = bytes.get(0x008..0x010).and_then(|policy| policy.try_into().ok()).map(u64::from_le_bytes);
    let version = u32_at(0x000).is_some_and(|version| (2..=5).contains(&version));
    let well_formed = policy.is_some_and(|policy| GuestPolicy(policy).is_well_formed());
    version && (well_formed || u32_at(0x034) == Some(snp::ECDSA_P384_SHA384))
}

/// A CSV report of version 1, with its padding or without: by its length, and by what its signer's key is for, or by its certificate.
fn is_bare_csv(bytes: &[u8]) -> bool {
    const BARE: usize = size_of::<csv::TeeInfoV1>() + size_of::<csv::Signer>();
    if ![BARE, csv::REPORT_SIZE].contains(&bytes.len()) {
        return false;
    }
    let Ok(report) = csv::Report::parse(bytes) else { return false };
    report.tee_info().sig_usage.get() == csv::Usage::PEK.0 || report.plain_signer().is_ok()
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

/// The kinds in JSON, each with members by which its documents are told; the first row of which a document has all is its kind.
const MEMBERS: [(Kind, &[&str]); 8] = [
    (Kind::TpmJson, &["ak_public"]),
    (Kind::AzVtpm, &["hcl_report"]),
    (Kind::AzVtpm, &["report", "quote"]),
    (Kind::TpmQuote, &["message", "pcrs"]),
    (Kind::HeldData, &["EnclaveHeldDataHex"]),
    (Kind::HeldData, &["QuoteHex"]),
    (Kind::HeldData, &["EnclaveHeldData"]),
    (Kind::HeldData, &["quote", "runtimeData"]),
];

/// The kind of a document, of which the members up to the damage are known.
fn of_json(text: &[u8]) -> Option<Kind> {
    let telling = MEMBERS.iter().flat_map(|(_, names)| names.iter().copied());
    let found = members_among(text, &telling.collect::<Vec<_>>());
    MEMBERS.into_iter().find(|(_, names)| names.iter().all(|name| found.contains(name))).map(|(kind, _)| kind)
}
