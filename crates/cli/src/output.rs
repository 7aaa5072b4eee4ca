//! The one place through which everything reaches the terminal.

use sealwright_appraise::is_plain;
use serde::Serialize;
use serde_json::json;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::fmt::{self, Display};
use std::io::{self, BufWriter, IsTerminal, Write};

/// How much of a result is written at a time, in bytes.
const BUFFER: usize = 64 << 10;

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

    /// The command's one result: `value` as JSON, or `text` for people. It is written while it is made, so that a long one takes no more memory
    /// than what it is made of.
    pub(crate) fn result(self, value: &impl Serialize, text: impl Display) -> io::Result<()> {
        self.stream(|out| if self.json { write_document(out, value) } else { write_lines(out, text) })
    }

    /// A result that is a file, which `write` writes while it is made.
    pub(crate) fn stream(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
        let written = write(&mut out).and_then(|()| out.flush());
        // What is left of it has nowhere to go.
        drop(out.into_parts());
        unless_nobody_reads(written)
    }

    /// A line of text; silent when the user asked for JSON.
    #[cfg(feature = "simulator")]
    pub(crate) fn line(self, text: impl Display) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.stream(|out| write_lines(out, format_args!("{text}\n")))
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
            let _ = self.stream(|out| write_document(out, &json!({ "error": message })));
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
    let mut lines = Vec::with_capacity(text.len());
    // Writing into memory does not fail.
    let _ = write_lines(&mut lines, text);
    String::from_utf8(lines).unwrap_or_default()
}

/// Writes what [`plain_lines`] says.
fn write_lines(out: &mut dyn Write, text: impl Display) -> io::Result<()> {
    let mut lines = Lines { out, failed: None };
    let written = fmt::write(&mut lines, format_args!("{text}"));
    match (lines.failed, written) {
        (Some(error), _) => Err(error),
        (None, written) => written.map_err(io::Error::other),
    }
}

/// Where [`write_lines`] writes to, and why it could not.
struct Lines<'w> {
    out: &'w mut dyn Write,
    failed: Option<io::Error>,
}

impl fmt::Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let stays = |character| matches!(character, '\n' | '\t') || is_plain(character);
        let written =
            write_escaped(self.out, text, stays, |out, character| write!(out, "{}", character.escape_debug()));
        written.map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

/// Writes text of which the characters that do not stay as they are are written by `escape`.
fn write_escaped<W: Write + ?Sized>(
    out: &mut W,
    mut text: &str,
    stays: impl Fn(char) -> bool,
    escape: impl Fn(&mut W, char) -> io::Result<()>,
) -> io::Result<()> {
    while let Some((place, character)) = text.char_indices().find(|(_, character)| !stays(*character)) {
        let (before, behind) = text.split_at(place);
        out.write_all(before.as_bytes())?;
        escape(out, character)?;
        text = &behind[character.len_utf8()..];
    }
    out.write_all(text.as_bytes())
}

/// Writes a value as a document of JSON, with [`write_json`]'s strings.
fn write_document(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, PlainFormatter(PrettyFormatter::new())))?;
    out.write_all(b"\n")
}

/// JSON with indents and plain strings.
struct PlainFormatter(PrettyFormatter<'static>);

impl Formatter for PlainFormatter {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_json(out, fragment)
    }

    fn write_raw_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_json(out, fragment)
    }

    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

/// The same JSON for terminals: what is not plain, apart from the ends of lines, can only be in a string, where it is escaped.
pub(crate) fn plain_json(json: &str) -> String {
    let mut plain = Vec::with_capacity(json.len());
    // Writing into memory does not fail.
    let _ = write_json(&mut plain, json);
    String::from_utf8(plain).unwrap_or_default()
}

/// Writes what [`plain_json`] says.
fn write_json<W: Write + ?Sized>(out: &mut W, json: &str) -> io::Result<()> {
    write_escaped(
        out,
        json,
        |character| character == '\n' || is_plain(character),
        |out, character| {
            let mut units = [0; 2];
            character.encode_utf16(&mut units).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        },
    )
}

/// Writes to standard output.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    unless_nobody_reads(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// That nobody reads on, as with `| head`, is no error: what came of the work does not depend on who is told of it.
fn unless_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    match written {
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
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let mut document = Vec::new();
        write_document(&mut document, &value).unwrap();
        let document = String::from_utf8(document).unwrap();
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
