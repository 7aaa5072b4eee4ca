//! What follows from the command line's definition alone.

use crate::args::Cli;
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::path::Path;

/// `sealwright completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell, output: Output) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sealwright", &mut script);
    let script = String::from_utf8(script).context("the script is no text")?;
    output.result(&Fields::new().with("shell", shell.to_string()).with("script", script.as_str()), &script)?;
    Ok(Outcome::Yes)
}

/// `sealwright man DIR`.
pub(crate) fn man(dir: &Path, output: Output) -> Result<Outcome> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("cannot write man pages into {}", dir.display()))?;
    let written = dir.display().to_string();
    output.result(&Fields::new().with("man_pages", written.as_str()), format!("man pages written into {written}\n"))?;
    Ok(Outcome::Yes)
}
