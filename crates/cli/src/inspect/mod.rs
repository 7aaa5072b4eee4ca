//! What is this file? One look at its bytes tells which format it is; the format's own parser does the rest.

mod any_log;
mod certificate;
mod collateral;
mod evidence;
mod jws;
mod key;
mod log;
mod quote;
mod tpm;

pub(crate) use any_log::AnyLog;
pub(crate) use log::{is_tdx, register_name};

use crate::fields::{Fields, Value};
use anyhow::{Context, Result, bail};
use sealwright_channel::seal::{self, Sealed};
use sealwright_verify::any::{Kind, decoded, hex_text, unknown};
use sealwright_wire::acpi::Ccel;
use sealwright_wire::csv::{self, CaCertificate, HskCek};
use sealwright_wire::sealed::MAGIC;
use sealwright_wire::sev;
use sealwright_wire::sgx;
use sealwright_wire::snp::CertificateTable;
use sealwright_wire::tdx::{ReportMac, TdReport};
use sealwright_wire::tpm::{Public, Signature, tools};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::Path;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use zerocopy::FromBytes;

/// Largest file that is looked at, in bytes. Sealed files are read bit by bit and have no limit.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// A file that was recognised.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// What it is, in words.
    pub(crate) kind: String,
    /// Its fields, in the order of its format.
    pub(crate) fields: Fields,
}

impl Inspected {
    fn new(kind: impl Into<String>, fields: Fields) -> Self {
        Self { kind: kind.into(), fields }
    }
}

/// Recognises one family of formats: `None` when the bytes are not of it, an error when they are but are damaged.
type Recogniser = fn(&[u8]) -> Option<Result<Inspected>>;

/// From the most to the least telling first bytes.
const RECOGNISERS: [Recogniser; 21] = [
    evidence,
    ccel_table,
    event_log,
    td_report,
    pem,
    der,
    json,
    key::cca_store,
    jws::compact,
    other_log,
    headless_td_report,
    snp_certificates,
    hsk_cek,
    csv_certificate,
    csv_ca,
    sev_certificate,
    tpm_public,
    tpm_signature,
    tpm_pcrs,
    sgx_report,
    tpm_pcrs_in_text,
];

/// Says what a file is.
pub(crate) fn file(path: &Path) -> Result<Inspected> {
    let mut opened = crate::files::open(path)?;
    let beginning = opened.fill_buf().with_context(|| format!("cannot read {}", path.display()))?;
    if beginning.starts_with(&MAGIC) {
        return sealed_file(opened);
    }
    inspect(&crate::files::read(path, MAX_FILE)?)
}

/// Says what `bytes` are.
fn inspect(bytes: &[u8]) -> Result<Inspected> {
    in_any_form(bytes).unwrap_or_else(|| {
        bail!(
            "unknown format: {}; known are Intel quotes and reports, evidence of SEV-SNP, CSV, TPMs, Nitro, CCA and GPUs, collateral, \
             certificates, revocation lists, keys, TCG2, CCEL, TPM 1.2, IMA and canonical event logs, reference values, tokens, receipts and \
             sealed files",
            unknown(bytes)
        )
    })
}

/// What is no evidence, in words, for those who took it for some.
pub(crate) fn instead_of_evidence(bytes: &[u8]) -> String {
    match in_any_form(bytes) {
        Some(Ok(found)) => found.kind,
        Some(Err(error)) => format!("{error:#}"),
        None => unknown(bytes),
    }
}

/// Bytes, or their text in hex or base64.
fn in_any_form(bytes: &[u8]) -> Option<Result<Inspected>> {
    let written_in = |text: &'static str, decoded: Vec<u8>| {
        let found = recognise(&decoded)?;
        Some(found.map(|found| Inspected::new(format!("{}, in {text}", found.kind), found.fields)))
    };
    recognise(bytes)
        .or_else(|| written_in("hex", hex_text(bytes)?))
        .or_else(|| Kind::of_text(bytes).map(|(kind, decoded)| evidence::of(kind, &decoded)))
        .or_else(|| match decoded(bytes) {
            Cow::Owned(decoded) => written_in("base64", decoded),
            Cow::Borrowed(_) => None,
        })
}

/// A structure under the names that `verify` gives its members.
fn named(value: impl Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?.into())
}

fn recognise(bytes: &[u8]) -> Option<Result<Inspected>> {
    RECOGNISERS.iter().find_map(|recogniser| recogniser(bytes))
}

/// A sealed file, which may be larger than memory: its header, and the digest that is measured.
fn sealed_file(file: impl Read) -> Result<Inspected> {
    let Sealed { header, sha384 } = seal::measure(file)?;
    let fields = Fields::new()
        .with("name", header.name.as_str())
        .with("version", header.version)
        .with("kind", header.kind.as_str())
        .with("key", header.key.uri())
        .with("chunk_size", header.chunk_size)
        .with("chunks", header.geometry().chunks())
        .with("cleartext_bytes", header.cleartext_len)
        .with("file_id", header.file_id.to_string())
        .with("sha384", sha384.to_string());
    Ok(Inspected::new("sealed file", fields))
}

/// What can be verified, by the same rule by which `verify` tells it.
fn evidence(bytes: &[u8]) -> Option<Result<Inspected>> {
    Kind::of(bytes).map(|kind| evidence::of(kind, bytes))
}

fn ccel_table(bytes: &[u8]) -> Option<Result<Inspected>> {
    bytes.starts_with(b"CCEL").then(|| {
        let table = Ccel::parse(bytes)?;
        Ok(Inspected::new("ACPI table CCEL", log::ccel_table(table)))
    })
}

fn event_log(bytes: &[u8]) -> Option<Result<Inspected>> {
    log::looks_like_tcg2(bytes).then(|| {
        let log = AnyLog::Firmware(sealwright_wire::tcg2::Log::parse(bytes)?);
        Ok(Inspected::new(log.kind(), log.fields()))
    })
}

fn td_report(bytes: &[u8]) -> Option<Result<Inspected>> {
    let (report, rest) = TdReport::ref_from_prefix(bytes).ok()?;
    let of_tdx = report.mac.report_type.get().to_le_bytes().first() == Some(&ReportMac::TYPE_TDX);
    (of_tdx && rest.is_empty()).then(|| Ok(Inspected::new("Intel TDX report (TDREPORT)", quote::td_report(report)?)))
}

/// A TDREPORT whose first bytes were lost, as dumps of a driver's buffer have it: the module's information is found by its VALID
/// field, whose nine bits are all set by every released module, between areas that are reserved as zero.
fn headless_td_report(bytes: &[u8]) -> Option<Result<Inspected>> {
    const VALID: u64 = 0x1ff;
    if bytes.len() != size_of::<TdReport>() {
        return None;
    }
    (16..=224usize).step_by(16).find_map(|missing| {
        let mut whole = vec![0; missing];
        whole.extend_from_slice(bytes.get(..bytes.len() - missing)?);
        let report = TdReport::read_from_bytes(&whole).ok()?;
        let fits = u64::from_le_bytes(report.tee_tcb_info.valid) == VALID
            && report.mac.reserved2 == [0; 32]
            && report.td_info.reserved == [0; 64];
        fits.then(|| {
            let kind = format!("Intel TDX report (TDREPORT) without its first {missing} bytes");
            Ok(Inspected::new(kind, quote::td_report(&report)?))
        })
    })
}

/// The certificates beside an SEV-SNP report, known by the kind of the first.
fn snp_certificates(bytes: &[u8]) -> Option<Result<Inspected>> {
    evidence::guid_name(bytes.first_chunk()?)?;
    Some(
        CertificateTable::parse(bytes).map_err(Into::into).and_then(|table| {
            Ok(Inspected::new("AMD SEV-SNP certificate table", evidence::certificate_table(&table)?))
        }),
    )
}

fn hsk_cek(bytes: &[u8]) -> Option<Result<Inspected>> {
    let pair = HskCek::parse(bytes).ok()?;
    Some(Ok(Inspected::new("Hygon CSV certificates (HSK and CEK)", evidence::hsk_cek(&pair))))
}

fn csv_certificate(bytes: &[u8]) -> Option<Result<Inspected>> {
    let certificate = csv::Certificate::parse(bytes).ok()?;
    let kind = certificate.usage().name().map_or_else(String::new, |name| format!(" ({name})"));
    Some(Ok(Inspected::new(format!("Hygon CSV certificate{kind}"), evidence::csv_certificate(certificate))))
}

/// Of SEV from before SEV-SNP: one of AMD's by how it begins, so that one without its signature is called what it is; one of a platform by all of it.
fn sev_certificate(bytes: &[u8]) -> Option<Result<Inspected>> {
    if sev::looks_like_ca(bytes) {
        return Some(sev::CaCertificate::parse(bytes).context("SEV CA certificate").map(|certificate| {
            Inspected::new("AMD SEV CA certificate (ARK or ASK), not of SEV-SNP", evidence::sev_ca(&certificate))
        }));
    }
    let certificate = sev::Certificate::parse(bytes).ok()?;
    Some(Ok(Inspected::new("AMD SEV certificate of a platform, not of SEV-SNP", evidence::sev(certificate))))
}

fn csv_ca(bytes: &[u8]) -> Option<Result<Inspected>> {
    if bytes.len() != size_of::<CaCertificate>() {
        return None;
    }
    let certificate = CaCertificate::parse(bytes).ok()?;
    Some(Ok(Inspected::new("Hygon CSV CA certificate (HRK or HSK)", evidence::csv_ca(certificate))))
}

fn tpm_public(bytes: &[u8]) -> Option<Result<Inspected>> {
    let public = Public::without_size(bytes).and_then(Public::parse).ok()?;
    Some(tpm::public_area(&public).map(|fields| Inspected::new("TPM 2.0 public area (TPM2B_PUBLIC)", fields)))
}

fn tpm_signature(bytes: &[u8]) -> Option<Result<Inspected>> {
    let signature = Signature::parse(bytes).ok()?;
    Some(Ok(Inspected::new("TPM 2.0 signature (TPMT_SIGNATURE)", tpm::signature(&signature))))
}

fn tpm_pcrs(bytes: &[u8]) -> Option<Result<Inspected>> {
    let (_, values) = tools::read_pcrs(bytes).ok()?;
    Some(Ok(Inspected::new("PCRs, as tpm2_quote writes them", tpm::registers(&values))))
}

/// Of any text that has such lines, and so the last of all.
fn tpm_pcrs_in_text(bytes: &[u8]) -> Option<Result<Inspected>> {
    let values = tools::read_yaml(str::from_utf8(bytes).ok()?).ok()?;
    Some(Ok(Inspected::new("PCRs in the YAML of tpm2-tools", tpm::registers(&values))))
}

/// A REPORT of an enclave, which has nothing of its own to be known by but its length and its reserved fields: one of zeros is no report.
fn sgx_report(bytes: &[u8]) -> Option<Result<Inspected>> {
    let report = sgx::Report::parse(bytes).ok().filter(|report| report.body.mr_enclave != [0; 32])?;
    Some(quote::sgx_report(report).map(|fields| Inspected::new("Intel SGX report (REPORT)", fields)))
}

fn pem(bytes: &[u8]) -> Option<Result<Inspected>> {
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"-----BEGIN X509 CRL-----") {
        return certificate::parse_revocation_list(text).map(|list| Ok(revocation_list(&list)));
    }
    if let Some(found) = key::pem(text) {
        return Some(found);
    }
    text.starts_with(b"-----BEGIN CERTIFICATE-----").then(|| {
        let mut certificates = certificate::chain(text)?;
        if certificates.len() == 1
            && let Some(single) = certificates.pop()
        {
            let kind = Kind::of_text(text).map_or("certificate", |(kind, _)| kind.name());
            return Ok(Inspected::new(kind, single));
        }
        Ok(Inspected::new(format!("{} certificates", certificates.len()), Fields::new().with("chain", certificates)))
    })
}

fn der(bytes: &[u8]) -> Option<Result<Inspected>> {
    if bytes.first() != Some(&0x30) {
        return None;
    }
    if let Ok(parsed) = Certificate::from_der(bytes) {
        return Some(certificate(&parsed));
    }
    if let Some(list) = certificate::parse_revocation_list(bytes) {
        return Some(Ok(revocation_list(&list)));
    }
    key::public(bytes)
}

fn certificate(parsed: &Certificate) -> Result<Inspected> {
    Ok(Inspected::new("certificate", certificate::certificate(parsed)?))
}

fn revocation_list(list: &x509_cert::crl::CertificateList) -> Inspected {
    Inspected::new("certificate revocation list", certificate::revocation_list(list))
}

fn json(bytes: &[u8]) -> Option<Result<Inspected>> {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"{").then(|| collateral::json(text).context("JSON"))
}

fn other_log(bytes: &[u8]) -> Option<Result<Inspected>> {
    AnyLog::recognise(bytes).map(|log| Ok(Inspected::new(log.kind(), log.fields())))
}
