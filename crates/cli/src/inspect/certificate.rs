//! Certificates and revocation lists, as far as evidence depends on them.

use crate::fields::{Fields, Value};
use anyhow::{Context, Result};
use sealwright_verify::pem;
use sealwright_wire::pck::{PckExtension, SGX_EXTENSION};
use sealwright_wire::quote::Quote;
use sealwright_wire::ratls::{self, Claims, EvidenceKind, TaggedEvidence};
use sealwright_wire::snp::{self, VekExtensions};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

/// Most entries of a revocation list that are printed.
const SHOWN_ENTRIES: usize = 64;

/// Each certificate of a PEM chain.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<Fields>> {
    let chain = pem::chain("certificate chain", pem)?;
    chain.iter().map(|der| of_der(der)).collect()
}

/// The fields of a certificate in DER.
pub(super) fn of_der(der: &[u8]) -> Result<Fields> {
    certificate(&Certificate::from_der(der).context("certificate")?)
}

/// A certificate's fields.
pub(super) fn certificate(certificate: &Certificate) -> Result<Fields> {
    let tbs = certificate.tbs_certificate();
    let mut fields = Fields::new()
        .with("subject", tbs.subject().to_string())
        .with("issuer", tbs.issuer().to_string())
        .hex("serial_number", tbs.serial_number().as_bytes())
        .with("not_before", time(&tbs.validity().not_before))
        .with("not_after", time(&tbs.validity().not_after))
        .with("signature_algorithm", certificate.signature_algorithm().oid.to_string())
        .with("key_algorithm", tbs.subject_public_key_info().algorithm.oid.to_string());
    for extension in tbs.extensions().into_iter().flatten() {
        let value = extension.extn_value.as_bytes();
        if extension.extn_id == SGX_EXTENSION {
            fields = fields.with("sgx_extension", sgx_extension(value)?);
        } else if extension.extn_id == ratls::OID_TAGGED_EVIDENCE {
            fields = fields.with("tagged_evidence", tagged_evidence(value)?);
        } else if let Some(quote) = ratls::legacy_quote(extension.extn_id, value) {
            fields = fields.with("legacy_evidence", super::quote::quote(&Quote::parse(quote)?)?);
        }
    }
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    if extensions.iter().any(|extension| snp::EXTENSIONS.contains(&extension.extn_id)) {
        fields = fields.with("vek_extensions", vek(extensions)?);
    }
    Ok(fields)
}

/// What AMD says of the key that signs an SEV-SNP guest's reports.
fn vek(extensions: &[Extension]) -> Result<Fields> {
    let of = |id| extensions.iter().find(|extension| extension.extn_id == id);
    let VekExtensions { struct_version, product_name, tcb, hwid, csp_id, .. } =
        VekExtensions::read(|id| of(id).map(|extension| extension.extn_value.as_bytes()))?;
    Ok(Fields::new()
        .with("struct_version", struct_version)
        .with("product_name", product_name)
        .with("tcb", super::evidence::tcb(tcb))
        .with_some("hwid", hwid.map(|hwid| hwid.to_string()))
        .with_some("csp_id", csp_id))
}

/// One identifier, two uses: what Intel says of a platform, and in old RA-TLS certificates a raw quote.
fn sgx_extension(value: &[u8]) -> Result<Fields> {
    match Quote::parse(value) {
        Ok(parsed) => super::quote::quote(&parsed),
        Err(_) => Ok(pck(&PckExtension::from_der(value)?)),
    }
}

fn pck(extension: &PckExtension) -> Fields {
    Fields::new()
        .hex("ppid", extension.ppid)
        .with("tcb_components", extension.tcb.components.map(Value::from).to_vec())
        .with("pce_svn", extension.tcb.pce_svn)
        .hex("cpu_svn", extension.tcb.cpu_svn)
        .hex("pce_id", extension.pce_id)
        .hex("fmspc", extension.fmspc)
        .with("sgx_type", format!("{:?}", extension.sgx_type))
        .with_some("platform_instance_id", extension.platform_instance_id.map(hex::encode))
}

/// Evidence with its claims, as certificates and the exchange carry it.
pub(super) fn tagged_evidence(value: &[u8]) -> Result<Fields> {
    let tagged = TaggedEvidence::parse(value)?;
    let claims = Claims::parse(tagged.claims)?;
    let fields = Fields::new()
        .with("kind", format!("{:?}", tagged.kind))
        .hex("pubkey_hash", claims.pubkey_hash.digest)
        .with_some("nonce", claims.nonce.map(hex::encode))
        .with_some("tls_exporter", claims.tls_exporter.map(hex::encode))
        .with_some("receipt_key", claims.receipt_key.map(|key| hex::encode(key.digest)))
        .with_some("event_log_hash", claims.event_log.map(|log| hex::encode(log.digest)));
    Ok(match tagged.kind {
        EvidenceKind::Quote => fields.with("quote", super::quote::quote(&Quote::parse(tagged.evidence)?)?),
        _ => fields.hex("report", tagged.evidence),
    })
}

/// A revocation list's fields.
pub(super) fn revocation_list(list: &CertificateList) -> Fields {
    let tbs = &list.tbs_cert_list;
    let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
    let shown = revoked.iter().take(SHOWN_ENTRIES).map(|entry| hex::encode(entry.serial_number.as_bytes()));
    Fields::new()
        .with("issuer", tbs.issuer.to_string())
        .with("this_update", time(&tbs.this_update))
        .with_some("next_update", tbs.next_update.as_ref().map(time))
        .with("revoked_count", revoked.len())
        .with("revoked_serial_numbers", shown.collect::<Vec<_>>())
}

fn time(time: &Time) -> String {
    sealwright_wire::time::UnixTime(time.to_unix_duration().as_secs()).to_string()
}

/// A revocation list in PEM or DER.
pub(super) fn parse_revocation_list(bytes: &[u8]) -> Option<CertificateList> {
    CertificateList::from_der(&pem::revocation_list(bytes)).ok()
}
