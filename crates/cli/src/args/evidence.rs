use super::values;
use crate::backend::Named;
use clap::{Args, Subcommand};
use sealwright_predict::input::parse_size;
use sealwright_predict::profile::{Firmware, SecureBoot, Vmm};
use sealwright_verify::TcbStatus;
use std::path::PathBuf;

/// Say what a file is.
#[derive(Args)]
pub(crate) struct Inspect {
    /// The file.
    pub(crate) file: PathBuf,
}

/// Verify a quote.
#[derive(Args)]
pub(crate) struct Verify {
    /// The quote.
    pub(crate) quote: PathBuf,
    /// The vendor's collateral for it, as one JSON document.
    #[arg(long, value_name = "FILE")]
    pub(crate) collateral: PathBuf,
    /// The point in time to verify at, in seconds since 1970 [default: now].
    #[arg(long, value_name = "UNIXTIME")]
    pub(crate) at: Option<u64>,
    /// A root certificate (DER or PEM) to trust instead of the built-in vendor roots.
    #[arg(long, value_name = "ROOT")]
    pub(crate) anchor: Option<PathBuf>,
    /// The worst TCB status to say yes to, in Intel's spelling; Revoked is a no in any case.
    #[arg(long, value_name = "STATUS", value_parser = values::acceptable_status)]
    pub(crate) require: Option<TcbStatus>,
    /// The event log that explains the quote's registers.
    #[arg(long, value_name = "FILE")]
    pub(crate) event_log: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum EventLogCommand {
    /// Print the records of a log.
    Show(EventLogShow),
    /// Compute the registers that a log leads to.
    Replay(EventLogReplay),
}

/// Print the records of a log.
#[derive(Args)]
pub(crate) struct EventLogShow {
    /// A TCG2 or CCEL log.
    pub(crate) log: PathBuf,
}

/// Compute the registers that a log leads to.
#[derive(Args)]
pub(crate) struct EventLogReplay {
    /// A TCG2 or CCEL log.
    pub(crate) log: PathBuf,
    /// The kernel's IMA list (ASCII), extended after the firmware's log.
    #[arg(long, value_name = "LOG")]
    pub(crate) ima: Option<PathBuf>,
    /// A TDX quote whose registers the replay must reach.
    #[arg(long, value_name = "FILE")]
    pub(crate) quote: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Predict {
    /// The registers of an Intel TDX trust domain booted directly from a kernel.
    Tdx(PredictTdx),
}

/// The registers of a trust domain.
#[derive(Args)]
pub(crate) struct PredictTdx {
    /// The TDVF firmware image.
    #[arg(long, value_name = "FILE")]
    pub(crate) firmware: PathBuf,
    /// The kernel image.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: PathBuf,
    /// The initial RAM disk.
    #[arg(long, value_name = "FILE")]
    pub(crate) initrd: Option<PathBuf>,
    /// The kernel's command line.
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(crate) cmdline: String,
    /// Memory of the trust domain, as `2G` or `2048M`.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) ram: u64,
    /// How the virtual machine monitor loads and measures: its profile.
    #[arg(long, value_name = "PROFILE", value_parser = values::vmm())]
    pub(crate) vmm: Vmm,
    /// How the firmware measures: its profile.
    #[arg(long, value_name = "PROFILE", value_parser = values::firmware())]
    pub(crate) firmware_profile: Firmware,
    /// How the firmware measures the variable SecureBoot: `absent` or `disabled` [default: as the profile says].
    #[arg(long, value_name = "HOW", value_parser = SecureBoot::from_name)]
    pub(crate) secure_boot: Option<SecureBoot>,
    /// The virtual machine monitor's ACPI files: table loader, root pointer, tables.
    #[arg(long, value_names = ["LOADER", "RSDP", "TABLES"], num_args = 3, conflicts_with = "acpi_log")]
    pub(crate) acpi: Option<Vec<PathBuf>>,
    /// A log of such a machine to take the ACPI digests from; the result says that they were not checked.
    #[arg(long, value_name = "CCEL")]
    pub(crate) acpi_log: Option<PathBuf>,
    /// Write the reference values into this new file instead of printing them.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output where it is there already.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

/// Where evidence comes from.
#[derive(Args, Clone)]
pub(crate) struct BackendArg {
    /// The TEE's back end: `configfs-tsm`, or `sim:SOCKET` for a simulated trust domain [default: what this machine has].
    #[arg(long, value_name = "BACKEND")]
    pub(crate) backend: Option<Named>,
}

/// Ask the TEE for evidence.
#[derive(Args)]
pub(crate) struct Attest {
    #[command(flatten)]
    pub(crate) backend: BackendArg,
    /// What the evidence is to carry: up to 64 bytes in hex, padded with zeros.
    #[arg(long, value_name = "HEX", default_value = "", value_parser = values::report_data)]
    pub(crate) report_data: [u8; 64],
    /// Write the quote here.
    #[arg(long, value_name = "FILE")]
    pub(crate) quote: Option<PathBuf>,
    /// Write the event log here.
    #[arg(long, value_name = "FILE")]
    pub(crate) event_log: Option<PathBuf>,
}

/// Print the measurement registers.
#[derive(Args)]
pub(crate) struct Measure {
    #[command(flatten)]
    pub(crate) backend: BackendArg,
}
