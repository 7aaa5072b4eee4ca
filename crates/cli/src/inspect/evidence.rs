//! Evidence of other vendors than Intel, field by field. Nothing of it is verified.

use super::{Inspected, named, tpm};
use crate::fields::{Fields, Value};
use anyhow::Result;
use sealwright_verify::CsvPolicy;
use sealwright_verify::any::Kind;
use sealwright_verify::snp::{GuestPolicy, PlatformInfo};
use sealwright_wire::cca::{Component, PlatformClaims, RealmClaims, Token};
use sealwright_wire::csv::{self, Body, Shape, SignerForm};
use sealwright_wire::held_data::HeldData;
use sealwright_wire::quote::Quote;
use sealwright_wire::sev::{self, Usage};
use sealwright_wire::snp::{self, Product, Tcb, TcbVersion, guid};
use sealwright_wire::{cose, hcl, nitro, nvidia};

/// The fields of evidence whose kind is known by its bytes.
pub(super) fn of(kind: Kind, bytes: &[u8]) -> Result<Inspected> {
    let fields = match kind {
        Kind::Quote => {
            let quote = Quote::parse(bytes)?;
            let kind = format!("Intel {} quote, version {}", quote.tee().name().to_uppercase(), quote.header.version);
            return Ok(Inspected::new(kind, super::quote::quote(&quote)?));
        }
        Kind::Snp => snp_report(&snp::Report::parse(bytes)?)?,
        Kind::Csv => csv_report(&csv::Report::parse(bytes)?)?,
        Kind::Tpm => tpm::quote(bytes)?,
        Kind::TpmJson => tpm::evidence(bytes)?,
        Kind::TpmQuote => tpm::quote_parts(bytes)?,
        Kind::AzVtpm => tpm::az_vtpm(bytes)?,
        Kind::HclReport => tpm::hcl_report(&hcl::Report::parse(bytes)?)?,
        Kind::Nitro => nitro_document(&nitro::Document::parse(bytes)?)?,
        Kind::Cca => cca_token(&Token::parse(bytes)?),
        Kind::Nvidia => gpu_report(&nvidia::Report::parse(bytes)?),
        Kind::Ratls => super::certificate::of_der(bytes)?,
        Kind::HeldData => held_data(&HeldData::from_json(bytes)?)?,
    };
    Ok(Inspected::new(kind.name(), fields))
}

/// A quote and the data that its enclave held, and what is said of the quote beside.
fn held_data(document: &HeldData) -> Result<Fields> {
    let stated = document.stated.map(|stated| {
        Fields::new()
            .hex("mr_enclave", stated.mr_enclave)
            .hex("mr_signer", stated.mr_signer)
            .hex("product_id", stated.product_id.to_le_bytes())
            .with("security_version", stated.security_version)
    });
    Ok(Fields::new()
        .hex("held_data", &document.data)
        .with_some("stated", stated)
        .with("quote", super::quote::quote(&Quote::parse(&document.quote)?)?))
}

/// An SEV-SNP report's fields.
pub(super) fn snp_report(report: &snp::Report<'_>) -> Result<Fields> {
    let (body, signer) = (report.body, report.body.signer());
    let product = body.cpuid().and_then(|(family, model, _)| Product::from_cpuid(family, model));
    let tcb = |version: TcbVersion| security_versions(version, product);
    let cpuid = body.cpuid().map(|(family, model, stepping)| vec![family, model, stepping]);
    let mitigations = body.mit_vectors().map(|(at_launch, now)| vec![at_launch, now]);
    Ok(Fields::new()
        .with("version", body.version.get())
        .with_some("product", product.map(Product::name))
        .with("guest_svn", body.guest_svn.get())
        .with("policy", named(GuestPolicy::from(body.guest_policy()))?)
        .hex("family_id", body.family_id)
        .hex("image_id", body.image_id)
        .with("vmpl", body.vmpl.get())
        .with("signature_algo", body.signature_algo.get())
        .with("platform_info", named(PlatformInfo::from(body.platform()))?)
        .with("signing_key", signer.signing_key().name())
        .with("mask_chip_key", signer.mask_chip_key())
        .with("author_key_en", signer.author_key_en())
        .hex("report_data", body.report_data)
        .hex("measurement", body.measurement)
        .hex("host_data", body.host_data)
        .hex("id_key_digest", body.id_key_digest)
        .hex("author_key_digest", body.author_key_digest)
        .hex("report_id", body.report_id)
        .hex("report_id_ma", body.report_id_ma)
        .with_some("cpuid", cpuid)
        .hex("chip_id", body.chip_id)
        .with("current_tcb", tcb(body.current_tcb))
        .with("reported_tcb", tcb(body.reported_tcb))
        .with("committed_tcb", tcb(body.committed_tcb))
        .with("launch_tcb", tcb(body.launch_tcb))
        .with("current_version", firmware(body.current))
        .with("committed_version", firmware(body.committed))
        .with_some("mit_vectors", mitigations)
        .hex("signature", body.signature.to_be_bytes())
        .with("trailing_bytes", report.trailing.len()))
}

/// The versions by their names where the product is known, which says how they are written; else their bytes.
fn security_versions(version: TcbVersion, product: Option<Product>) -> Value {
    let decoded = product.and_then(|line| version.decode(line).ok());
    decoded.map_or_else(|| hex::encode(version.0).into(), |decoded| tcb(decoded).into())
}

/// Security versions by their names.
pub(super) fn tcb(versions: Tcb) -> Fields {
    let Tcb { fmc, boot_loader, tee, snp, microcode } = versions;
    let fields = Fields::new().with_some("fmc", fmc).with("boot_loader", boot_loader).with("tee", tee);
    fields.with("snp", snp).with("microcode", microcode)
}

/// The certificates that a host hands out beside a report.
pub(super) fn certificate_table(table: &snp::CertificateTable<'_>) -> Result<Fields> {
    table.entries.iter().try_fold(Fields::new(), |fields, entry| match guid_name(&entry.guid) {
        Some("crl") => Ok(fields.hex("crl", entry.data)),
        Some(name) => Ok(fields.with(name, super::certificate::of_der(entry.data)?)),
        None => Ok(fields.with(hex::encode(entry.guid), hex::encode(entry.data))),
    })
}

/// What an entry of such a table is.
pub(super) fn guid_name(guid: &[u8; 16]) -> Option<&'static str> {
    match *guid {
        guid::VCEK => Some("vcek"),
        guid::VLEK => Some("vlek"),
        guid::ASK => Some("ask"),
        guid::ARK => Some("ark"),
        guid::CRL => Some("crl"),
        _ => None,
    }
}

fn firmware(version: snp::FirmwareVersion) -> String {
    let snp::FirmwareVersion { major, minor, build } = version;
    format!("{major}.{minor}.{build}")
}

/// A CSV report's fields, without its mask.
fn csv_report(report: &csv::Report<'_>) -> Result<Fields> {
    let (info, signer) = (report.tee_info(), report.plain_signer()?);
    let shape = match report.shape {
        Shape::Bare => "bare",
        Shape::Legacy => "legacy",
        Shape::Extension => "extension",
    };
    let fields = Fields::new()
        .with("version", report.body.version())
        .with("wrapper", shape)
        .hex("user_pubkey_digest", info.user_pubkey_digest)
        .hex("vm_id", info.vm_id)
        .hex("vm_version", info.vm_version)
        .hex("report_data", info.report_data)
        .hex("mnonce", info.mnonce)
        .hex("measure", info.measure)
        .with("policy", named(CsvPolicy::from(info.policy()))?)
        .with("sig_usage", info.sig_usage.get())
        .with("sig_algo", info.sig_algo.get());
    let fields = match report.body {
        Body::V1(body) => fields.hex("anonce", body.anonce),
        Body::V2(body) => fields
            .with("build", body.build.get())
            .with("rtmr_version", body.rtmr_version.get())
            .with("rtmr", body.rtmr.map(hex::encode).to_vec()),
    };
    let serial_number = signer.serial_number.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(fields
        .with("serial_number", String::from_utf8_lossy(serial_number).into_owned())
        .with("signer_restored", report.signer_form() == SignerForm::Restored)
        .with("pek", csv_certificate(&signer.pek))
        .hex("signer_mac", signer.mac)
        .with("padding_bytes", report.padding.len()))
}

/// A CEK's, PEK's, PDH's or OCA's fields.
pub(super) fn csv_certificate(certificate: &csv::Certificate) -> Fields {
    let usage = certificate.usage();
    let signers = certificate.signatures.iter().filter_map(csv::CertificateSignature::usage);
    Fields::new()
        .with("key_usage", csv_usage(usage))
        .with("user_id", String::from_utf8_lossy(certificate.user_id()).into_owned())
        .with("api", vec![certificate.api_major, certificate.api_minor])
        .hex("signer_id", certificate.signer_id)
        .with("signed_as", signers.map(csv_usage).collect::<Vec<_>>())
        .with_some("public_key", csv_key(&certificate.public_key))
}

fn csv_usage(usage: csv::Usage) -> String {
    usage.name().map_or_else(|| format!("{:#x}", usage.0), str::to_owned)
}

fn csv_key(key: &csv::PublicKey) -> Option<String> {
    key.coordinates().map(|(x, y)| format!("{}{}", hex::encode(x), hex::encode(y)))
}

/// The HSK and CEK of a chip, as Hygon's service gives them.
pub(super) fn hsk_cek(pair: &csv::HskCek<'_>) -> Fields {
    Fields::new().with("hsk", csv_ca(pair.hsk)).with("cek", csv_certificate(pair.cek))
}

/// An HRK's or HSK's fields.
pub(super) fn csv_ca(certificate: &csv::CaCertificate) -> Fields {
    Fields::new()
        .with("key_usage", csv_usage(certificate.usage()))
        .with("user_id", String::from_utf8_lossy(certificate.user_id()).into_owned())
        .hex("key_id", certificate.key_id)
        .hex("signer_id", certificate.signer_id)
        .with_some("public_key", csv_key(&certificate.public_key))
}

/// Fields of the certificate of a key of an SEV platform.
pub(super) fn sev(certificate: &sev::Certificate) -> Fields {
    let signers = certificate.signatures.iter().map(|signature| sev_usage(Usage(signature.usage.get())));
    let algorithm = certificate.algorithm();
    Fields::new()
        .with("key_usage", sev_usage(certificate.usage()))
        .with("algorithm", algorithm.name().map_or_else(|| format!("{:#x}", algorithm.0), str::to_owned))
        .with("api", vec![certificate.api_major, certificate.api_minor])
        .with("signed_as", signers.collect::<Vec<_>>())
}

/// Fields of an ARK or ASK from before SEV-SNP.
pub(super) fn sev_ca(certificate: &sev::CaCertificate<'_>) -> Fields {
    Fields::new()
        .with("key_usage", sev_usage(certificate.usage()))
        .hex("key_id", certificate.header.key_id)
        .hex("certifying_id", certificate.header.certifying_id)
        .with("modulus_bits", certificate.header.modulus_size.get())
}

fn sev_usage(usage: Usage) -> String {
    usage.name().map_or_else(|| format!("{:#x}", usage.0), str::to_owned)
}

/// A Nitro document's fields.
fn nitro_document(document: &nitro::Document<'_>) -> Result<Fields> {
    let nitro::Statement { module_id, timestamp, pcrs, certificate, cabundle, public_key, user_data, nonce } =
        &document.statement;
    let pcrs =
        pcrs.iter().fold(Fields::new(), |fields, (index, value)| fields.with(index.to_string(), value.to_string()));
    let bundle = cabundle.iter().map(|der| super::certificate::of_der(der)).collect::<Result<Vec<_>>>()?;
    let hex = |bytes: &Option<&[u8]>| bytes.map(hex::encode);
    Ok(signed(&document.message)
        .with("module_id", *module_id)
        .with("timestamp", *timestamp)
        .with("pcrs", pcrs)
        .with("certificate", super::certificate::of_der(certificate)?)
        .with("cabundle", bundle)
        .with_some("public_key", hex(public_key))
        .with_some("user_data", hex(user_data))
        .with_some("nonce", hex(nonce)))
}

/// How a COSE message is signed.
fn signed(message: &cose::Sign1<'_>) -> Fields {
    Fields::new().with("algorithm", message.algorithm.name()).hex("signature", message.signature)
}

/// A CCA token's fields.
fn cca_token(token: &Token<'_>) -> Fields {
    let platform = cca_platform(signed(&token.platform), &token.platform_claims);
    Fields::new().with("platform", platform).with("realm", cca_realm(signed(&token.realm), &token.realm_claims))
}

fn cca_platform(fields: Fields, claims: &PlatformClaims<'_>) -> Fields {
    let components: Vec<_> = claims.software_components.iter().map(cca_component).collect();
    let lifecycle = claims.lifecycle.name().map_or_else(|| format!("{:#06x}", claims.lifecycle.0), str::to_owned);
    fields
        .with("profile", claims.profile.name())
        .hex("challenge", claims.challenge)
        .hex("implementation_id", claims.implementation_id)
        .hex("instance_id", claims.instance_id)
        .hex("config", claims.config)
        .with("lifecycle", lifecycle)
        .with("hash_algorithm", claims.hash_algorithm.name())
        .with("software_components", components)
        .with_some("verification_service", claims.verification_service)
}

fn cca_component(component: &Component<'_>) -> Fields {
    Fields::new()
        .with_some("component_type", component.component_type)
        .hex("measurement_value", component.measurement_value)
        .with_some("version", component.version)
        .hex("signer_id", component.signer_id)
        .with_some("hash_algorithm", component.hash_algorithm.map(sealwright_wire::cca::Hash::name))
}

fn cca_realm(fields: Fields, claims: &RealmClaims<'_>) -> Fields {
    fields
        .with_some("profile", claims.profile.map(sealwright_wire::cca::RealmProfile::name))
        .hex("challenge", claims.challenge)
        .hex("personalization_value", claims.personalization_value)
        .hex("initial_measurement", claims.initial_measurement)
        .with("extensible_measurements", claims.extensible_measurements.map(hex::encode).to_vec())
        .with("hash_algorithm", claims.hash_algorithm.name())
        .hex("public_key", claims.public_key)
        .with("public_key_hash_algorithm", claims.public_key_hash_algorithm.name())
        .with_some("mec_policy", claims.mec_policy)
        .with_some("instance_id", claims.instance_id.map(hex::encode))
}

/// A GPU report's fields.
fn gpu_report(report: &nvidia::Report<'_>) -> Fields {
    let measurements = report
        .blocks
        .iter()
        .fold(Fields::new(), |fields, block| fields.with(block.index.to_string(), hex::encode(block.value)));
    let opaque = report.fields.iter().fold(Fields::new(), |fields, field| {
        let name = field.kind.name().map_or_else(|| field.kind.number().to_string(), str::to_owned);
        let value = field.text().map_or_else(|| hex::encode(field.data), str::to_owned);
        fields.with(name, value)
    });
    Fields::new()
        .hex("request_nonce", report.request.nonce)
        .with("slot", report.request.slot)
        .hex("nonce", report.nonce)
        .with("measurements", measurements)
        .with("opaque_data", opaque)
        .hex("signature", report.signature)
        .with("trailing_bytes", report.trailing)
}
