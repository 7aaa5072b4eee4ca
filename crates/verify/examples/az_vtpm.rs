//! An SEV-SNP guest of Azure behind its vTPM, as Trustee's attester sends it: AMD vouches for the paravisor, and the paravisor for the vTPM's key.
//!
//! ```text
//! cargo run -p sealwright-verify --example az_vtpm -- UNIXTIME EVIDENCE.json CHAIN.pem
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{
    Anchors, az_vtpm,
    snp::{self, Collateral, Revocation},
};
use sealwright_wire::{
    hcl::{Evidence, Report},
    snp::{Bundle, Report as SnpReport},
    time::UnixTime,
};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, evidence, chain] = arguments.as_slice() else {
        return Err("usage: az_vtpm UNIXTIME EVIDENCE.json CHAIN.pem".into());
    };
    let at = UnixTime(at.parse()?);
    let evidence = Evidence::from_json(&fs::read(evidence)?)?;
    let bundle = Bundle { cert_chain: fs::read_to_string(chain)?, crl: None };

    // The hardware first.
    let report = Report::parse(&evidence.hcl_report)?;
    let vcek = evidence.vcek_der()?.ok_or("evidence without its VCEK")?;
    let collateral = Collateral::verify(&bundle, &Anchors::vendor(), Revocation::IfPresent, at)?;
    let hardware = snp::verify(&SnpReport::parse(report.hardware_report)?, &vcek, &collateral, at)?;

    // Then what hangs on it.
    let pcrs = evidence.tpm_quote.values()?;
    let quote = az_vtpm::Evidence {
        hcl_report: &evidence.hcl_report,
        message: &evidence.tpm_quote.message,
        signature: evidence.tpm_quote.signature(),
        pcrs: &pcrs,
        event_log: None,
        ima: None,
        cel: None,
    };
    let facts = az_vtpm::verify(&quote, hardware)?;
    println!("{} under {}, debug={:?}", facts.tee().name(), facts.anchor().name, facts.debug());
    Ok(())
}
