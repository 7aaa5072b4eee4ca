//! What every verb that runs until it is stopped has in common.

use crate::output::Output;
use crate::output::plain_json;
use anyhow::{Context, Result};
use sealwright_appraise::Plain;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Structured logs on standard error: JSON lines with `--json`. `SEALWRIGHT_LOG` sets the level, as `debug` or
/// `info,sealwright_broker=debug`.
pub(crate) fn log_to_stderr(output: Output) {
    let asked = std::env::var("SEALWRIGHT_LOG").ok().and_then(|directives| directives.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        // A log that nobody reads any more must not end the service: complaining about it on standard error would panic.
        .log_internal_errors(false)
        .with_ansi(false);
    // Only a second call could fail, and the first subscriber then stays.
    let _ = if output.is_json() {
        builder.json().with_writer(|| Lines(plain_json)).finish().with(filter).try_init()
    } else {
        builder.with_writer(|| Lines(|line| Plain(line).to_string())).finish().with(filter).try_init()
    };
}

/// Standard error. What strangers said, and a log repeats, neither steers the terminal nor begins a line of its own.
struct Lines(fn(&str) -> String);

impl Write for Lines {
    /// Takes a whole line: events come in one piece.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        writeln!(io::stderr().lock(), "{}", (self.0)(line))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The file that is there while a service can be used.
pub(crate) struct ReadyFile {
    path: Option<PathBuf>,
    there: AtomicBool,
}

impl ReadyFile {
    /// Takes away what an earlier service left, so that nobody takes it for this one's: to be called before anything can fail.
    pub(crate) fn new(path: Option<&Path>) -> Result<Arc<Self>> {
        if let Some(path) = path {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(Arc::new(Self { path: path.map(Path::to_owned), there: AtomicBool::new(false) }))
    }

    /// Tells whoever waits that the service can be used, at `address`.
    pub(crate) fn ready(&self, address: &str) -> Result<()> {
        tracing::info!(address, "ready");
        let Some(path) = &self.path else { return Ok(()) };
        self.there.store(true, Ordering::SeqCst);
        crate::files::replace(path, address.as_bytes())
    }

    /// The service can no longer be used. Once: then another one may have the file.
    fn withdraw(&self) {
        if let Some(path) = self.path.as_deref().filter(|_| self.there.swap(false, Ordering::SeqCst)) {
            // Somebody else may have taken it away; a service that ends has nobody to tell what else is wrong.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// A future that ends when the service is to stop: on SIGINT or SIGTERM, or when standard input closes if that was asked for. From then on
/// it is not ready, while it finishes what is under way.
pub(crate) fn stop_signal(exit_with_stdin: bool, ready: &Arc<ReadyFile>) -> Result<impl Future<Output = ()> + use<>> {
    let ready = Arc::clone(ready);
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stdin_closed(), if exit_with_stdin => {}
        }
        ready.withdraw();
    })
}

/// Waits for the end of standard input; what comes through it is thrown away.
async fn stdin_closed() {
    let read_to_end = || io::copy(&mut io::stdin().lock(), &mut io::sink());
    // However the reading ends, there is nothing more to wait for.
    let _ = tokio::task::spawn_blocking(read_to_end).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_repeats_what_strangers_say_in_one_plain_line() {
        let said = "refused: \r\u{202e}\u{1b}[2J\n2026-11-25 INFO ready";
        let plain = (Lines(|line| Plain(line).to_string()).0)(said);
        assert_eq!(plain, r"refused: \r\u{202e}\u{1b}[2J\n2026-11-25 INFO ready");
        let json = serde_json::to_string(&serde_json::json!({ "error": said })).unwrap();
        let plain = (Lines(plain_json).0)(&json);
        assert!(!plain.contains('\u{202e}') && !plain.contains('\n'), "{plain}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap()["error"], said);
    }
}
