//! The ASCII form, as the kernel's `ascii_runtime_measurements` has it.

use super::{Entry, Field, FieldKind, Template, check_len, text};
use crate::{Error, tcg2::AlgorithmId};
use std::borrow::Cow;

/// Reads an ASCII list (`ascii_runtime_measurements`), line by line; a line without its newline at the end is read too.
///
/// # Errors
/// When the list is longer than [`MAX_LIST`]. Each item is an error when its line is none of a measurement list.
pub fn ascii(list: &[u8]) -> Result<Ascii<'_>, Error> {
    check_len(list)?;
    Ok(Ascii { rest: list, offset: 0 })
}

/// Iterates over the lines of an ASCII list; ends after the first error.
#[derive(Clone, Debug)]
pub struct Ascii<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Ascii<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.offset;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        self.offset = offset.saturating_add(line.len()).saturating_add(1);
        let entry = ascii_line(line).map_err(|error| error.at(offset));
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

/// Reads one line, without its newline.
fn ascii_line(line: &[u8]) -> Result<Entry<'_>, Error> {
    let mut words = Words::new(line.trim_ascii_start());
    let pcr = words.first("IMA PCR")?;
    let pcr = text("IMA PCR", words.offset(line), pcr)?
        .parse()
        .map_err(|_| Error::unexpected("IMA PCR", 0, "a decimal number", String::from_utf8_lossy(pcr)))?;
    let at = words.offset(line);
    let template_digest = unhex("IMA template digest", at, words.first("IMA template digest")?)?;
    if ![20, 32, 48, 64].contains(&template_digest.len()) {
        let found = format_args!("{} bytes", template_digest.len());
        return Err(Error::unexpected("IMA template digest", at, "20, 32, 48 or 64 bytes", found));
    }
    let at = words.offset(line);
    let template = text("IMA template name", at, words.first("IMA template name")?)?;
    let kinds = Template::named(template, at)?;
    let at = words.offset(line);
    let fields = ascii_fields(&kinds.fields().collect::<Vec<_>>(), words, at)?;
    Ok(Entry { pcr, template_digest: Cow::Owned(template_digest), template, fields })
}

/// Takes the fields off both ends; the last name gets what is left, spaces included.
fn ascii_fields<'a>(
    kinds: &[(&'static str, FieldKind)],
    mut words: Words<'a>,
    at: usize,
) -> Result<Vec<Field<'a>>, Error> {
    let is_name = |(_, kind): &(_, FieldKind)| matches!(kind, FieldKind::Name | FieldKind::NameNg);
    let is_path = |(name, _): &(&str, _)| matches!(*name, "n" | "n-ng");
    let greedy = kinds.iter().rposition(is_path).or_else(|| kinds.iter().rposition(is_name));
    let (before, rest) = kinds.split_at_checked(greedy.unwrap_or(kinds.len())).unwrap_or((kinds, &[]));
    let mut fields = Vec::with_capacity(kinds.len());
    for (name, kind) in before {
        let word = if fields.len().saturating_add(1) == kinds.len() { words.all() } else { words.first(name)? };
        fields.push(ascii_field(name, *kind, word, at)?);
    }
    let Some((path, after)) = rest.split_first() else {
        return Ok(fields);
    };
    let mut last = Vec::with_capacity(after.len());
    for (name, kind) in after.iter().rev() {
        last.push(ascii_field(name, *kind, words.last(name)?, at)?);
    }
    fields.push(ascii_field(path.0, path.1, words.all(), at)?);
    fields.extend(last.into_iter().rev());
    Ok(fields)
}

fn ascii_field<'a>(name: &'static str, kind: FieldKind, word: &'a [u8], at: usize) -> Result<Field<'a>, Error> {
    let data = match kind {
        FieldKind::Name => Cow::Borrowed(word),
        FieldKind::NameNg => Cow::Owned([word, b"\0"].concat()),
        FieldKind::Bytes => Cow::Owned(unhex(name, at, word)?),
        FieldKind::Digest => {
            let digest = unhex(name, at, word)?;
            check_digest(name, "sha1", &digest, at)?;
            Cow::Owned(digest)
        }
        // The digest of an appended signature is left out when a file has none.
        FieldKind::DigestNg | FieldKind::DigestNgV2 if word.is_empty() && name == "d-modsig" => Cow::Borrowed(word),
        FieldKind::DigestNg => Cow::Owned(labelled_digest(name, 1, word, at)?),
        FieldKind::DigestNgV2 => Cow::Owned(labelled_digest(name, 2, word, at)?),
        FieldKind::Number(size) => Cow::Owned(number(name, size, word, at)?),
    };
    Ok(Field { name, kind, data })
}

/// `label:hex` or `kind:label:hex` as the label with its colons, a NUL and the digest.
fn labelled_digest(name: &'static str, labels: usize, word: &[u8], at: usize) -> Result<Vec<u8>, Error> {
    let word = text(name, at, word)?;
    let wrong = || Error::unexpected(name, at, "a digest with the name of its algorithm before it", word);
    let (label, digest) = word.rsplit_once(':').ok_or_else(wrong)?;
    if label.split(':').count() != labels || label.split(':').any(str::is_empty) {
        return Err(wrong());
    }
    let digest = unhex(name, at, digest.as_bytes())?;
    check_digest(name, label.rsplit(':').next().unwrap_or(label), &digest, at)?;
    Ok([label.as_bytes(), b":\0", &digest].concat())
}

fn check_digest(name: &'static str, algorithm: &str, digest: &[u8], at: usize) -> Result<(), Error> {
    let wanted = AlgorithmId::from_name(algorithm).and_then(AlgorithmId::digest_size);
    if digest.is_empty() || wanted.is_some_and(|wanted| wanted != digest.len()) {
        let found = format_args!("{} bytes for {algorithm}", digest.len());
        return Err(Error::unexpected(name, at, "the digest size of the algorithm", found));
    }
    Ok(())
}

fn number(name: &'static str, size: usize, word: &[u8], at: usize) -> Result<Vec<u8>, Error> {
    let wrong = || Error::unexpected(name, at, "a decimal number that fits its field", String::from_utf8_lossy(word));
    let number: u32 = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let bytes = number.to_le_bytes();
    match bytes.split_at_checked(size) {
        Some((low, high)) if high.iter().all(|byte| *byte == 0) => Ok(low.to_vec()),
        _ => Err(wrong()),
    }
}

fn unhex(field: &'static str, at: usize, word: &[u8]) -> Result<Vec<u8>, Error> {
    hex::decode(word).map_err(|_| Error::unexpected(field, at, "hex digits", String::from_utf8_lossy(word)))
}

/// A line being taken apart at its spaces.
struct Words<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    fn new(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }

    /// Where in `line` the rest begins.
    fn offset(&self, line: &[u8]) -> usize {
        line.len().saturating_sub(self.rest.unwrap_or_default().len())
    }

    /// The word before the first space.
    fn first(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        let rest = self.rest.ok_or_else(|| missing(field))?;
        let space = rest.iter().position(|byte| *byte == b' ');
        let (word, after) = rest.split_at_checked(space.unwrap_or(rest.len())).unwrap_or((rest, &[]));
        self.rest = after.split_first().map(|(_, after)| after);
        Ok(word)
    }

    /// The word behind the last space; there must be one, so that something is left before it.
    fn last(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        let rest = self.rest.ok_or_else(|| missing(field))?;
        let space = rest.iter().rposition(|byte| *byte == b' ').ok_or_else(|| missing(field))?;
        let (before, word) = rest.split_at_checked(space).unwrap_or((rest, &[]));
        self.rest = Some(before);
        Ok(word.split_first().map(|(_, word)| word).unwrap_or_default())
    }

    /// All that is left.
    fn all(&mut self) -> &'a [u8] {
        self.rest.take().unwrap_or_default()
    }
}

fn missing(field: &'static str) -> Error {
    Error::unexpected(field, 0, "the fields of the template", "the end of the line")
}
