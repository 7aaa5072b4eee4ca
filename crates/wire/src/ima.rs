//! Measurement lists of Linux IMA: the ASCII and the binary form, every kernel template, and the bytes that a template digest is over.
//!
//! Sources: the kernel's `security/integrity/ima` (`ima_fs.c`, `ima_template.c`, `ima_template_lib.c`) and, for the two container templates,
//! the patches of CCNP. Lists are little-endian (`ima_canonical_fmt` or a little-endian machine).
//!
//! ```text
//! ASCII    PCR template-digest template-name field field ...        one line each
//! binary   u32 PCR, template digest, u32 length, template name, u32 length of the fields, (u32 length, field) per field
//! ```
//!
//! Paths are written into the ASCII list as they are, spaces included, so that a line is taken apart from both ends. A template digest is
//! H over all fields, each behind its u32 length; the template `ima` alone hashes its digest and its name padded to 256 bytes. A template
//! digest of zero marks a *violation* (a file changed while it was measured), which extends the register with 0xFF bytes.
//!
//! Nothing is hashed here: [`Entry::template_data`] gives the bytes to whoever checks.

mod ascii;
mod binary;
mod writer;

pub use ascii::{Ascii, ascii};
pub use binary::{Binary, binary};

use crate::Error;
use std::borrow::Cow;

/// The longest list that is accepted, in bytes.
pub const MAX_LIST: usize = 64 << 20;
/// The name field of the template `ima`, padded, in bytes.
const IMA_NAME: usize = 256;
/// The digest field of the template `ima`, in bytes.
const IMA_DIGEST: usize = 20;
/// More fields than any template has.
const MAX_FIELDS: usize = 16;

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// `d`: 20 bytes of SHA-1 or MD5; hex in the ASCII list.
    Digest,
    /// `d-ng`, `d-modsig`: algorithm, `:`, NUL, digest; `algorithm:hex` in the ASCII list.
    DigestNg,
    /// `d-ngv2`: kind, `:`, algorithm, `:`, NUL, digest; `kind:algorithm:hex` in the ASCII list.
    DigestNgV2,
    /// `n`: a name without NUL.
    Name,
    /// `n-ng` and other text: with a NUL, which the ASCII list leaves out.
    NameNg,
    /// `sig`, `buf` and other bytes: hex in the ASCII list, nothing when empty.
    Bytes,
    /// A little-endian number of so many bytes: decimal in the ASCII list.
    Number(usize),
}

/// Field names as templates' format strings have them.
const FIELDS: [(&str, FieldKind); 19] = [
    ("d", FieldKind::Digest),
    ("n", FieldKind::Name),
    ("d-ng", FieldKind::DigestNg),
    ("d-ngv2", FieldKind::DigestNgV2),
    ("n-ng", FieldKind::NameNg),
    ("sig", FieldKind::Bytes),
    ("buf", FieldKind::Bytes),
    ("d-modsig", FieldKind::DigestNg),
    ("modsig", FieldKind::Bytes),
    ("evmsig", FieldKind::Bytes),
    ("iuid", FieldKind::Number(4)),
    ("igid", FieldKind::Number(4)),
    ("imode", FieldKind::Number(2)),
    ("xattrnames", FieldKind::NameNg),
    ("xattrlengths", FieldKind::Bytes),
    ("xattrvalues", FieldKind::Bytes),
    ("dep", FieldKind::NameNg),
    ("cgn", FieldKind::NameNg),
    ("cg-path", FieldKind::NameNg),
];

/// Templates that have a name; any other is named by its format string.
const TEMPLATES: [(&str, &str); 10] = [
    ("ima", "d|n"),
    ("ima-ng", "d-ng|n-ng"),
    ("ima-sig", "d-ng|n-ng|sig"),
    ("ima-ngv2", "d-ngv2|n-ng"),
    ("ima-sigv2", "d-ngv2|n-ng|sig"),
    ("ima-buf", "d-ng|n-ng|buf"),
    ("ima-modsig", "d-ng|n-ng|sig|d-modsig|modsig"),
    ("evm-sig", "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode"),
    ("ima-dep-cgn", "dep|cgn|d-ng|n-ng"),
    ("ima-cgpath", "dep|cg-path|d-ng|n-ng"),
];

/// One field of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name in the template's format string.
    pub name: &'static str,
    /// How it is written.
    pub kind: FieldKind,
    /// Its bytes as they are hashed, without the length before them.
    pub data: Cow<'a, [u8]>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The register's number: a PCR, usually 10. Kernels patched for TDX without a TPM write the RTMR's number here.
    pub pcr: u32,
    /// The digest with which the register was extended, in the list's own algorithm.
    pub template_digest: Cow<'a, [u8]>,
    /// The template's name or format string.
    pub template: &'a str,
    /// The fields in the template's order.
    pub fields: Vec<Field<'a>>,
}

impl Entry<'_> {
    /// Whether this entry says that a file changed while it was measured.
    pub fn is_violation(&self) -> bool {
        self.template_digest.iter().all(|byte| *byte == 0)
    }

    /// The bytes that the template digest is over.
    pub fn template_data(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.template_data_into(&mut bytes);
        bytes
    }

    /// As [`Entry::template_data`], into a buffer that is used again; what it held is gone.
    pub fn template_data_into(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        for field in &self.fields {
            if self.template == "ima" {
                bytes.extend_from_slice(&field.data);
            } else {
                // Fields are cut from a list of at most MAX_LIST bytes.
                bytes.extend_from_slice(&u32::try_from(field.data.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(&field.data);
            }
        }
        if self.template == "ima" {
            bytes.resize(bytes.len().max(IMA_DIGEST.saturating_add(IMA_NAME)), 0);
        }
    }

    /// The measured file's path, or the name of what was measured.
    pub fn path(&self) -> Option<&[u8]> {
        let field = self.fields.iter().find(|field| field.name == "n" || field.name == "n-ng")?;
        Some(field.data.strip_suffix(b"\0").unwrap_or(&field.data))
    }

    /// The measured file's digest: the algorithm's name and the digest.
    pub fn file_digest(&self) -> Option<(&str, &[u8])> {
        let field = self.fields.iter().find(|field| matches!(field.name, "d" | "d-ng" | "d-ngv2"))?;
        if field.kind == FieldKind::Digest {
            return Some(("sha1", &field.data));
        }
        let end = field.data.iter().position(|byte| *byte == 0)?;
        let (label, digest) = (field.data.get(..end)?, field.data.get(end.checked_add(1)?..)?);
        let label = std::str::from_utf8(label.strip_suffix(b":")?).ok()?;
        Some((label.rsplit(':').next()?, digest))
    }
}

/// The fields of a template: their places in [`FIELDS`], in order.
#[derive(Clone, Copy, Debug)]
struct Template {
    places: [u8; MAX_FIELDS],
    len: usize,
}

impl Template {
    /// The template with this name or format string; `at` is where the name is.
    fn named(template: &str, at: usize) -> Result<Self, Error> {
        Self::find(template).ok_or_else(|| {
            Error::unexpected("IMA template name", at, "a template of the kernel or a format of its fields", template)
        })
    }

    fn find(template: &str) -> Option<Self> {
        let format = TEMPLATES.iter().find(|(name, _)| *name == template).map_or(template, |(_, format)| format);
        let mut found = Self { places: [0; MAX_FIELDS], len: 0 };
        for id in format.split('|') {
            let place = FIELDS.iter().position(|(name, _)| *name == id)?;
            *found.places.get_mut(found.len)? = u8::try_from(place).ok()?;
            found.len = found.len.saturating_add(1);
        }
        Some(found)
    }

    fn fields(self) -> impl Iterator<Item = (&'static str, FieldKind)> {
        self.places.into_iter().take(self.len).filter_map(|place| FIELDS.get(usize::from(place)).copied())
    }
}

/// In which form a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line each.
    Ascii,
    /// A record each, with template digests of so many bytes: 20 in `binary_runtime_measurements`, those of the algorithm in a file that
    /// is named after one.
    Binary {
        /// The size of a template digest in bytes.
        digest_size: usize,
    },
}

impl Form {
    /// The form of which the list's first entry is; `None` when it is of none. An empty list is one of lines.
    pub fn of(list: &[u8]) -> Option<Self> {
        if list.is_empty() || ascii(list).ok()?.next().is_some_and(|line| line.is_ok()) {
            return Some(Self::Ascii);
        }
        let first = |digest_size: &usize| {
            binary(list, *digest_size).is_ok_and(|mut list| list.next().is_some_and(|entry| entry.is_ok()))
        };
        [20, 32, 48, 64].iter().find(|size| first(size)).map(|digest_size| Self::Binary { digest_size: *digest_size })
    }
}

/// Iterates over the entries of a list in either form; ends after the first error.
#[derive(Clone, Debug)]
pub enum Entries<'a> {
    /// Lines.
    Ascii(Ascii<'a>),
    /// Records.
    Binary(Binary<'a>),
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Ascii(lines) => lines.next(),
            Self::Binary(records) => records.next(),
        }
    }
}

/// Reads a list in the form of its first entry.
///
/// # Errors
/// When the list is longer than [`MAX_LIST`] or its first entry is of no form. Each item is an error when it is none of a measurement list.
pub fn entries(list: &[u8]) -> Result<Entries<'_>, Error> {
    match Form::of(list) {
        Some(Form::Binary { digest_size }) => binary(list, digest_size).map(Entries::Binary),
        // The ASCII reader says what is wrong with the first line.
        Some(Form::Ascii) | None => ascii(list).map(Entries::Ascii),
    }
}

fn check_len(list: &[u8]) -> Result<(), Error> {
    if list.len() > MAX_LIST {
        return Err(Error::too_long("IMA list", 0, MAX_LIST, list.len()));
    }
    Ok(())
}

fn text<'a>(field: &'static str, at: usize, word: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(word).map_err(|_| Error::unexpected(field, at, "text", String::from_utf8_lossy(word)))
}
