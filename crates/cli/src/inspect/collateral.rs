//! Collateral and other JSON documents.

use super::{Inspected, certificate, log};
use crate::fields::{Fields, Value};
use anyhow::{Context, Result, bail};
use sealwright_wire::collateral::{Bundle, QeIdentity, QveBundle, Signed, TcbInfo, TcbLevel};
use sealwright_wire::json::members_among;
use sealwright_wire::kbs::Message;
use sealwright_wire::ratls::AttestResponse;
use sealwright_wire::reference::ReferenceValues;
use sealwright_wire::snp;
use sealwright_wire::tcg2::Log;
use sealwright_wire::tpm::dump::Dump;
use serde::de::IgnoredAny;

/// The members by which documents are told apart.
const TELLING: [&str; 14] = [
    "tcb_info",
    "qe_identity",
    "qve_identity",
    "tcbInfo",
    "enclaveIdentity",
    "evidence",
    "tee",
    "values",
    "cert_chain",
    "kty",
    "keys",
    "AK",
    "Quote",
    "Log",
];

/// A JSON document of a kind that is known here.
pub(super) fn json(text: &[u8]) -> Result<Inspected> {
    let members = members_among(text, &TELLING);
    let has = |name: &str| members.contains(&name);
    if has("tcb_info") && has("qe_identity") {
        return bundle(&Bundle::from_json(text)?);
    }
    if has("qve_identity") {
        return qve_bundle(&QveBundle::from_json(text)?);
    }
    if has("tcbInfo") {
        let signed = Signed::tcb_info(text)?;
        let fields = tcb_info(&TcbInfo::parse(signed.document)?).hex("signature", signed.signature);
        return Ok(Inspected::new("TCB info, signed", fields));
    }
    if has("enclaveIdentity") {
        let signed = Signed::qe_identity(text)?;
        let fields = identity(&QeIdentity::parse(signed.document)?).hex("signature", signed.signature);
        return Ok(Inspected::new("enclave identity, signed", fields));
    }
    if has("evidence") {
        return evidence(&AttestResponse::from_json(text)?);
    }
    if has("tee") && has("values") {
        return reference(&ReferenceValues::from_json(text)?);
    }
    if has("cert_chain") {
        return amd_bundle(&snp::Bundle::from_json(text)?);
    }
    if has("AK") && has("Quote") && has("Log") {
        return super::tpm::dump(&Dump::from_json(text)?);
    }
    if has("kty") || has("keys") {
        return super::key::web(text);
    }
    serde_json::from_slice::<IgnoredAny>(text)?;
    bail!("a document of no known kind");
}

/// AMD's certificates, and its root's revocation list.
fn amd_bundle(bundle: &snp::Bundle) -> Result<Inspected> {
    let fields = Fields::new()
        .with("cert_chain", certificate::chain(bundle.cert_chain.as_bytes())?)
        .with_some("crl", bundle.crl.as_deref().map(revocation_list).transpose()?);
    Ok(Inspected::new("AMD SEV-SNP collateral bundle", fields))
}

fn revocation_list(der: &[u8]) -> Result<Fields> {
    let list = certificate::parse_revocation_list(der).context("a revocation list in DER")?;
    Ok(certificate::revocation_list(&list))
}

/// What a server showed in the exchange, as clients keep it with receipts.
fn evidence(response: &AttestResponse) -> Result<Inspected> {
    let log = response.event_log.as_deref().map(Log::parse).transpose()?;
    let fields = Fields::new()
        .with("evidence", certificate::tagged_evidence(&response.evidence)?)
        .with_some("event_log", log.as_ref().map(log::events));
    Ok(Inspected::new("evidence of an attested channel, not verified", fields))
}

fn bundle(bundle: &Bundle) -> Result<Inspected> {
    let fields = Fields::new()
        .with("tcb_info", tcb_info(&TcbInfo::parse(&bundle.tcb_info)?))
        .with("tcb_info_issuer_chain", certificate::chain(bundle.tcb_info_issuer_chain.as_bytes())?)
        .with("qe_identity", identity(&QeIdentity::parse(&bundle.qe_identity)?))
        .with("qe_identity_issuer_chain", certificate::chain(bundle.qe_identity_issuer_chain.as_bytes())?)
        .with("root_ca_crl", revocation_list(&bundle.root_ca_crl)?)
        .with("pck_crl", revocation_list(&bundle.pck_crl)?)
        .with("pck_crl_issuer_chain", certificate::chain(bundle.pck_crl_issuer_chain.as_bytes())?);
    Ok(Inspected::new("Intel collateral bundle", fields))
}

fn qve_bundle(bundle: &QveBundle) -> Result<Inspected> {
    let fields = Fields::new()
        .with("qve_identity", identity(&QeIdentity::parse(&bundle.qve_identity)?))
        .with("qve_identity_issuer_chain", certificate::chain(bundle.qve_identity_issuer_chain.as_bytes())?)
        .with("root_ca_crl", revocation_list(&bundle.root_ca_crl)?);
    Ok(Inspected::new("identity of Intel's quote verification enclave", fields))
}

fn tcb_info(info: &TcbInfo) -> Fields {
    let modules = info.tdx_module_identities.iter().map(|module| {
        Fields::new()
            .with("id", module.id.as_str())
            .hex("mrsigner", module.mrsigner)
            .hex("attributes", module.attributes)
            .with("levels", module.tcb_levels.len())
    });
    Fields::new()
        .with("id", format!("{:?}", info.id))
        .with("version", info.version)
        .with("issue_date", info.issue_date.to_string())
        .with("next_update", info.next_update.to_string())
        .hex("fmspc", info.fmspc)
        .hex("pce_id", info.pce_id)
        .with("tcb_type", info.tcb_type)
        .with("tcb_evaluation_data_number", info.tcb_evaluation_data_number)
        .with("tdx_module_identities", modules.collect::<Vec<_>>())
        .with("tcb_levels", info.tcb_levels.iter().map(level).collect::<Vec<_>>())
}

fn level(level: &TcbLevel) -> Fields {
    let svns = |components: &[sealwright_wire::collateral::Component; 16]| -> Vec<Value> {
        components.iter().map(|component| component.svn.into()).collect()
    };
    Fields::new()
        .with("status", level.tcb_status.name())
        .with("date", level.tcb_date.to_string())
        .with("sgx_components", svns(&level.tcb.sgxtcbcomponents))
        .with("pce_svn", level.tcb.pcesvn)
        .with_some("tdx_components", level.tcb.tdxtcbcomponents.as_ref().map(svns))
        .with("advisories", level.advisory_ids.clone())
}

fn identity(identity: &QeIdentity) -> Fields {
    let levels = identity.tcb_levels.iter().map(|level| {
        Fields::new()
            .with("status", level.tcb_status.name())
            .with("date", level.tcb_date.to_string())
            .with("isv_svn", level.tcb.isvsvn)
            .with("advisories", level.advisory_ids.clone())
    });
    Fields::new()
        .with("id", identity.id.name())
        .with("version", identity.version)
        .with("issue_date", identity.issue_date.to_string())
        .with("next_update", identity.next_update.to_string())
        .with("tcb_evaluation_data_number", identity.tcb_evaluation_data_number)
        .hex("miscselect", identity.miscselect)
        .hex("miscselect_mask", identity.miscselect_mask)
        .hex("attributes", identity.attributes)
        .hex("attributes_mask", identity.attributes_mask)
        .hex("mrsigner", identity.mrsigner)
        .with("isv_prod_id", identity.isvprodid)
        .with("tcb_levels", levels.collect::<Vec<_>>())
}

fn reference(values: &ReferenceValues) -> Result<Inspected> {
    let inputs = values.inputs().iter().map(|input| {
        Fields::new()
            .with("name", input.name.as_str())
            .with("sha256", input.sha256.to_string())
            .with("bytes", input.size)
    });
    let claims = values.claims().map(|(claim, values)| {
        Fields::new().with("claim", claim).with("one_of", values.iter().map(ToString::to_string).collect::<Vec<_>>())
    });
    let fields = Fields::new()
        .with("tee", values.tee().name())
        .with("profile", values.profile().iter().map(|(name, word)| format!("{name}={word}")).collect::<Vec<_>>())
        .with("inputs", inputs.collect::<Vec<_>>())
        .with("values", claims.collect::<Vec<_>>())
        .with("taken_from_log", values.taken_from_log().to_vec())
        .with_some("not_after", values.not_after().map(|time| time.to_string()));
    Ok(Inspected::new("reference values", fields))
}
