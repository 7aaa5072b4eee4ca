//! The one place through which everything reaches the terminal.

use sealwright_appraise::is_plain;
use serde::Serialize;
use serde_json::json;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

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
    #[cfg(feature = "simulator")]
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

    /// A line beside the result, on standard error: standard output is the result alone.
    pub(crate) fn aside(self, text: impl Display) {
        // Nowhere is left to say that an output is closed.
        let _ = writeln!(io::stderr().lock(), "{}", plain_lines(&text.to_string()));
    }

    /// A result that is a text: on a terminal without what that would obey, and byte for byte into a file or a pipe.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        if io::stdout().is_terminal() { print(plain_lines(text).as_bytes()) } else { print(text.as_bytes()) }
    }

    /// Why the command line makes no sense: on standard error, as for what is refused when it is read.
    pub(crate) fn usage(self, nonsense: &clap::Error) {
        // Nowhere is left to say that an output is closed.
        let _ = nonsense.print();
    }

    /// Why the work could not be done: on standard error, and with JSON as the command's document too.
    pub(crate) fn failure(self, error: &anyhow::Error) {
        let message = with_causes(error);
        let mut stderr = io::stderr().lock();
        // Nowhere is left to say that an output is closed.
        let _ = writeln!(stderr, "sealwright: {}", plain_lines(&message));
        if self.json {
            let _ = document(&json!({ "error": message })).and_then(|document| print(&document));
        }
    }
}

/// An error and its causes, each said once. What a library's error says ends with its cause, because a line in a log has nothing else;
/// the context that a command gives does not.
fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |said, cause| if said.ends_with(&cause) { said } else { format!("{said}: {cause}") })
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
pub(crate) fn plain_json(json: &str) -> String {
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
    use anyhow::Context;

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Self>>);

    impl Display for Says {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Says {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_are_said_once_and_none_is_left_out() {
        let cause = || Some(Box::new(Says("no such file", None)));
        let said = |outer: Says| with_causes(&Err::<(), _>(outer).context("cannot start").unwrap_err());
        assert_eq!(said(Says("reading x: no such file", cause())), "cannot start: reading x: no such file");
        assert_eq!(said(Says("reading x", cause())), "cannot start: reading x: no such file");
        let deep = Says("b: c: no such file", Some(Box::new(Says("c: no such file", cause()))));
        assert_eq!(said(deep), "cannot start: b: c: no such file");
        let forgotten = Says("b", Some(Box::new(Says("c", cause()))));
        assert_eq!(said(forgotten), "cannot start: b: c: no such file");
    }

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
