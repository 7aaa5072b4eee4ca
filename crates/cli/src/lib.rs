//! The one binary, `sealwright`: a noun per crate and its verbs. Runs wherever its verbs are needed: at the desk, beside the
//! broker, inside the TEE.
//!
//! A library, so that it is compiled while what it is linked with still is; what others call are the crates below it.
#![forbid(unsafe_code)]

mod args;
mod backend;
mod clock;
mod commands;
mod explain;
mod fields;
mod files;
mod inspect;
mod kept;
mod output;
mod service;
mod shelf;
mod trust;

use anyhow::{Context, Result};
use args::{Cli, Command};
use clap::Parser;
use output::{Outcome, Output};
use std::process::ExitCode;

/// The words on the command line make no sense; most of them are refused when they are read.
const USAGE: u8 = 2;
/// The work could not be done (I/O, network).
const FAILED: u8 = 3;

/// Reads the command line, does what it says, and tells how the process is to end.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match run(cli.command, output) {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::FAILURE,
        Err(error) => match error.downcast_ref::<clap::Error>() {
            Some(nonsense) => {
                output.usage(nonsense);
                ExitCode::from(USAGE)
            }
            None => {
                output.failure(&error);
                ExitCode::from(FAILED)
            }
        },
    }
}

fn run(command: Command, output: Output) -> Result<Outcome> {
    match command {
        #[cfg(feature = "simulator")]
        Command::Demo(args) => block_on(commands::demo::run(&args, output)),
        Command::Inspect(args) => commands::inspect::run(&args, output),
        Command::Verify(args) => commands::verify::run(&args, output),
        Command::EventLog(command) => commands::eventlog::run(&command, output),
        Command::Predict(command) => commands::predict::run(&command, output),
        Command::Attest(args) => commands::attest::attest(&args, output),
        Command::Measure(args) => commands::attest::measure(&args, output),
        Command::Collateral(command) => block_on(commands::collateral::run(&command, output)),
        Command::Broker(command) => block_on(commands::broker::run(&command, output)),
        Command::Seal(args) => block_on(commands::seal::seal(&args, output)),
        Command::Unseal(args) => commands::seal::unseal(&args, output),
        Command::Serve(args) => block_on(commands::serve::run(&args, output)),
        Command::Query(args) => block_on(commands::query::run(&args, output)),
        Command::Receipt(command) => commands::receipt::run(&command, output),
        #[cfg(feature = "simulator")]
        Command::Sim(command) => block_on(commands::sim::run(&command, output)),
        Command::Doctor => commands::doctor::run(output),
        Command::Completions { shell } => commands::definition::completions(shell, output),
        Command::Man { dir } => commands::definition::man(&dir, output),
        Command::PolicyWorker => commands::policy_worker::run(),
    }
}

fn block_on(work: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
    let outcome = runtime.block_on(work);
    // A blocking read of standard input may still wait for its end.
    runtime.shutdown_background();
    outcome
}
