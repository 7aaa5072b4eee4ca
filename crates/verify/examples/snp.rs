//! A report of an AMD SEV-SNP guest, under AMD's root of its product line. Certificates and list are those of AMD's key distribution service.
//!
//! ```text
//! cargo run -p sealwright-verify --example snp -- UNIXTIME REPORT VEK.der CHAIN.pem [CRL.der]
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{
    Anchors,
    snp::{Collateral, Revocation},
};
use sealwright_wire::{
    snp::{Bundle, Report},
    time::UnixTime,
};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, report, vek, chain, crl @ ..] = arguments.as_slice() else {
        return Err("usage: snp UNIXTIME REPORT VEK.der CHAIN.pem [CRL.der]".into());
    };
    let at = UnixTime(at.parse()?);
    let (report, vek) = (fs::read(report)?, fs::read(vek)?);
    let bundle = Bundle { cert_chain: fs::read_to_string(chain)?, crl: crl.first().map(fs::read).transpose()? };

    // A production relying party asks for the list: without it nobody knows of a CA that AMD has withdrawn.
    let revocation = if bundle.crl.is_some() { Revocation::Required } else { Revocation::IfPresent };
    let collateral = Collateral::verify(&bundle, &Anchors::vendor(), revocation, at)?;
    // A key's certificate serves every report that the key signed.
    let facts = collateral.vek(&vek, at)?.verify(&Report::parse(&report)?, at)?;

    // AMD judges no versions: what is recent enough is for a policy to say.
    let claims = facts.claims().snp().ok_or("not a guest of SEV-SNP")?;
    println!("{} under a {}, VMPL {}, debug={:?}", claims.product, claims.signing_key, claims.vmpl, facts.debug());
    println!("measurement={}", claims.measurement);
    Ok(())
}
