//! The workspace's own chores: `cargo xtask check-layers`, `cargo xtask bench` and `cargo xtask corpora`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "chores tell whoever runs them how they went")]

mod bench;
mod corpora;
mod layers;

use anyhow::Result;
use clap::Parser;
use std::path::{Path, PathBuf};

/// Chores of the Sealwright workspace.
#[derive(Parser)]
enum Command {
    /// Refuse every dependency between our crates that ARCHITECTURE.md does not allow, and every impure one of the pure crates.
    CheckLayers,
    /// Run the benchmarks and write their table to docs/benchmarks.md.
    Bench(bench::Options),
    /// Write what each fuzz target begins with into fuzz/corpus.
    Corpora(corpora::Options),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::CheckLayers => layers::check(workspace_root()),
        Command::Bench(options) => bench::run(workspace_root(), &options),
        Command::Corpora(options) => corpora::make(workspace_root(), &options),
    }
}

fn workspace_root() -> &'static Path {
    let manifest: &'static Path = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The `cargo` that runs this.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
