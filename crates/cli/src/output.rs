//! The one place through which everything reaches the terminal.

use sealwright_appraise::is_plain;
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
        print(plain_lines(&text.to_string()).as_bytes())
    }

    /// A line of text; silent when the user asked for JSON.
    pub(crate) fn line(self, text: impl Display) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        print(plain_lines(&format!("{text}\n")).as_bytes())
    }

    /// Bytes as they are, for results that are files.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        print(bytes)
    }

    /// Why the work could not be done: on standard error, and with JSON as the command's document too.
    pub(crate) fn failure(self, error: &anyhow::Error) {
        let message = format!("{error:#}");
        let mut stderr = io::stderr().lock();
        // Nowhere is left to say that an output is closed.
        let _ = writeln!(stderr, "sealwright: {}", plain_lines(&message));
        if self.json {
            let _ = document(&json!({ "error": message })).and_then(|document| print(&document));
        }
    }
}

/// Text for people, parts of which may be anybody's: what would steer the terminal is shown instead. Lines and tabs stay.
fn plain_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\n' | '\t') || is_plain(character) {
            lines.push(character);
        } else {
            lines.extend(character.escape_debug());
        }
    }
    lines
}

fn document(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut json = plain_json(&serde_json::to_string_pretty(value)?);
    json.push('\n');
    Ok(json.into_bytes())
}

/// The same JSON for terminals: what is not plain, apart from the ends of lines, can only be in a string, where it is escaped.
fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || is_plain(character) {
            plain.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            plain.push_str(&format!("\\u{unit:04x}"));
        }
    }
    plain
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let value = json!({ "na\u{200b}me": ["a\u{202e}\n\u{9b}\u{e0041}", "grün \\ \""] });
        let document = String::from_utf8(document(&value).unwrap()).unwrap();
        assert!(
            document.contains(r#""na\u200bme""#) && document.contains(r#""a\u202e\n\u009b\udb40\udc41""#),
            "{document}"
        );
        assert!(document.chars().all(|letter| letter == '\n' || is_plain(letter)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), value);
    }

    #[test]
    fn text_keeps_its_lines() {
        assert_eq!(plain_lines("a\tb\n\u{2066}c\u{1b}[2J\r\n"), "a\tb\n\\u{2066}c\\u{1b}[2J\\r\n");
    }
}
