//! Quotes of TPMs, and what comes with them, field by field.

use super::Inspected;
use super::evidence::snp_report;
use crate::fields::{Fields, Value};
use anyhow::Result;
use sealwright_verify::tpm::AkAttributes;
use sealwright_wire::hcl::ReportType;
use sealwright_wire::quote::Quote;
use sealwright_wire::tcg2::Log;
use sealwright_wire::tdx::TdReport;
use sealwright_wire::tpm::dump::Dump;
use sealwright_wire::tpm::{Attest, Key, PcrValues, Public, Signature};
use sealwright_wire::tpm12::QuoteInfo;
use sealwright_wire::{hcl, snp, tpm};
use zerocopy::FromBytes;

/// The fields of a `TPMS_ATTEST`.
pub(super) fn quote(message: &[u8]) -> Result<Fields> {
    let attest = Attest::parse(message)?;
    let clock = attest.clock_info;
    let selections = attest.pcr_select.iter().fold(Fields::new(), |fields, selection| {
        fields.with(selection.hash.to_string(), selection.pcrs().map(Value::from).collect::<Vec<_>>())
    });
    Ok(Fields::new()
        .hex("qualified_signer", attest.qualified_signer.to_bytes())
        .hex("extra_data", attest.extra_data)
        .with("clock", clock.clock)
        .with("reset_count", clock.reset_count)
        .with("restart_count", clock.restart_count)
        .with("safe", clock.safe)
        .hex("firmware_version", attest.firmware_version.to_be_bytes())
        .with("pcr_select", selections)
        .hex("pcr_digest", attest.pcr_digest))
}

/// Fields of a quote with its signature, key and PCRs.
pub(super) fn evidence(json: &[u8]) -> Result<Fields> {
    let evidence = tpm::Evidence::from_json(json)?;
    let quote_fields = quote(&evidence.tpm_quote.message)?;
    Ok(Fields::new()
        .hex("ak_public", &evidence.ak_public)
        .with("quote", quote_fields)
        .with("signature", signature(&Signature::parse(&evidence.tpm_quote.signature)?))
        .with("pcrs", registers(&evidence.tpm_quote.values()?)))
}

/// Fields of a quote with its signature and PCRs.
pub(super) fn quote_parts(bytes: &[u8]) -> Result<Fields> {
    let parts = hcl::Quote::parse(bytes)?;
    Ok(Fields::new()
        .with("quote", quote(&parts.message)?)
        .with("signature", signature(&parts.signature()))
        .with("pcrs", registers(&parts.values()?)))
}

/// A machine as go-attestation's tool dumps it, whose TPM is told by its quote.
pub(super) fn dump(dump: &Dump) -> Result<Inspected> {
    let Dump { machine, key, quote, log } = dump;
    let (version, signed) = match QuoteInfo::parse(&quote.message) {
        Ok(info) => ("1.2", dumped_quote_info(dump, info)),
        Err(_) => ("2.0", dumped_attest(dump)?),
    };
    let pcrs = log.pcrs.iter().map(|pcr| Fields::new().with("pcr", pcr.index).hex("value", &pcr.digest));
    let fields = signed
        .with_some("nonce", quote.nonce.as_ref().map(hex::encode))
        .with_some(
            "endorsement_key",
            machine.endorsement_key.as_deref().map(|pem| String::from_utf8_lossy(pem).into_owned()),
        )
        .with_some("creation_data", key.creation_data.as_ref().map(hex::encode))
        .with_some("creation_attestation", key.creation_attestation.as_ref().map(hex::encode))
        .with_some("creation_signature", key.creation_signature.as_ref().map(hex::encode))
        .with("pcrs", pcrs.collect::<Vec<_>>())
        .with("event_log", super::log::events(&Log::parse(&log.raw)?));
    Ok(Inspected::new(format!("TPM {version} quote, as go-attestation dumps it"), fields))
}

/// What a TPM 1.2 signed, with key and signature.
fn dumped_quote_info(dump: &Dump, info: &QuoteInfo) -> Fields {
    let quote = Fields::new().hex("digest_value", info.digest_value).hex("external_data", info.external_data);
    Fields::new().hex("ak_public", &dump.key.public).with("quote", quote).hex("signature", &dump.quote.signature)
}

/// What a TPM 2.0 signed, with key and signature.
fn dumped_attest(dump: &Dump) -> Result<Fields> {
    Ok(Fields::new()
        .with("ak_public", public_area(&Public::parse(&dump.key.public)?)?)
        .with("quote", quote(&dump.quote.message)?)
        .with("signature", signature(&Signature::parse(&dump.quote.signature)?)))
}

/// Fields of a guest behind Azure's vTPM.
pub(super) fn az_vtpm(json: &[u8]) -> Result<Fields> {
    let evidence = hcl::Evidence::from_json(json)?;
    let quote_fields = quote(&evidence.tpm_quote.message)?;
    let hardware = evidence.td_quote.as_deref().map(|bytes| super::quote::quote(&Quote::parse(bytes)?));
    Ok(Fields::new()
        .with("version", evidence.version)
        .with("hcl_report", hcl_report(&hcl::Report::parse(&evidence.hcl_report)?)?)
        .with_some("td_quote", hardware.transpose()?)
        .with("quote", quote_fields)
        .with("signature", signature(&evidence.tpm_quote.signature()))
        .with("pcrs", registers(&evidence.tpm_quote.values()?)))
}

/// An HCL report's fields: the hardware's report, and what the paravisor claims under it.
pub(super) fn hcl_report(report: &hcl::Report<'_>) -> Result<Fields> {
    let claims: serde_json::Value = serde_json::from_slice(report.claims)?;
    let fields = Fields::new().with("report_type", report.report_type.name()).with("hash", report.hash.to_string());
    let hardware = report.hardware_report;
    let fields = match report.report_type {
        ReportType::Snp => fields.with("hardware_report", snp_report(&snp::Report::parse(hardware)?)?),
        ReportType::Tdx => match TdReport::ref_from_prefix(hardware) {
            Ok((report, _)) => fields.with("hardware_report", super::quote::td_report(report)?),
            Err(_) => fields.hex("hardware_report", hardware),
        },
        ReportType::Vbs | ReportType::Tvm => fields.hex("hardware_report", hardware),
    };
    Ok(fields.with("runtime_claims", claims).with("padding_bytes", report.padding))
}

/// A `TPMT_PUBLIC`'s fields.
pub(super) fn public_area(public: &Public<'_>) -> Result<Fields> {
    let fields = Fields::new()
        .with("name_alg", public.name_alg.to_string())
        .with("attributes", Value::from(serde_json::to_value(AkAttributes::from(public.attributes))?))
        .hex("auth_policy", public.auth_policy)
        .with_some("scheme", public.scheme.map(|scheme| format!("{:#06x}", scheme.algorithm)))
        .with_some("scheme_hash", public.scheme.and_then(|scheme| scheme.hash).map(|hash| hash.to_string()));
    Ok(match public.key {
        Key::Rsa { bits, exponent, modulus } => {
            fields.with("bits", bits).with("exponent", exponent).hex("modulus", modulus)
        }
        Key::Ecc { curve, x, y, .. } => fields.with("curve", format!("{:#06x}", curve.0)).hex("x", x).hex("y", y),
    })
}

/// A `TPMT_SIGNATURE`'s fields.
pub(super) fn signature(signature: &Signature<'_>) -> Fields {
    let fields = Fields::new().with("scheme", signature.scheme()).with("hash", signature.hash().to_string());
    match *signature {
        Signature::RsaSsa { signature, .. } | Signature::RsaPss { signature, .. } => fields.hex("signature", signature),
        Signature::Ecdsa { r, s, .. } => fields.hex("r", r).hex("s", s),
    }
}

/// The PCRs by their bank.
pub(super) fn registers(values: &PcrValues) -> Fields {
    let mut banks: Vec<(String, Fields)> = Vec::new();
    for (hash, pcr, value) in values.iter() {
        let bank = hash.to_string();
        if banks.last().is_none_or(|(last, _)| *last != bank) {
            banks.push((bank, Fields::new()));
        }
        if let Some((_, registers)) = banks.last_mut() {
            *registers = std::mem::take(registers).with(pcr.to_string(), hex::encode(value));
        }
    }
    banks.into_iter().fold(Fields::new(), |fields, (bank, registers)| fields.with(bank, registers))
}
