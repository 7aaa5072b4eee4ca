//! A TPM's quote with the PCRs that it is over, as tpm2-tools write them, under an attestation key that was enrolled.
//!
//! ```text
//! tpm2_quote -c AK -l sha256:all -q NONCE -m QUOTE -s SIGNATURE -o PCRS -F values
//! cargo run -p sealwright-verify --example tpm -- UNIXTIME QUOTE SIGNATURE PCRS AK.pem
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{
    Anchor, Anchors, pem,
    tpm::{self, AttestationKey, Evidence},
};
use sealwright_wire::{
    time::UnixTime,
    tpm::{Signature, tools},
};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, message, signature, pcrs, key] = arguments.as_slice() else {
        return Err("usage: tpm UNIXTIME QUOTE SIGNATURE PCRS AK.pem".into());
    };
    let at = UnixTime(at.parse()?);
    let (message, signature, key) = (fs::read(message)?, fs::read(signature)?, fs::read(key)?);
    let key_info = pem::public_key(&key);
    let (_, pcrs) = tools::read_pcrs(&fs::read(pcrs)?)?;

    // Whoever enrolled the key has made sure that it lives in the TPM in question; nothing here could check that any more.
    let anchors = Anchors::none().with(Anchor::attestation_key("this machine", &key_info)?);
    let evidence = Evidence {
        message: &message,
        signature: Signature::parse(&signature)?,
        pcrs: &pcrs,
        key: AttestationKey::KeyInfo(&key_info),
        event_log: None,
        ima: None,
        cel: None,
    };
    let facts = tpm::verify(&evidence, &anchors, at)?;

    let claims = facts.claims().tpm().ok_or("not a TPM")?;
    println!("{} with {}, reset {} times", claims.scheme, claims.hash, claims.reset_count);
    // The caller's nonce is the quote's qualifying data.
    println!("qualifying data {}", facts.report_data().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Ok(())
}
