//! What is written has the shape of the public evidence: the same members, in the same encodings, of the same lengths.

use super::{NONCE, platform, site, snp_guest, tdx_guest};
use sealwright_sim::{QuoteFormat, az_vtpm::Guest};
use sealwright_wire::hcl::Report;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

#[path = "../../../wire/tests/support/mod.rs"]
mod support;

fn vectors() -> Option<PathBuf> {
    support::vectors().map(|vectors| vectors.join("vtpm"))
}

/// Every member by its path, with how its value is written.
fn shape(value: &Value) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    collect("", value, &mut members);
    members
}

fn collect(path: &str, value: &Value, members: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| {
            collect(&format!("{path}/{name}"), value, members);
        }),
        Value::Array(values) if values.iter().all(|value| value.as_u64().is_some_and(|number| number < 256)) => {
            members.insert(path.to_owned(), format!("{} bytes as numbers", values.len()));
        }
        Value::Array(values) => {
            members.insert(path.to_owned(), format!("a list of {}", values.len()));
            values.iter().for_each(|value| collect(&format!("{path}/*"), value, members));
        }
        Value::String(text) => {
            members.insert(path.to_owned(), encoding(text));
        }
        other => {
            members.insert(path.to_owned(), other.to_string());
        }
    }
}

fn encoding(text: &str) -> String {
    let of = |accepts: fn(u8) -> bool| text.bytes().all(accepts);
    let urlsafe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    if text.starts_with("-----BEGIN CERTIFICATE-----\n") {
        "PEM".to_owned()
    } else if of(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        format!("{} digits in lower case", text.len())
    } else if of(urlsafe) && text.len().is_multiple_of(4) {
        "base64url with padding".to_owned()
    } else {
        text.to_owned()
    }
}

/// Lengths are the same as well, but for certificates and quotes, whose chains are of other vendors.
fn alike(written: &str, public: &str, name: &str) {
    let [mut written, mut public] = [written, public].map(|text| shape(&serde_json::from_str(text).unwrap()));
    for members in [&mut written, &mut public] {
        if let Some(quote) = members.get_mut("/td_quote") {
            assert!(quote.ends_with(" bytes as numbers"), "{quote}");
            *quote = "bytes as numbers".to_owned();
        }
    }
    assert_eq!(written, public, "{name}");
}

#[test]
fn evidence_is_written_as_the_public_evidence_is() {
    let Some(folder) = vectors() else { return };
    let public = |file| fs::read_to_string(folder.join(file)).unwrap();
    let snp = snp_guest(&platform()).evidence(NONCE).unwrap();
    let tdx = tdx_guest(&site(), "td", QuoteFormat::V4).evidence(NONCE).unwrap();
    alike(&snp.to_json_v0().unwrap(), &public("az-snp-vtpm/evidence-v0.json"), "SEV-SNP, version 0");
    alike(&snp.to_json().unwrap(), &public("az-snp-vtpm/evidence-v1.json"), "SEV-SNP, version 1");
    alike(&tdx.to_json_v0().unwrap(), &public("az-tdx-vtpm/evidence-v0.json"), "TDX, version 0");
    // Of TDX in version 1 the quote of the vTPM is public, and the rest is as that of SEV-SNP.
    let mut written: Value = serde_json::from_str(&tdx.to_json().unwrap()).unwrap();
    alike(&written["tpm_quote"].to_string(), &public("az-tdx-vtpm/tpm-quote-v1.json"), "TDX, quote of version 1");
    let mut rest: Value = serde_json::from_str(&snp.to_json().unwrap()).unwrap();
    let quote = written.as_object_mut().unwrap().remove("td_quote").unwrap();
    assert_eq!(encoding(quote.as_str().unwrap()), "base64url with padding");
    rest.as_object_mut().unwrap().remove("vcek").unwrap();
    alike(&written.to_string(), &rest.to_string(), "TDX, version 1");
}

/// Header, sizes and the claims' members are those of a real paravisor.
#[test]
fn reports_are_laid_out_as_the_public_ones_are() {
    let Some(folder) = vectors() else { return };
    let guests: [(Guest, &str); 2] = [
        (snp_guest(&platform()), "az-snp-vtpm/hcl-report.bin"),
        (tdx_guest(&site(), "td", QuoteFormat::V4), "az-tdx-vtpm/hcl-report.bin"),
    ];
    for (guest, file) in guests {
        let public = fs::read(folder.join(file)).unwrap();
        let (ours, theirs) = (Report::parse(guest.hcl_report()).unwrap(), Report::parse(&public).unwrap());
        assert_eq!(guest.hcl_report().len(), public.len(), "{file}");
        assert_eq!((ours.report_type, ours.hash), (theirs.report_type, theirs.hash), "{file}");
        let header = |report: &Report<'_>| (report.header.request_type, report.header.status, report.header.reserved);
        assert_eq!(header(&ours), header(&theirs), "{file}");
        let members = |report: &Report<'_>| -> Value { serde_json::from_slice(report.claims).unwrap() };
        let (ours, theirs) = (members(&ours), members(&theirs));
        let keys = |claims: &Value| -> Vec<String> { claims.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(&ours), keys(&theirs), "{file}");
        let known = keys(&theirs["vm-configuration"]);
        assert!(keys(&ours["vm-configuration"]).iter().all(|name| known.contains(name)), "{file}");
        for (ours, theirs) in ours["keys"].as_array().unwrap().iter().zip(theirs["keys"].as_array().unwrap()) {
            for name in ["kid", "key_ops", "kty", "e"] {
                assert_eq!(ours[name], theirs[name], "{file}");
            }
            assert_eq!(ours["n"].as_str().unwrap().len(), theirs["n"].as_str().unwrap().len(), "{file}");
        }
    }
}

/// A TDREPORT as real ones are: of its type, with the digests of its own parts.
#[test]
fn the_trust_domain_s_report_is_the_one_that_its_quote_is_made_of() {
    use sealwright_wire::{Reader, quote::Quote, tdx::TdReport};
    let guest = tdx_guest(&site(), "td", QuoteFormat::V4);
    let (ours, quote) = (Report::parse(guest.hcl_report()).unwrap(), guest.td_quote().unwrap().unwrap());
    let report: &TdReport = Reader::new(ours.hardware_report).structure("TDREPORT").unwrap();
    assert_eq!(report.mac.report_type.get(), 0x81);
    assert!(ours.hardware_report[1024..].iter().all(|byte| *byte == 0));
    let quote = Quote::parse(&quote).unwrap();
    let body = quote.body.td().unwrap();
    assert_eq!((body.report_data, body.mr_td), (report.mac.report_data, report.td_info.mr_td));
    assert_eq!((body.rt_mr, body.tee_tcb_svn), (report.td_info.rt_mr, report.tee_tcb_info.tee_tcb_svn));
    let Some(folder) = vectors() else { return };
    let public = fs::read(folder.join("az-tdx-vtpm/hcl-report.bin")).unwrap();
    let public = Report::parse(&public).unwrap();
    let theirs: &TdReport = Reader::new(public.hardware_report).structure("TDREPORT").unwrap();
    assert_eq!(report.mac.report_type, theirs.mac.report_type);
    assert_eq!(report.tee_tcb_info.valid, theirs.tee_tcb_info.valid);
}
