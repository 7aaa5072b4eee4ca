//! A pull parser: one pass, no tree.

use std::borrow::Cow;

use crate::{
    error::{Error, Result},
    limits::MAX_RANK,
};

/// Nesting allowed outside of tensors; a tensor inside adds at most its rank.
const MAX_DEPTH: usize = 2 * MAX_RANK + 8;

/// Reads one JSON text from front to back. A clone reads on from the same place by itself.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether `NaN`, `Infinity` and `-Infinity` are numbers.
    non_finite: bool,
}

/// What the next value is, by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Kind {
    /// For errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "a list",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Null => "null",
        }
    }
}

impl<'a> Reader<'a> {
    /// A reader of a whole body.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not UTF-8.
    pub(crate) fn new(body: &'a [u8], non_finite: bool) -> Result<Self> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Error::invalid(format!("JSON at byte {}", error.valid_up_to()), "UTF-8", "other bytes"))?;
        Ok(Self { text, at: 0, depth: 0, non_finite })
    }

    /// That nothing but white space follows.
    pub(crate) fn end(mut self) -> Result<()> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.error("the end", "more text")),
        }
    }

    /// What comes next, white space skipped.
    pub(crate) fn kind(&mut self) -> Result<Kind> {
        match self.next_byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'N' | b'I') if self.non_finite => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.error("a value", "another character")),
            None => Err(self.error("a value", "the end")),
        }
    }

    /// Reads an object; `each` reads the value of each member.
    pub(crate) fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        self.open(b'{', "an object")?;
        if self.close_if(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            each(self, &key)?;
            if self.close_if(b'}') {
                return Ok(());
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    /// Reads an object as [`Reader::object`] does, except that a member that is null is absent.
    pub(crate) fn members(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        self.object(|reader, key| match reader.kind()? {
            Kind::Null => reader.skip().map(drop),
            _ => each(reader, key),
        })
    }

    /// Reads a list; `each` reads each element. Gives how many there were.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<usize> {
        self.open(b'[', "a list")?;
        if self.close_if(b']') {
            return Ok(0);
        }
        let mut elements = 0;
        loop {
            each(self)?;
            elements += 1;
            if self.close_if(b']') {
                return Ok(elements);
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.next_byte() != Some(b'"') {
            return Err(self.error("a string", "something else"));
        }
        self.at += 1;
        let start = self.at;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    let plain = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(plain));
                }
                Some(b'\\') => return self.escaped_string(start).map(Cow::Owned),
                Some(byte) if *byte < 0x20 => return Err(self.error("a string", "a control character")),
                Some(_) => self.at += 1,
                None => return Err(self.error("the end of the string", "the end of the text")),
            }
        }
    }

    /// Reads the text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str> {
        if self.kind()? != Kind::Number {
            return Err(self.error("a number", "something else"));
        }
        let rest = &self.text[self.at..];
        if self.non_finite
            && let Some(token) = ["NaN", "Infinity", "-Infinity"].into_iter().find(|token| rest.starts_with(token))
        {
            self.at += token.len();
            return Ok(&rest[..token.len()]);
        }
        let end = rest.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let token = &rest[..end.unwrap_or(rest.len())];
        if !is_number(token) {
            return Err(self.error("a number", "one that is not JSON"));
        }
        self.at += token.len();
        Ok(token)
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool> {
        if self.word("true") {
            Ok(true)
        } else if self.word("false") {
            Ok(false)
        } else {
            Err(self.error("a boolean", "something else"))
        }
    }

    /// Skips one value of any kind and gives its text.
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => self.object(|reader, _| reader.skip().map(drop))?,
            Kind::Array => self.array(|reader| reader.skip().map(drop)).map(drop)?,
            Kind::String => self.string().map(drop)?,
            Kind::Number => self.number().map(drop)?,
            Kind::Boolean => self.boolean().map(drop)?,
            Kind::Null if self.word("null") => {}
            Kind::Null => return Err(self.error("null", "something else")),
        }
        Ok(&self.text[start..self.at])
    }

    /// A look ahead: whether the next value is `{"b64": "..."}`, binary data.
    pub(crate) fn at_binary(&mut self) -> bool {
        let rest = self.text[self.at..].trim_start();
        let member = rest.strip_prefix('{').map(str::trim_start).and_then(|rest| rest.strip_prefix("\"b64\""));
        member.is_some_and(|rest| rest.trim_start().starts_with(':'))
    }

    /// An error at this byte.
    pub(crate) fn error(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::invalid(format!("JSON at byte {}", self.at), expected, found)
    }

    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn open(&mut self, bracket: u8, what: &'static str) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("at most {MAX_DEPTH} levels"), "deeper nesting"));
        }
        self.expect(bracket, what)?;
        self.depth += 1;
        Ok(())
    }

    fn close_if(&mut self, bracket: u8) -> bool {
        let closes = self.next_byte() == Some(bracket);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        match self.next_byte() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.error(what, "something else")),
            None => Err(self.error(what, "the end")),
        }
    }

    fn word(&mut self, word: &str) -> bool {
        self.next_byte();
        let there = self.text[self.at..].starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    /// The rare string with escapes, from its first character; serde_json knows them all.
    fn escaped_string(&mut self, start: usize) -> Result<String> {
        let bytes = self.text.as_bytes();
        let mut end = start;
        while bytes.get(end) != Some(&b'"') {
            match bytes.get(end) {
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err(self.error("the end of the string", "the end of the text")),
            }
        }
        let quoted = self.text.get(start - 1..=end).ok_or_else(|| self.error("an escape", "half of one"))?;
        let string = serde_json::from_str(quoted).map_err(|_| self.error("an escape of JSON", "another"))?;
        self.at = end + 1;
        Ok(string)
    }
}

/// The grammar of RFC 8259, section 6, for text that has only a number's characters.
fn is_number(token: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = token.strip_prefix('-').unwrap_or(token);
    let integer = digits(rest);
    if integer == 0 || (integer > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[integer..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let places = digits(exponent);
        return places > 0 && places == exponent.len();
    }
    rest.is_empty()
}
