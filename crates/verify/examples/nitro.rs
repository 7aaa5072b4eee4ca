//! An attestation document of an AWS Nitro enclave, under AWS's root.
//!
//! ```text
//! cargo run -p sealwright-verify --example nitro -- UNIXTIME DOCUMENT
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{
    Anchors,
    nitro::{self, Freshness},
};
use sealwright_wire::time::UnixTime;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, document] = arguments.as_slice() else { return Err("usage: nitro UNIXTIME DOCUMENT".into()) };
    let at = UnixTime(at.parse()?);

    // Certificates are judged at the document's own time, for they live three hours; how old it may be is the caller's to say.
    let facts = nitro::verify(&fs::read(document)?, &Anchors::vendor(), at, Freshness::default())?;

    let claims = facts.claims().nitro().ok_or("not a Nitro enclave")?;
    println!("{} debug={:?}", claims.module_id, facts.debug());
    for (pcr, value) in claims.pcrs.iter().filter(|(_, value)| value.0 != [0; 48]) {
        println!("pcr{pcr}={value}");
    }
    Ok(())
}
