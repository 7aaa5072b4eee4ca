//! The chain of lines: reading it, and finding the place where it goes on.

use super::MAX_LINE;
use crate::files::FileError;
use sealwright_verify::hash::sha256;
use sealwright_wire::Digest;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

/// The most bytes that are read back at once.
const MAX_TAIL: u64 = 4 << 20;

/// The last line of a log: enough to go on behind it, and to see whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The line's number; 0 before the first.
    pub seq: u64,
    /// The line's SHA-256; zero before the first.
    pub sha256: Digest<32>,
    /// Where the line ends in its file, in bytes.
    pub end: u64,
}

impl Head {
    /// Before the first line.
    pub const START: Self = Self { seq: 0, sha256: Digest::ZERO, end: 0 };

    /// The head behind `line` (without its newline), which the caller has numbered and chained.
    pub(super) fn after(self, line: &[u8]) -> Self {
        Self {
            seq: self.seq.saturating_add(1),
            sha256: sha256(&[line]),
            end: self.end.saturating_add(line.len() as u64).saturating_add(1),
        }
    }
}

/// A log that is not what was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is no entry.
    #[error("line at byte {offset}: {what}")]
    Line {
        /// Where the line begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A line does not follow on the one before it: something between them was changed or removed.
    #[error(
        "line at byte {offset}: expected entry {expected_seq} chained to {expected}, found entry {found_seq} chained to {found}"
    )]
    Broken {
        /// Where the line begins.
        offset: u64,
        /// The number that should come.
        expected_seq: u64,
        /// The hash of the line before.
        expected: Digest<32>,
        /// The number that is there.
        found_seq: u64,
        /// The hash that is there.
        found: Digest<32>,
    },
    /// There is no whole entry, so there is no log that could hold.
    #[error("no whole entry in {bytes} bytes: this is no audit log, or nothing is left of one")]
    Empty {
        /// How long the file is.
        bytes: u64,
    },
    /// What is behind the last entry is not the beginning of the next one: not an interrupted write, but somebody's.
    #[error("line at byte {offset}: {bytes} bytes without a newline that are not the beginning of entry {seq}")]
    Torn {
        /// Where the last entry ends.
        offset: u64,
        /// How many bytes are behind it.
        bytes: u64,
        /// The number of the entry that should come.
        seq: u64,
    },
    /// The file ends before an entry that is known to have been written.
    #[error(
        "entry {seq} ended at byte {end}, the file ends at byte {length}: entries were removed. Keep the file as it is for whoever asks, move it away, and start again: the chain goes on in a new file"
    )]
    Removed {
        /// The last entry that is known.
        seq: u64,
        /// Where it ended.
        end: u64,
        /// Where the file ends.
        length: u64,
    },
}

impl ChainError {
    /// The reason as a stable word for programs, when the log is what is wrong.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::File(_) => None,
            Self::Line { .. } => Some("audit-line-malformed"),
            Self::Broken { .. } => Some("audit-chain-broken"),
            Self::Empty { .. } => Some("audit-log-empty"),
            Self::Torn { .. } => Some("audit-log-torn"),
            Self::Removed { .. } => Some("audit-entries-removed"),
        }
    }

    /// Where in the file it is seen, in bytes.
    pub const fn offset(&self) -> Option<u64> {
        match self {
            Self::File(_) => None,
            Self::Line { offset, .. } | Self::Broken { offset, .. } | Self::Torn { offset, .. } => Some(*offset),
            Self::Empty { .. } => Some(0),
            Self::Removed { length, .. } => Some(*length),
        }
    }
}

/// What a log that holds together holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The first entry's number; 1 unless the file goes on after an earlier one.
    pub first: u64,
    /// What the first entry says came before it.
    pub prev: Digest<32>,
    /// The last entry.
    pub head: Head,
    /// Bytes behind the last whole line that begin as the next one would: a write that was interrupted, and never acknowledged. No line
    /// vouches for them.
    pub torn: u64,
}

/// Reads a whole log and checks that every line follows on the one before it, and that what is behind the last one can be a write that was
/// interrupted.
///
/// # Errors
/// At the first line that does not, when there is none, or when the file cannot be read.
pub fn verify(path: &Path) -> Result<Summary, ChainError> {
    let mut file = File::open(path).map_err(FileError::io(path))?;
    let Some(first_line) = first_line(&mut file).map_err(FileError::io(path))? else {
        let bytes = file.metadata().map_err(FileError::io(path))?.len();
        return Err(ChainError::Empty { bytes });
    };
    let link = Link::read(&first_line, 0)?;
    let before = Head { seq: link.seq.saturating_sub(1), sha256: link.prev, end: 0 };
    let (head, rest) = walk(&file, path, before)?;
    let (bytes, seq) = (rest.len() as u64, head.seq.saturating_add(1));
    if !may_begin(&rest, head) {
        return Err(ChainError::Torn { offset: head.end, bytes, seq });
    }
    Ok(Summary { first: link.seq, prev: link.prev, head, torn: bytes })
}

/// Whether these bytes can be the beginning of the line behind `head`: every line begins with its place, as far as it was written.
fn may_begin(bytes: &[u8], head: Head) -> bool {
    let place =
        format!("{{\"v\":{},\"seq\":{},\"prev\":\"{}\"", super::FORMAT, head.seq.saturating_add(1), head.sha256);
    bytes.starts_with(place.as_bytes()) || place.as_bytes().starts_with(bytes)
}

/// Finds where the log in `file` goes on, given the last entry that is known to have been written. A file without a whole line goes on after
/// that entry, and so does one that begins right behind it: the file before it was moved away, and then a broker ended before it noted the
/// beginning of this one.
pub(super) fn resume(file: &mut File, path: &Path, known: Head) -> Result<(Head, u64), ChainError> {
    let first_line = first_line(file).map_err(FileError::io(path))?;
    if first_line.is_none_or(|line| Link::read(&line, 0).is_ok_and(|link| link.follows(known))) {
        return walked(file, path, Head { end: 0, ..known });
    }
    let length = file.metadata().map_err(FileError::io(path))?.len();
    if length < known.end {
        return Err(ChainError::Removed { seq: known.seq, end: known.end, length });
    }
    if known.end > 0 {
        let line = line_before(file, known.end).map_err(FileError::io(path))?;
        if sha256(&[&line]) != known.sha256 {
            let offset = known.end.saturating_sub(line.len() as u64 + 1);
            let what = format!("it is not entry {} as it was written", known.seq);
            return Err(ChainError::Line { offset, what });
        }
    }
    file.seek(SeekFrom::Start(known.end)).map_err(FileError::io(path))?;
    walked(file, path, known)
}

/// As [`walk`], with the number of bytes that are behind the last line.
fn walked(file: &File, path: &Path, head: Head) -> Result<(Head, u64), ChainError> {
    walk(file, path, head).map(|(head, rest)| (head, rest.len() as u64))
}

/// The first line without its newline, if the file has a whole one. The file stands at its beginning afterwards.
fn first_line(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    BufReader::new(&*file).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    file.rewind()?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// The line that ends with the newline before `end`.
fn line_before(file: &mut File, end: u64) -> std::io::Result<Vec<u8>> {
    let from = end.saturating_sub(MAX_LINE as u64 + 2);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(from).saturating_sub(1)).read_to_end(&mut bytes)?;
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(bytes.split_off(start))
}

/// The last `count` lines before `end`, of at most [`MAX_TAIL`] bytes together.
pub(super) fn last(path: &Path, end: u64, count: usize) -> Result<String, ChainError> {
    let mut file = File::open(path).map_err(FileError::io(path))?;
    let from = end.saturating_sub(MAX_TAIL);
    // One byte earlier, so that a line which begins exactly there is seen to be whole.
    file.seek(SeekFrom::Start(from.saturating_sub(1))).map_err(FileError::io(path))?;
    let mut bytes = Vec::new();
    file.take(end - from.saturating_sub(1)).read_to_end(&mut bytes).map_err(FileError::io(path))?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if from == 0 { &*text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    Ok(lines[lines.len().saturating_sub(count)..].concat())
}

/// Reads lines from where `file` stands, which is behind `head`, to the last whole one. Returns that one, and the bytes behind it.
fn walk(file: &File, path: &Path, mut head: Head) -> Result<(Head, Vec<u8>), ChainError> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).map_err(FileError::io(path))?;
        if line.pop_if(|last| *last == b'\n').is_none() {
            let length = file.metadata().map_err(FileError::io(path))?.len();
            // No more than was read: a log can be checked while its broker writes it. No more than the file has: a device may have no end.
            line.truncate(usize::try_from(length.saturating_sub(head.end)).unwrap_or(usize::MAX));
            if line.len() > MAX_LINE {
                return Err(ChainError::Line { offset: head.end, what: format!("longer than {MAX_LINE} bytes") });
            }
            return Ok((head, line));
        }
        let link = Link::read(&line, head.end)?;
        if !link.follows(head) {
            return Err(ChainError::Broken {
                offset: head.end,
                expected_seq: head.seq.saturating_add(1),
                expected: head.sha256,
                found_seq: link.seq,
                found: link.prev,
            });
        }
        head = head.after(&line);
    }
}

/// What a line says about its place.
#[derive(Deserialize)]
struct Link {
    v: u32,
    seq: u64,
    prev: Digest<32>,
}

impl Link {
    fn read(line: &[u8], offset: u64) -> Result<Self, ChainError> {
        let wrong = |what: String| ChainError::Line { offset, what };
        let link: Self = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        if link.v != super::FORMAT {
            return Err(wrong(format!("format {}, this program reads {}", link.v, super::FORMAT)));
        }
        Ok(link)
    }

    fn follows(&self, head: Head) -> bool {
        self.seq == head.seq.saturating_add(1) && self.prev == head.sha256
    }
}
