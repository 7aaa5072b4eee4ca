//! Certificate chains in PEM.
//!
//! Quotes carry their PCK chain as PEM, and the verdict on a quote must not survive a change of any of its bytes. So the
//! strict form of RFC 7468 is read and nothing else: lines of 64 characters, canonical base64, nothing between
//! certificates, at most one NUL at the end (Intel's quoting enclaves write one).

use crate::{Error, Kind};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Most certificates that one chain may have. Intel's have two or three.
pub const MAX_CERTIFICATES: usize = 8;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
const LINE: usize = 64;

/// Reads a chain; returns its certificates in DER, in the order of the text.
///
/// # Errors
/// When the text is not strict PEM of certificates, has none, or has more than [`MAX_CERTIFICATES`]. `field` names it.
pub fn pem_chain(field: &'static str, pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut lines = Lines { field, rest: pem.strip_suffix(b"\0").unwrap_or(pem), offset: 0 };
    let mut certificates = Vec::new();
    while !lines.rest.is_empty() || certificates.is_empty() {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(Error::too_long(field, lines.offset, MAX_CERTIFICATES, MAX_CERTIFICATES.saturating_add(1)));
        }
        certificates.push(lines.certificate()?);
    }
    Ok(certificates)
}

/// Writes certificates in DER as one PEM text.
pub fn encode_pem_chain<T: AsRef<[u8]>>(certificates: &[T]) -> String {
    certificates.iter().map(|certificate| encode_pem("CERTIFICATE", certificate.as_ref())).collect()
}

/// Writes one block of PEM, in the strict form.
pub(crate) fn encode_pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at.is_multiple_of(LINE) {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

struct Lines<'a> {
    field: &'static str,
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Lines<'a> {
    fn certificate(&mut self) -> Result<Vec<u8>, Error> {
        let at = self.offset;
        if self.line()? != BEGIN {
            return Err(self.unexpected(at, "-----BEGIN CERTIFICATE-----", "another line"));
        }
        let mut text = Vec::new();
        let body_at = self.offset;
        let mut full = true;
        loop {
            let at = self.offset;
            let line = self.line()?;
            if line == END {
                break;
            }
            if !full || line.is_empty() || line.len() > LINE {
                return Err(self.unexpected(at, "64 characters on each line but the last", line.len()));
            }
            full = line.len() == LINE;
            text.extend_from_slice(line);
        }
        STANDARD.decode(&text).map_err(|error| self.unexpected(body_at, "canonical base64", error))
    }

    /// The next line without its end (LF or CR LF); the last line of the text needs none.
    fn line(&mut self) -> Result<&'a [u8], Error> {
        if self.rest.is_empty() {
            let kind = Kind::Truncated { wanted: 1, left: 0 };
            return Err(Error { field: self.field, offset: self.offset, kind });
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((line, rest)) => (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default()),
            None => (self.rest, Default::default()),
        };
        self.offset = self.offset.saturating_add(self.rest.len().saturating_sub(rest.len()));
        self.rest = rest;
        Ok(line)
    }

    fn unexpected(&self, at: usize, expected: &'static str, found: impl std::fmt::Display) -> Error {
        Error::unexpected(self.field, at, expected, found)
    }
}
