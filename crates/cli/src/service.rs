//! What every verb that runs until it is stopped has in common.

use crate::output::Output;
use anyhow::{Context, Result};
use std::io::IsTerminal;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Structured logs on standard error: JSON lines with `--json`. `SEALWRIGHT_LOG` sets the level, as `info` or `broker=debug`.
pub(crate) fn log_to_stderr(output: Output) {
    let filter = EnvFilter::try_from_env("SEALWRIGHT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A log that nobody reads any more must not end the service: complaining about it on standard error would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Only a second call could fail, and the first subscriber then stays.
    let _ = if output.is_json() { builder.json().try_init() } else { builder.try_init() };
}

/// Tells whoever waits that the service can be used, at `address`.
pub(crate) fn ready(file: Option<&Path>, address: &str) -> Result<()> {
    tracing::info!(address, "ready");
    file.map_or(Ok(()), |file| crate::files::replace(file, address.as_bytes()))
}

/// A future that ends when the service is to stop: on SIGINT or SIGTERM, or when standard input closes if that was asked for.
pub(crate) fn stop_signal(exit_with_stdin: bool) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stdin_closed(), if exit_with_stdin => {}
        }
    })
}

/// Waits for the end of standard input; what comes through it is thrown away.
async fn stdin_closed() {
    let read_to_end = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    // However the reading ends, there is nothing more to wait for.
    let _ = tokio::task::spawn_blocking(read_to_end).await;
}
