//! The one place through which everything reaches the terminal.

use serde::Serialize;
use serde_json::json;
use std::fmt::Display;
use std::io::{self, Write};

/// What a command has to say at the end: its process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer is yes, or the work is done.
    Yes,
    /// The answer is no, and the reason has been given.
    No,
}

/// Prints text or JSON, as the user asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON when `json`.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the user asked for JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// The command's one result: `value` as JSON, or `text` for people.
    pub(crate) fn result(self, value: &impl Serialize, text: impl Display) -> io::Result<()> {
        if self.json {
            return print(&document(value)?);
        }
        print(text.to_string().as_bytes())
    }

    /// A line of text; silent when the user asked for JSON.
    pub(crate) fn line(self, text: impl Display) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        print(format!("{text}\n").as_bytes())
    }

    /// Bytes as they are, for results that are files.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        print(bytes)
    }

    /// Why the command line makes no sense: on standard error, as for what is refused when it is read.
    pub(crate) fn usage(self, nonsense: &clap::Error) {
        // Nowhere is left to say that an output is closed.
        let _ = nonsense.print();
    }

    /// Why the work could not be done: on standard error, and with JSON as the command's document too.
    pub(crate) fn failure(self, error: &anyhow::Error) {
        let message = format!("{error:#}");
        let mut stderr = io::stderr().lock();
        // Nowhere is left to say that an output is closed.
        let _ = writeln!(stderr, "sealwright: {message}");
        if self.json {
            let _ = document(&json!({ "error": message })).and_then(|document| print(&document));
        }
    }
}

fn document(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(json)
}

/// Writes to standard output. That nobody reads on, as with `| head`, is no error: what came of the work does not depend on who
/// is told of it.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
