//! `sealwright predict ...`: the reference values of a workload, from its files.

use crate::args::{Predict, PredictTdx};
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use anyhow::Result;
use sealwright_predict::tdx::{AcpiFiles, BootFiles};

/// Reference values are for everybody to review.
const PUBLIC: u32 = 0o644;

/// Runs one of the verbs.
pub(crate) fn run(command: &Predict, output: Output) -> Result<Outcome> {
    match command {
        Predict::Tdx(args) => tdx(args, output),
    }
}

fn tdx(args: &PredictTdx, output: Output) -> Result<Outcome> {
    let boot = BootFiles {
        firmware: args.firmware.clone(),
        firmware_profile: args.firmware_profile,
        vmm: args.vmm,
        ram: args.ram,
        kernel: args.kernel.clone(),
        initrd: args.initrd.clone(),
        command_line: args.cmdline.clone(),
        secure_boot: args.secure_boot,
        acpi: acpi(args),
        not_after: None,
    };
    let prediction = boot.read()?.predict()?;
    let json = prediction.reference().to_json()?;
    match &args.output {
        Some(path) => {
            if args.force {
                crate::files::replace(path, json.as_bytes())?;
            } else {
                crate::files::create(path, json.as_bytes(), PUBLIC)?;
            }
            let written = path.display().to_string();
            output.result(&Fields::new().with("reference_values", written.as_str()), format!("{written} written\n"))?;
        }
        None => output.bytes(json.as_bytes())?,
    }
    Ok(Outcome::Yes)
}

fn acpi(args: &PredictTdx) -> AcpiFiles {
    match (args.acpi.as_deref(), &args.acpi_log) {
        (Some([loader, rsdp, tables]), _) => {
            AcpiFiles::Tables { loader: loader.clone(), rsdp: rsdp.clone(), tables: tables.clone() }
        }
        (_, Some(log)) => AcpiFiles::Log(log.clone()),
        (_, None) => AcpiFiles::None,
    }
}
