//! The one borrowing reader that all binary parsers share.

use crate::{Error, Kind};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// A cursor over borrowed bytes. Every read names its field, so that an error can say what was cut short and where.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `input` from its first byte.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// Bytes consumed so far, counted from the start of the outermost input.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What has not been consumed.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been consumed.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer are left.
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], Error> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(field, N));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(taken)
    }

    /// The next bytes as a wire structure, borrowed in place.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer bytes are left than the structure has.
    pub fn structure<T>(&mut self, field: &'static str) -> Result<&'a T, Error>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let Ok((taken, rest)) = T::ref_from_prefix(self.rest) else {
            return Err(self.truncated(field, size_of::<T>()));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(size_of::<T>());
        Ok(taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// [`Kind::Truncated`] at the end of the input.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.array::<1>(field).map(|[byte]| *byte)
    }

    /// A little-endian 16-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 2 bytes are left.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.array(field).map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// A little-endian 32-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 4 bytes are left.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        self.array(field).map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// A little-endian 64-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 8 bytes are left.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        self.array(field).map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// A big-endian 16-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 2 bytes are left.
    pub fn u16_be(&mut self, field: &'static str) -> Result<u16, Error> {
        self.array(field).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A big-endian 32-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 4 bytes are left.
    pub fn u32_be(&mut self, field: &'static str) -> Result<u32, Error> {
        self.array(field).map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A big-endian 64-bit integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 8 bytes are left.
    pub fn u64_be(&mut self, field: &'static str) -> Result<u64, Error> {
        self.array(field).map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Bytes behind their big-endian 16-bit length, of which `limit` are accepted: the TPM's `TPM2B` structures.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when length or bytes are cut short, [`Kind::TooLong`] above the limit.
    pub fn sized_be(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], Error> {
        let at = self.offset;
        let len = usize::from(self.u16_be(field)?);
        if len > limit {
            return Err(Error::too_long(field, at, limit, len));
        }
        self.bytes(field, len)
    }

    /// A little-endian 32-bit length, as an index.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer than 4 bytes are left.
    pub fn len32(&mut self, field: &'static str) -> Result<usize, Error> {
        let at = self.offset;
        let len = self.u32(field)?;
        usize::try_from(len).map_err(|_| Error::unexpected(field, at, "a length that fits in memory", len))
    }

    /// A reader of its own over the next `len` bytes; offsets go on counting from the outermost input.
    ///
    /// # Errors
    /// [`Kind::Truncated`] when fewer are left.
    pub fn sub(&mut self, field: &'static str, len: usize) -> Result<Self, Error> {
        let offset = self.offset;
        let rest = self.bytes(field, len)?;
        Ok(Self { rest, offset })
    }

    /// Ends the reading of a container that must have nothing behind its last field.
    ///
    /// # Errors
    /// [`Kind::Trailing`] when something is left.
    pub fn finish(self, field: &'static str) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error { field, offset: self.offset, kind: Kind::Trailing { left: self.rest.len() } })
    }

    fn truncated(&self, field: &'static str, wanted: usize) -> Error {
        Error { field, offset: self.offset, kind: Kind::Truncated { wanted, left: self.rest.len() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_field_and_offset() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16("version"), Ok(0x0201));
        let error = reader.u32("length").unwrap_err();
        assert_eq!(error.to_string(), "length at byte 2: needs 4 bytes, 1 are left");
        assert_eq!(reader.rest(), [3], "a failed read consumes nothing");
    }

    #[test]
    fn both_byte_orders_are_read() {
        let mut reader = Reader::new(&[1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 9, 9, 0, 3, 9]);
        assert_eq!(reader.u16_be("a"), Ok(0x0102));
        assert_eq!(reader.u32_be("b"), Ok(0x0102_0304));
        assert_eq!(reader.u64_be("c"), Ok(0x0102_0304_0506_0708));
        assert_eq!(reader.sized_be("d", 2), Ok([9, 9].as_slice()));
        assert_eq!(reader.clone().sized_be("e", 2).unwrap_err().to_string(), "e at byte 18: 3 is over the limit of 2");
        assert_eq!(reader.sized_be("e", 3).unwrap_err().to_string(), "e at byte 20: needs 3 bytes, 1 are left");
    }

    #[test]
    fn sub_reader_counts_from_the_outer_input() {
        let mut outer = Reader::new(&[0, 0, 9, 9]);
        outer.u16("head").unwrap();
        let mut inner = outer.sub("body", 2).unwrap();
        assert_eq!(inner.u8("first"), Ok(9));
        let error = inner.finish("body").unwrap_err();
        assert_eq!(error.to_string(), "body at byte 3: 1 bytes left over");
    }
}
