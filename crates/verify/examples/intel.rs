//! A quote of Intel SGX or TDX, under Intel's root. The collateral is one JSON document, as `sealwright collateral fetch` and dcap-qvl write it.
//!
//! ```text
//! cargo run -p sealwright-verify --example intel -- UNIXTIME QUOTE COLLATERAL.json [EVENT-LOG]
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{Evidence, collateral::Bundle, time::UnixTime};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, quote, collateral, log @ ..] = arguments.as_slice() else {
        return Err("usage: intel UNIXTIME QUOTE COLLATERAL.json [EVENT-LOG]".into());
    };
    let at = UnixTime(at.parse()?);
    let (quote, log) = (fs::read(quote)?, log.first().map(fs::read).transpose()?);

    // Once for every quote of this kind of machine; the window of time says for how long.
    let collateral = Collateral::verify(&Bundle::from_json(&fs::read(collateral)?)?, &Anchors::vendor(), at)?;
    let facts = sealwright_verify::verify(&Evidence::parse(&quote, log.as_deref())?, &collateral, at)?;

    // Intel judges the platform. Whether that is good enough is for a policy to say, and so is whether to trust the code that ran.
    let tcb = facts.tcb().ok_or("a quote without a TCB")?;
    println!("{} {} {:?} debug={:?}", facts.tee().name(), tcb.status, tcb.advisories, facts.debug());
    if let Some(tdx) = facts.claims().tdx() {
        println!("mrtd={} rtmr3={}", tdx.mrtd, tdx.rtmr3);
    }
    if let Some(sgx) = facts.claims().sgx() {
        println!("mr_enclave={} mr_signer={}", sgx.mr_enclave, sgx.mr_signer);
    }
    Ok(())
}
