//! A token of Arm CCA: the platform's part under a key that was enrolled, the realm's under the key that the platform names.
//!
//! ```text
//! cargo run -p sealwright-verify --example cca -- UNIXTIME TOKEN STORE.json
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::cca::{self, Enrolled};
use sealwright_wire::{cca::Store, time::UnixTime};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, token, store] = arguments.as_slice() else { return Err("usage: cca UNIXTIME TOKEN STORE.json".into()) };
    let at = UnixTime(at.parse()?);
    let store = Store::from_json(&fs::read(store)?)?;
    let enrolled = store.0.iter().map(Enrolled::from_entry).collect::<Result<Vec<_>, _>>()?;

    let facts = cca::verify(&fs::read(token)?, &enrolled, at)?;

    let claims = facts.claims().cca().ok_or("not a realm of CCA")?;
    println!("{} debug={:?}", claims.lifecycle, facts.debug());
    println!("realm initial measurement {}", claims.rim);
    Ok(())
}
