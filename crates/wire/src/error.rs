//! What is wrong with the bytes, and where.

use std::fmt::{self, Write};

/// The most characters of what was found that an error holds.
const MAX_FOUND: usize = 80;

/// Bytes that are not what their format demands: which field, at which offset, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {offset}: {kind}")]
pub struct Error {
    /// The field's name as its specification spells it.
    pub field: &'static str,
    /// Where the field begins, in bytes from the start of the input given to the parser.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: Kind,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The input ends before the field does.
    Truncated {
        /// How many bytes the field needs.
        wanted: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// The field ends before its container does.
    Trailing {
        /// How many bytes are left over.
        left: usize,
    },
    /// The value is not one that the format allows.
    Unexpected {
        /// What the format allows here.
        expected: &'static str,
        /// What was found, short enough to print.
        found: String,
    },
    /// The field is longer than this implementation accepts.
    TooLong {
        /// The most that is accepted.
        limit: usize,
        /// What the input claims.
        found: usize,
    },
}

impl Error {
    /// A value that the format does not allow at this place.
    pub fn unexpected(field: &'static str, offset: usize, expected: &'static str, found: impl fmt::Display) -> Self {
        let mut short = Short { text: String::new(), left: MAX_FOUND };
        // An error of the writer says that there was more.
        if write!(short, "{found}").is_err() {
            short.text.push('…');
        }
        let found = short.text;
        Self { field, offset, kind: Kind::Unexpected { expected, found } }
    }

    /// A length or count above the limit of this implementation.
    pub fn too_long(field: &'static str, offset: usize, limit: usize, found: usize) -> Self {
        Self { field, offset, kind: Kind::TooLong { limit, found } }
    }

    /// JSON that is none, or not as its schema has it, at the byte that the reader's line and column name.
    pub(crate) fn json(field: &'static str, text: &[u8], error: &serde_json::Error) -> Self {
        let lines = text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let before = lines.fold(0usize, |sum, line| sum.saturating_add(line.len()));
        let offset = before.saturating_add(error.column().saturating_sub(1)).min(text.len());
        Self::unexpected(field, offset, "JSON of its schema", error)
    }

    /// The same error, seen from a container in which the input begins at `base`.
    #[must_use]
    pub fn at(mut self, base: usize) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

/// The beginning of a text, which ends the writing of the rest: what is found may be as long as the input, and longer once it is escaped.
struct Short {
    text: String,
    left: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.char_indices().nth(self.left).map(|(end, _)| end);
        let taken = end.and_then(|end| text.get(..end)).unwrap_or(text);
        self.text.push_str(taken);
        self.left = self.left.saturating_sub(taken.chars().count());
        end.map_or(Ok(()), |_| Err(fmt::Error))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { wanted, left } => write!(f, "needs {wanted} bytes, {left} are left"),
            Self::Trailing { left } => write!(f, "{left} bytes left over"),
            Self::Unexpected { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::TooLong { limit, found } => write!(f, "{found} is over the limit of {limit}"),
        }
    }
}
