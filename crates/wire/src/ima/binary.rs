//! The binary form, as the kernel's `binary_runtime_measurements` has it.

use super::{Entry, Field, FieldKind, IMA_DIGEST, Template, check_len, text};
use crate::{Error, Reader};
use std::borrow::Cow;

/// Reads a binary list (`binary_runtime_measurements`) whose template digests have `digest_size` bytes: 20, or that of the algorithm in the
/// file's name.
///
/// # Errors
/// When the list is longer than [`MAX_LIST`]. Each item is an error when its record is cut short or of an unknown template.
pub fn binary(list: &[u8], digest_size: usize) -> Result<Binary<'_>, Error> {
    check_len(list)?;
    Ok(Binary { reader: Reader::new(list), digest_size, last: None })
}

/// Iterates over the records of a binary list; ends after the first error.
#[derive(Clone, Debug)]
pub struct Binary<'a> {
    reader: Reader<'a>,
    digest_size: usize,
    /// The template of the record before, which most records share.
    last: Option<(&'a str, Template)>,
}

impl<'a> Iterator for Binary<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let entry = self.record();
        if entry.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(entry)
    }
}

impl<'a> Binary<'a> {
    fn record(&mut self) -> Result<Entry<'a>, Error> {
        let pcr = self.reader.u32("IMA PCR")?;
        let template_digest = Cow::Borrowed(self.reader.bytes("IMA template digest", self.digest_size)?);
        let len = self.reader.len32("IMA template name length")?;
        let at = self.reader.offset();
        let template = text("IMA template name", at, self.reader.bytes("IMA template name", len)?)?;
        let kinds = match self.last {
            Some((name, kinds)) if name == template => kinds,
            _ => Template::named(template, at)?,
        };
        self.last = Some((template, kinds));
        let mut fields = Vec::with_capacity(kinds.len);
        if template == "ima" {
            // The oldest template has neither a total length nor one before its digest.
            for (name, kind) in kinds.fields() {
                let len = if kind == FieldKind::Digest { IMA_DIGEST } else { self.reader.len32(name)? };
                fields.push(Field { name, kind, data: Cow::Borrowed(self.reader.bytes(name, len)?) });
            }
            return Ok(Entry { pcr, template_digest, template, fields });
        }
        let total = self.reader.len32("IMA template data length")?;
        let mut data = self.reader.sub("IMA template data", total)?;
        for (name, kind) in kinds.fields() {
            let len = data.len32(name)?;
            fields.push(Field { name, kind, data: Cow::Borrowed(data.bytes(name, len)?) });
        }
        data.finish("IMA template data")?;
        Ok(Entry { pcr, template_digest, template, fields })
    }
}
