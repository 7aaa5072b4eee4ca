//! The command line's one definition: parsing, help, man pages and shell completions all come from these structures.

mod broker;
mod collateral;
mod evidence;
mod model;
#[cfg(feature = "simulator")]
mod sim;
mod trust;
mod values;

pub(crate) use broker::{
    BrokerAudit, BrokerCommand, BrokerInit, BrokerServe, BrokerTarget, PolicyCommand, PolicyKind, ReferenceCommand,
    SecretCommand, SecretPut,
};
pub(crate) use collateral::{
    ApiVersion, CollateralCommand, CollateralExport, CollateralFetch, CollateralImport, CollateralList,
    CollateralServe, IntelTee, ServiceArgs, StoreArgs, UpkeepArgs,
};
pub(crate) use evidence::{
    Attest, BackendArg, EventLogCommand, EventLogReplay, EventLogShow, Inspect, LogFormat, Measure, Predict,
    PredictTdx, Tpm2Tools, Verify,
};
pub(crate) use model::{Label, Query, ReceiptCommand, ReceiptVerify, Seal, Serve, Unseal};
#[cfg(feature = "simulator")]
pub(crate) use sim::{SimBoot, SimCommand, SimFiles, SimTcb, SimTd, TdFiles};
pub(crate) use trust::TrustArgs;
pub(crate) use values::{Address, PolicyArg, Source};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::fmt::Display;
use std::path::PathBuf;

/// Confidential computing in one program: measure what runs, verify the hardware's evidence, release secrets only to what a
/// policy trusts, run the workload on them, and explain every yes and no.
#[derive(Parser)]
#[command(
    name = "sealwright",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 yes; 1 no, with the reason; 2 usage; 3 the work could not be done (I/O, network)."
)]
pub(crate) struct Cli {
    /// Print one JSON document for machines instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What makes no sense on the command line, where only what its files hold can tell.
pub(crate) fn nonsense(what: impl Display) -> clap::Error {
    Cli::command().error(ErrorKind::ValueValidation, what)
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the whole story on this machine, in a simulated TEE: boot, predict, seal, attest, serve, query, refuse.
    #[cfg(feature = "simulator")]
    Demo(Demo),
    /// Say what a file is (quote, collateral, event log, certificate, token, receipt, sealed file) and print its fields.
    Inspect(Inspect),
    /// Verify evidence of any kind at a point in time, offline.
    Verify(Verify),
    /// Read and replay measured-boot event logs.
    #[command(subcommand, name = "eventlog")]
    EventLog(EventLogCommand),
    /// Compute the reference values that a workload must show, from its files.
    #[command(subcommand)]
    Predict(Predict),
    /// Ask this machine's TEE for evidence.
    Attest(Attest),
    /// Print this machine's measurement registers.
    Measure(Measure),
    /// Fetch, keep, exchange and serve vendors' certificates, revocation lists and TCB info.
    #[command(subcommand)]
    Collateral(CollateralCommand),
    /// Run and operate the broker, which releases secrets to what a policy trusts.
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// Seal a model under a fresh key.
    Seal(Seal),
    /// Open a sealed file with its key.
    Unseal(Unseal),
    /// Serve sealed models over an attested channel, inside the TEE.
    Serve(Serve),
    /// Verify a model server, then query it or proxy for clients that know nothing of attestation.
    Query(Query),
    /// Check the receipts that a model server gives with its answers.
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Run a simulated site: a vendor, a platform and its trust domains. It proves nothing about this machine.
    #[cfg(feature = "simulator")]
    #[command(subcommand)]
    Sim(SimCommand),
    /// Say what this machine has and what to do about what it lacks.
    Doctor,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory.
    Man {
        /// The directory; made when absent.
        dir: PathBuf,
    },
    /// Evaluate one policy request from standard input within limits; the broker runs this.
    #[command(hide = true)]
    PolicyWorker,
}

/// Show the whole story.
#[cfg(feature = "simulator")]
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Keep everything that the demo made in this directory, which must be absent or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Show evidence, claims and policy at each step.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Wait for Enter before each further step: time to look around, or to try something with the broker of --keep.
    #[arg(long)]
    pub(crate) pause: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
