//! Writing entries as the kernel shows them.

use super::{Entry, Field, FieldKind, IMA_DIGEST, Template};
use crate::Error;
use std::borrow::Cow;

impl<'a> Entry<'a> {
    /// An entry of a template, with its fields as they are hashed. Its template digest is empty: it is H over [`Entry::template_data`], which
    /// this crate does not compute.
    ///
    /// # Errors
    /// When the template is not known or has another number of fields, or the digest of template `ima` has not 20 bytes.
    pub fn new(pcr: u32, template: &'a str, fields: &[&'a [u8]]) -> Result<Self, Error> {
        let kinds = Template::named(template, 0)?;
        if kinds.len != fields.len() {
            return Err(Error::unexpected("IMA template data", 0, "the fields of the template", fields.len()));
        }
        let fields: Vec<_> = (kinds.fields().zip(fields))
            .map(|((name, kind), data)| Field { name, kind, data: Cow::Borrowed(*data) })
            .collect();
        let fits = |field: &Field<'_>| field.kind != FieldKind::Digest || field.data.len() == IMA_DIGEST;
        if template == "ima" && !fields.iter().all(fits) {
            return Err(Error::unexpected("d", 0, "20 bytes", "another size"));
        }
        Ok(Self { pcr, template_digest: Cow::Borrowed(&[]), template, fields })
    }

    /// Adds the entry as a record of the binary list.
    pub fn to_binary(&self, list: &mut Vec<u8>) {
        list.extend_from_slice(&self.pcr.to_le_bytes());
        list.extend_from_slice(&self.template_digest);
        counted(list, self.template.as_bytes());
        if self.template != "ima" {
            counted(list, &self.template_data());
            return;
        }
        for field in &self.fields {
            match field.kind {
                FieldKind::Digest => list.extend_from_slice(&field.data),
                _ => counted(list, &field.data),
            }
        }
    }

    /// Adds the entry as a line of the ASCII list.
    ///
    /// # Errors
    /// When a field has a newline, a label that is no text or a number of another size: such an entry has no line of its own.
    pub fn to_ascii(&self, list: &mut Vec<u8>) -> Result<(), Error> {
        let mut line = format!("{:2} {} {}", self.pcr, hex::encode(&self.template_digest), self.template).into_bytes();
        for field in &self.fields {
            line.push(b' ');
            field.to_ascii(&mut line)?;
        }
        if line.contains(&b'\n') {
            return Err(Error::unexpected("IMA template data", 0, "one line", "a newline"));
        }
        line.push(b'\n');
        list.append(&mut line);
        Ok(())
    }
}

impl Field<'_> {
    /// Adds the field as the ASCII list has it, see [`FieldKind`].
    ///
    /// # Errors
    /// When it is a number of another size.
    pub fn to_ascii(&self, line: &mut Vec<u8>) -> Result<(), Error> {
        match self.kind {
            FieldKind::Name | FieldKind::NameNg => {
                line.extend_from_slice(self.data.strip_suffix(b"\0").unwrap_or(&self.data));
            }
            FieldKind::Digest | FieldKind::Bytes => line.extend_from_slice(hex::encode(&self.data).as_bytes()),
            FieldKind::DigestNg | FieldKind::DigestNgV2 => {
                let end = self.data.iter().position(|byte| *byte == 0).unwrap_or(self.data.len());
                let (label, digest) = self.data.split_at_checked(end).unwrap_or((&self.data, &[]));
                line.extend_from_slice(label);
                line.extend_from_slice(hex::encode(digest.get(1..).unwrap_or_default()).as_bytes());
            }
            FieldKind::Number(size) => {
                let mut bytes = [0; 4];
                let place = bytes.get_mut(..size).filter(|place| place.len() == self.data.len());
                let Some(place) = place else {
                    return Err(Error::unexpected(self.name, 0, "a number of its field's size", self.data.len()));
                };
                place.copy_from_slice(&self.data);
                line.extend_from_slice(u32::from_le_bytes(bytes).to_string().as_bytes());
            }
        }
        Ok(())
    }
}

fn counted(list: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing longer than a list is ever written.
    list.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    list.extend_from_slice(bytes);
}
