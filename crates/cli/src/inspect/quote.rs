//! Quotes and reports, field by field.

use super::named;
use crate::fields::Fields;
use anyhow::Result;
use sealwright_verify::{SgxAttributes, TdAttributes};
use sealwright_wire::quote::{Body, CertificationData, Ppid, Quote};
use sealwright_wire::{sgx, tdx};

/// A quote's fields.
pub(super) fn quote(quote: &Quote<'_>) -> Result<Fields> {
    let header = quote.header;
    Ok(Fields::new()
        .with("version", header.version.get())
        .with("tee", quote.tee().name())
        .with("attestation_key_type", header.att_key_type.get())
        .with("qe_svn", header.qe_svn.get())
        .with("pce_svn", header.pce_svn.get())
        .hex("qe_vendor_id", header.qe_vendor_id)
        .hex("user_data", header.user_data)
        .with("body_layout", quote.body.name())
        .with("body", body(&quote.body)?)
        .hex("signature", quote.signature)
        .hex("attestation_key", quote.attestation_key)
        .with("qe_report", enclave(quote.qe_report)?)
        .hex("qe_report_signature", quote.qe_report_signature)
        .hex("qe_authentication_data", quote.qe_auth_data)
        .with("certification_data", certification(&quote.certification))
        .with("trailing_bytes", quote.trailing.len()))
}

fn body(body: &Body<'_>) -> Result<Fields> {
    Ok(match body {
        Body::Sgx(report) => enclave(report)?,
        Body::Td10(report) => trust_domain(report)?,
        Body::Td15(report) => trust_domain_15(report)?,
        Body::Td15Ex(report) => trust_domain_15(&report.base)?
            .with("vm_id", report.vm_id)
            .hex("td_id", report.td_id)
            .hex("dev_info", report.dev_info)
            .hex("init_service_td_hash", report.init_service_td_hash)
            .hex("init_service_td_attributes", report.init_service_td_attributes)
            .hex("init_cpu_svn", report.init_cpu_svn)
            .hex("init_tee_tcb_svn", report.init_tee_tcb_svn)
            .hex("init_tee_fmspc", report.init_tee_fmspc)
            .hex("cur_service_td_hash", report.cur_service_td_hash)
            .hex("cur_service_td_attributes", report.cur_service_td_attributes),
    })
}

fn enclave(report: &sgx::ReportBody) -> Result<Fields> {
    Ok(Fields::new()
        .hex("cpu_svn", report.cpu_svn)
        .hex("misc_select", report.misc_select.get().to_le_bytes())
        .hex("isv_ext_prod_id", report.isv_ext_prod_id)
        .hex("attributes", report.attributes)
        .with("attribute_bits", named(SgxAttributes::from(report.attributes()))?)
        .hex("mr_enclave", report.mr_enclave)
        .hex("mr_signer", report.mr_signer)
        .hex("config_id", report.config_id)
        .with("isv_prod_id", report.isv_prod_id.get())
        .with("isv_svn", report.isv_svn.get())
        .with("config_svn", report.config_svn.get())
        .hex("isv_family_id", report.isv_family_id)
        .hex("report_data", report.report_data))
}

fn trust_domain(report: &tdx::ReportBody10) -> Result<Fields> {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &report.rt_mr;
    Ok(Fields::new()
        .hex("tee_tcb_svn", report.tee_tcb_svn)
        .hex("mr_seam", report.mr_seam)
        .hex("mr_signer_seam", report.mr_signer_seam)
        .hex("seam_attributes", report.seam_attributes)
        .hex("td_attributes", report.td_attributes)
        .with("attribute_bits", named(TdAttributes::from(report.attributes()))?)
        .hex("xfam", report.xfam)
        .hex("mrtd", report.mr_td)
        .hex("mr_config_id", report.mr_config_id)
        .hex("mr_owner", report.mr_owner)
        .hex("mr_owner_config", report.mr_owner_config)
        .hex("rtmr0", rtmr0)
        .hex("rtmr1", rtmr1)
        .hex("rtmr2", rtmr2)
        .hex("rtmr3", rtmr3)
        .hex("report_data", report.report_data))
}

fn trust_domain_15(report: &tdx::ReportBody15) -> Result<Fields> {
    Ok(trust_domain(&report.base)?.hex("tee_tcb_svn2", report.tee_tcb_svn2).hex("mr_service_td", report.mr_service_td))
}

fn certification(data: &CertificationData<'_>) -> Fields {
    let fields = Fields::new().with("type", data.kind()).with("bytes", data.data().len());
    match data {
        CertificationData::PckChain(pem) | CertificationData::PckCertificate(pem) => {
            match super::certificate::chain(pem) {
                Ok(certificates) => fields.with("certificates", certificates),
                Err(error) => fields.with("unreadable", error.to_string()),
            }
        }
        CertificationData::Platform(id) => {
            let fields = match id.ppid {
                Ppid::Plain(ppid) => fields.hex("ppid", ppid),
                Ppid::Rsa2048(encrypted) => fields.hex("ppid_rsa2048_oaep", encrypted),
                Ppid::Rsa3072(encrypted) => fields.hex("ppid_rsa3072_oaep", encrypted),
            };
            let fields = fields.hex("cpu_svn", id.cpu_svn).with("pce_svn", id.pce_svn);
            id.pce_id.map_or(fields.clone(), |pce_id| fields.hex("pce_id", pce_id))
        }
        CertificationData::Other { data, .. } => fields.hex("data", data),
    }
}

/// A REPORT's fields.
pub(super) fn sgx_report(report: &sgx::Report) -> Result<Fields> {
    Ok(Fields::new().with("body", enclave(&report.body)?).hex("key_id", report.key_id).hex("mac", report.mac))
}

/// A TDREPORT's fields.
pub(super) fn td_report(report: &tdx::TdReport) -> Result<Fields> {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &report.td_info.rt_mr;
    let mac = Fields::new()
        .hex("report_type", report.mac.report_type.get().to_le_bytes())
        .hex("cpu_svn", report.mac.cpu_svn)
        .hex("tee_tcb_info_hash", report.mac.tee_tcb_info_hash)
        .hex("tee_info_hash", report.mac.tee_info_hash)
        .hex("report_data", report.mac.report_data)
        .hex("mac", report.mac.mac);
    let tcb = Fields::new()
        .hex("valid", report.tee_tcb_info.valid)
        .hex("tee_tcb_svn", report.tee_tcb_info.tee_tcb_svn)
        .hex("mr_seam", report.tee_tcb_info.mr_seam)
        .hex("mr_signer_seam", report.tee_tcb_info.mr_signer_seam)
        .hex("seam_attributes", report.tee_tcb_info.seam_attributes)
        .hex("tee_tcb_svn2", report.tee_tcb_info.tee_tcb_svn2);
    let td = Fields::new()
        .hex("td_attributes", report.td_info.td_attributes)
        .with("attribute_bits", named(TdAttributes::from(report.td_info.attributes()))?)
        .hex("xfam", report.td_info.xfam)
        .hex("mrtd", report.td_info.mr_td)
        .hex("mr_config_id", report.td_info.mr_config_id)
        .hex("mr_owner", report.td_info.mr_owner)
        .hex("mr_owner_config", report.td_info.mr_owner_config)
        .hex("rtmr0", rtmr0)
        .hex("rtmr1", rtmr1)
        .hex("rtmr2", rtmr2)
        .hex("rtmr3", rtmr3)
        .hex("serv_td_hash", report.td_info.serv_td_hash);
    Ok(Fields::new().with("mac", mac).with("tee_tcb_info", tcb).with("td_info", td))
}
