//! Writes a site's evidence and collateral into a directory, for verifiers that are not ours: `emit DIRECTORY`.
//!
//! `root.der`, `collateral.json` (TDX), `collateral-sgx.json`; `quote` (version 4), `quote-v5-td10`, `quote-v5-td15`, `quote-v5-td15ex`,
//! `quote-sgx` (version 3), `ccel` (the log, in an area padded as ACPI has it); then `aged/` and `revoked/` with the same after
//! a TCB recovery and a revocation.

use sealwright_evidence::Backend;
use sealwright_sim::{CCEL_AREA, Enclave, QuoteFormat, Site, TdConfig, files, system_clock};
use std::{error::Error, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    match emit(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn emit(directory: &Path) -> Result<(), Box<dyn Error>> {
    let site = Site::found(system_clock())?;
    emit_state(&site, directory)?;
    site.age_tcb()?;
    emit_state(&site, &directory.join("aged"))?;
    site.revoke_pck()?;
    emit_state(&site, &directory.join("revoked"))
}

fn emit_state(site: &Site, directory: &Path) -> Result<(), Box<dyn Error>> {
    site.publish(directory)?;
    let names = ["quote", "quote-v5-td10", "quote-v5-td15", "quote-v5-td15ex"];
    for (name, quote) in names.into_iter().zip(QuoteFormat::ALL) {
        let td = site.boot(&TdConfig { quote, ..TdConfig::new(name, files::generate("emit")) })?;
        let mut evidence = td.evidence(&[0x5a; 64])?;
        site.stop(name)?;
        fs::write(directory.join(name), evidence.quote)?;
        if let Some(log) = &mut evidence.event_log {
            log.resize(CCEL_AREA, 0xff);
            fs::write(directory.join("ccel"), log)?;
        }
    }
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 1, isv_svn: 1, debug: false };
    fs::write(directory.join("quote-sgx"), site.sgx_quote(&enclave, &[0x5a; 64])?)?;
    Ok(())
}
