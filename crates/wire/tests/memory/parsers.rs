//! Every parser of the crate, under its name.

use sealwright_wire::{
    Error, Evidence, aael, acpi, cca, cel, collateral, cose, csv, hcl, held_data, ima, jws,
    kbs::{self, Message},
    nitro, nvidia, pck, quote, ratls, receipt, reference, sealed, sev, sgx, snp, tcg2, tcg12, tdx, time, tpm, tpm12,
    uefi,
};
use zerocopy::FromBytes;

/// Reads bytes, with everything in them that is read lazily, and says whether they are of its format.
pub(crate) type Parser = fn(&[u8]) -> bool;

/// Bytes for a parser of text.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn firmware_log(log: Result<tcg2::Log<'_>, Error>) -> bool {
    log.is_ok_and(|log| {
        for event in log.events() {
            drop(event.content());
            drop(tcg12::SpecId::from_record(&event));
            event.digests.iter().for_each(|(_, digest)| assert!(!digest.is_empty()));
        }
        log.event_count() > 0
    })
}

fn ima_list<'a>(entries: Result<impl Iterator<Item = Result<ima::Entry<'a>, Error>>, Error>) -> bool {
    entries.is_ok_and(|mut entries| entries.all(|entry| entry.map(|entry| entry.template_data()).is_ok()))
}

fn message<M: Message>(bytes: &[u8]) -> bool {
    M::from_json(bytes).is_ok()
}

/// One value for all extensions.
fn vek(bytes: &[u8]) -> bool {
    snp::VekExtensions::read(|_| Some(bytes)).is_ok()
}

/// A few of them have no other reader than that of their container: [`snp::VekExtensions`], the parts of a CCA token.
pub(crate) const PARSERS: &[(&str, Parser)] = &[
    ("aael", |bytes| aael::RuntimeEvent::from_data(bytes).is_ok()),
    ("aael as JSON", |bytes| serde_json::from_slice::<aael::RuntimeEvent>(bytes).is_ok()),
    ("acpi CCEL", |bytes| acpi::Ccel::parse(bytes).is_ok()),
    ("acpi TPM2", |bytes| acpi::Tpm2::parse(bytes).is_ok()),
    ("cca", |bytes| cca::Token::parse(bytes).is_ok_and(|token| token.realm_claims.key().is_ok())),
    ("cca platform key", |bytes| cca::PlatformKey::from_json(bytes).is_ok()),
    ("cca store", |bytes| cca::Store::from_json(bytes).is_ok()),
    ("cel", |bytes| cel::Log::parse(bytes).is_ok_and(|log| log.records().count() == log.record_count())),
    ("collateral bundle", |bytes| collateral::Bundle::from_json(bytes).is_ok()),
    ("collateral of the QvE", |bytes| collateral::QveBundle::from_json(bytes).is_ok()),
    ("collateral PEM", |bytes| collateral::pem_chain("chain", bytes).is_ok()),
    ("collateral QE identity", |bytes| collateral::QeIdentity::parse(text(bytes)).is_ok()),
    ("collateral QE identity, signed", |bytes| collateral::Signed::qe_identity(bytes).is_ok()),
    ("collateral TCB info", |bytes| collateral::TcbInfo::parse(text(bytes)).is_ok()),
    ("collateral TCB info, signed", |bytes| collateral::Signed::tcb_info(bytes).is_ok()),
    ("cose key", |bytes| cose::Key::parse(bytes).is_ok()),
    ("cose message", |bytes| cose::Sign1::parse(bytes).is_ok()),
    ("csv CA", |bytes| csv::CaCertificate::parse(bytes).is_ok()),
    ("csv certificate", |bytes| csv::Certificate::parse(bytes).is_ok()),
    ("csv HSK and CEK", |bytes| csv::HskCek::parse(bytes).is_ok()),
    ("csv report", |bytes| csv::Report::parse(bytes).is_ok_and(|report| report.plain_signer().is_ok())),
    ("evidence", |bytes| Evidence::parse(bytes, None).is_ok()),
    ("hcl", |bytes| hcl::Report::parse(bytes).is_ok()),
    ("hcl claims", |bytes| hcl::RuntimeClaims::parse(bytes).is_ok_and(|claims| claims.attestation_key().is_ok())),
    ("hcl quote", |bytes| hcl::Quote::parse(bytes).is_ok_and(|quote| quote.values().is_ok())),
    ("held data", |bytes| held_data::HeldData::from_json(bytes).is_ok()),
    ("hcl evidence", |bytes| {
        hcl::Evidence::from_json(bytes).is_ok_and(|it| it.vcek_der().is_ok() && it.tpm_quote.values().is_ok())
    }),
    ("ima", |bytes| ima_list(ima::entries(bytes))),
    ("ima ASCII", |bytes| ima_list(ima::ascii(bytes))),
    ("ima binary, SHA-1", |bytes| ima_list(ima::binary(bytes, 20))),
    ("ima binary, SHA-256", |bytes| ima_list(ima::binary(bytes, 32))),
    ("jws", |bytes| jws::Compact::parse(text(bytes)).is_ok_and(|token| token.claims().is_ok())),
    ("jws header", |bytes| jws::Header::parse(bytes).is_ok()),
    ("jws object", |bytes| jws::strict_object("object", bytes).is_ok()),
    ("kbs attestation", message::<kbs::Attestation>),
    ("kbs challenge", message::<kbs::Challenge>),
    ("kbs error", message::<kbs::ErrorInformation>),
    ("kbs request", message::<kbs::Request>),
    ("kbs response", message::<kbs::Response>),
    ("kbs token", message::<kbs::Token>),
    ("nitro", |bytes| nitro::Document::parse(bytes).is_ok()),
    ("nvidia device", |bytes| nvidia::CompositeDeviceId::from_der(bytes).is_ok()),
    ("nvidia report", |bytes| nvidia::Report::parse(bytes).is_ok()),
    ("pck", |bytes| pck::PckExtension::from_der(bytes).is_ok()),
    ("quote", |bytes| quote::Quote::parse(bytes).is_ok()),
    ("ratls certificate", |bytes| ratls::Certificate::parse(bytes).is_ok()),
    ("ratls claims", |bytes| ratls::Claims::parse(bytes).is_ok()),
    ("ratls evidence", |bytes| ratls::TaggedEvidence::parse(bytes).is_ok()),
    ("ratls request", message::<ratls::AttestRequest>),
    ("ratls response", message::<ratls::AttestResponse>),
    ("receipt", |bytes| receipt::Receipt::from_json(bytes).is_ok()),
    ("reference", |bytes| reference::ReferenceValues::from_json(bytes).is_ok()),
    ("sealed", |bytes| sealed::SealedFile::parse(bytes).is_ok_and(|file| file.chunks().count() > 0)),
    ("sealed prelude", |bytes| sealed::Prelude::parse(bytes).is_ok()),
    ("sev CA", |bytes| sev::CaCertificate::parse(bytes).is_ok()),
    ("sev certificate", |bytes| sev::Certificate::parse(bytes).is_ok()),
    ("sgx", |bytes| sgx::Report::parse(bytes).is_ok()),
    ("snp", |bytes| snp::Report::parse(bytes).is_ok()),
    ("snp bundle", |bytes| snp::Bundle::from_json(bytes).is_ok()),
    ("snp certificates", |bytes| snp::CertificateTable::parse(bytes).is_ok()),
    ("snp VEK", vek),
    ("tcg12", |bytes| firmware_log(tcg12::parse(bytes))),
    ("tcg2", |bytes| firmware_log(tcg2::Log::parse(bytes))),
    ("tcg2 tagged event", |bytes| tcg2::TaggedEvent::parse(bytes).is_ok()),
    ("tcg2 variable", |bytes| tcg2::UefiVariable::parse(bytes).is_ok_and(|variable| !variable.name_text().is_empty())),
    ("tdx", |bytes| tdx::TdReport::ref_from_bytes(bytes).is_ok()),
    ("time", |bytes| time::UnixTime::parse_rfc3339(text(bytes)).is_ok()),
    ("tpm attest", |bytes| tpm::Attest::parse(bytes).is_ok()),
    ("tpm dump", |bytes| tpm::dump::Dump::from_json(bytes).is_ok()),
    ("tpm ECDSA", |bytes| tpm::tools::plain_ecdsa(bytes).is_ok()),
    ("tpm evidence", |bytes| tpm::Evidence::from_json(bytes).is_ok_and(|it| it.tpm_quote.values().is_ok())),
    ("tpm PCR file", |bytes| tpm::tools::read_pcrs(bytes).is_ok()),
    ("tpm public", |bytes| tpm::Public::without_size(bytes).and_then(tpm::Public::parse).is_ok()),
    ("tpm signature", |bytes| tpm::Signature::parse(bytes).is_ok()),
    ("tpm YAML", |bytes| tpm::tools::read_yaml(text(bytes)).is_ok()),
    ("tpm12 quote", |bytes| tpm12::QuoteInfo::parse(bytes).is_ok()),
    ("uefi device path", |bytes| {
        let path = uefi::DevicePath(bytes);
        drop(path.file());
        path.text(uefi::FileNames::Called).is_some_and(|text| !text.is_empty())
    }),
    ("uefi firmware blob", |bytes| uefi::FirmwareBlob::parse2(bytes).is_ok()),
    ("uefi image", |bytes| uefi::ImageLoad::parse(bytes).is_ok()),
    ("uefi load option", |bytes| uefi::LoadOption::parse(bytes).is_ok()),
    ("uefi partitions", |bytes| {
        uefi::PartitionTable::parse(bytes)
            .is_ok_and(|table| table.partitions().all(|partition| partition.name() != "?"))
    }),
    ("uefi signatures", |bytes| {
        !bytes.is_empty()
            && uefi::SignatureList::all(bytes).all(|list| list.is_ok_and(|list| list.signatures().count() > 0))
    }),
    ("uefi text", |bytes| !uefi::utf16_text(bytes).is_empty()),
];
