//! An attestation report of an NVIDIA GPU, under NVIDIA's root.
//!
//! ```text
//! cargo run -p sealwright-verify --example nvidia -- UNIXTIME REPORT CHAIN.pem
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{Anchors, any::hex_text, nvidia};
use sealwright_wire::time::UnixTime;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, report, chain] = arguments.as_slice() else {
        return Err("usage: nvidia UNIXTIME REPORT CHAIN.pem".into());
    };
    let at = UnixTime(at.parse()?);
    let (report, chain) = (fs::read(report)?, fs::read(chain)?);
    // NVIDIA's tools write reports as hex.
    let report = hex_text(&report).unwrap_or(report);

    let facts = nvidia::verify(&report, &chain, &[], &Anchors::vendor(), at)?;

    let claims = facts.claims().nvidia().ok_or("not a GPU")?;
    println!("{} driver {} vbios {}", claims.device, claims.driver_version, claims.vbios_version);
    println!("{} measurements", claims.measurements.len());
    Ok(())
}
