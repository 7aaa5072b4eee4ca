//! A report of a Hygon CSV guest, under Hygon's root. HSK and CEK are those of the chip, as Hygon's service hands them out for its serial number.
//!
//! ```text
//! cargo run -p sealwright-verify --example csv -- UNIXTIME REPORT HSK_CEK
//! ```
#![allow(clippy::print_stdout)] // which is what an example is for

use sealwright_verify::{Anchors, csv::Chip};
use sealwright_wire::{csv::Report, time::UnixTime};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [at, report, hsk_cek] = arguments.as_slice() else {
        return Err("usage: csv UNIXTIME REPORT HSK_CEK".into());
    };
    let at = UnixTime(at.parse()?);
    let (report, hsk_cek) = (fs::read(report)?, fs::read(hsk_cek)?);

    let chip = Chip::verify(&hsk_cek, &Anchors::vendor())?;
    let facts = chip.verify_report(&Report::parse(&report)?, None, at)?;

    let claims = facts.claims().csv().ok_or("not a guest of CSV")?;
    println!("chip {} debug={:?}", claims.serial_number, facts.debug());
    println!("measure={}", claims.measure);
    Ok(())
}
