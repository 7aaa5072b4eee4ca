use super::values;
use crate::backend::Named;
use clap::{Args, Subcommand, ValueEnum};
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

/// Verify evidence of any kind.
#[derive(Args)]
pub(crate) struct Verify {
    /// A quote, a report, a document, a token or an RA-TLS certificate; its bytes, hex or base64, of a certificate also PEM.
    pub(crate) evidence: PathBuf,
    /// What its vendor says beside it: Intel's collateral as one JSON document, or its parts as its service hands them out; certificates (PEM,
    /// DER) and revocation lists of AMD's, of a TPM's key or of a GPU; or a directory that `collateral fetch` filled. May be given several times.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) collateral: Vec<PathBuf>,
    /// The point in time to verify at, in seconds since 1970 [default: now].
    #[arg(long, value_name = "UNIXTIME")]
    pub(crate) at: Option<u64>,
    /// What to trust instead of the built-in vendor roots: root certificates (DER or PEM); for a TPM its attestation key, or the root of those
    /// who certify such keys; for Arm CCA a platform's key (JWK) or a store of them. May be given several times.
    #[arg(long = "anchor", value_name = "ROOT")]
    pub(crate) anchors: Vec<PathBuf>,
    /// The worst TCB status to say yes to, in Intel's spelling; Revoked is a no in any case.
    #[arg(long, value_name = "STATUS", value_parser = values::acceptable_status)]
    pub(crate) require: Option<TcbStatus>,
    /// The event log that explains the evidence's registers.
    #[arg(long, value_name = "FILE")]
    pub(crate) event_log: Option<PathBuf>,
    /// The kernel's IMA list, for a TPM's quote; for a trust domain's, beside its event log.
    #[arg(long, value_name = "LOG")]
    pub(crate) ima: Option<PathBuf>,
    /// What was measured behind these, for a TPM's quote or a trust domain's: systemd's tpm2-measure.log, or a canonical event log.
    #[arg(long, value_name = "LOG")]
    pub(crate) cel: Option<PathBuf>,
    /// The signature of a TPM's quote (TPMT_SIGNATURE, or as `tpm2_quote -f plain` writes it).
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// The PCRs of a TPM's quote, as `tpm2_quote --pcr` or `tpm2_pcrread` writes them.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcrs: Option<PathBuf>,
    /// The attestation key of a TPM's quote, where several are named as anchors.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The vTPM's quote beside an HCL report of Azure's: with its signature and PCRs, or TPMS_ATTEST with `--signature` and `--pcrs`.
    #[arg(long, value_name = "FILE")]
    pub(crate) vtpm_quote: Option<PathBuf>,
    /// The trust domain's quote beside an HCL report of Azure's that is of TDX.
    #[arg(long, value_name = "FILE")]
    pub(crate) td_quote: Option<PathBuf>,
    /// Believe a chain of AMD's without the revocation list of its root.
    #[arg(long)]
    pub(crate) without_crl: bool,
    /// The most seconds since a Nitro document was made [default: 300].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u64>,
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
    /// A firmware's log (TCG2, CCEL, TPM 1.2), an IMA list, or a canonical event log (TLV, JSON, CBOR, systemd's).
    pub(crate) log: PathBuf,
    /// Tell what was measured of the boot instead: Secure Boot and its keys, kernel, initrd, command line.
    #[arg(long, conflicts_with = "format")]
    pub(crate) boot: bool,
    /// How to print the records.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) format: LogFormat,
    /// In YAML: how the tpm2_eventlog that is to be equalled was built [default: efivar38].
    #[arg(long, value_enum, value_name = "BUILD")]
    pub(crate) tpm2_tools: Option<Tpm2Tools>,
    /// In YAML: what tpm2_eventlog's option of the same name says, 2 to have more structures taken apart [default: 1].
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) eventlog_version: Option<u8>,
}

/// How records are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// As tpm2_eventlog of tpm2-tools prints them.
    Yaml,
}

/// The builds of tpm2-tools, which differ in how they print device paths.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tpm2Tools {
    /// With efivar up to 38: files are called so.
    Efivar38,
    /// With efivar 39: files are their names.
    Efivar39,
    /// Without efivar: bytes in hex.
    Raw,
}

/// Compute the registers that a log leads to.
#[derive(Args)]
pub(crate) struct EventLogReplay {
    /// A firmware's log (TCG2, CCEL, TPM 1.2), an IMA list, or a canonical event log (TLV, JSON, CBOR, systemd's).
    pub(crate) log: PathBuf,
    /// The kernel's IMA list (ASCII or binary), extended after the firmware's log.
    #[arg(long, value_name = "LOG")]
    pub(crate) ima: Option<PathBuf>,
    /// What userspace measured (systemd's tpm2-measure.log, or a canonical event log), extended after the firmware's log.
    #[arg(long, value_name = "LOG")]
    pub(crate) cel: Option<PathBuf>,
    /// A TDX quote, or a TPM's in any form that `verify` takes, whose registers the replay must reach. Its signature is not looked at.
    #[arg(long, value_name = "FILE")]
    pub(crate) quote: Option<PathBuf>,
    /// The PCRs of a TPM's quote, where they are in a file of their own.
    #[arg(long, value_name = "FILE", requires = "quote")]
    pub(crate) pcrs: Option<PathBuf>,
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
