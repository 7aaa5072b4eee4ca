//! CBOR (RFC 8949) as the formats of this crate read it: one item after another, each named, each where it was expected.
//!
//! Strings must be of definite length, so that they can be borrowed. Maps may be of either, because both are seen in the field.

use crate::{Error, Kind};
use minicbor::{Decoder, Encoder, data::Type};

/// The most levels of arrays and maps that are passed over.
const MAX_DEPTH: usize = 32;

/// A cursor over borrowed CBOR; offsets count from the start of the outermost input.
#[derive(Clone, Debug)]
pub(crate) struct Cbor<'a> {
    decoder: Decoder<'a>,
    base: usize,
}

impl<'a> Cbor<'a> {
    /// Reads `input` from its first byte.
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self::within(input, 0)
    }

    /// Reads CBOR that is wrapped in a byte string, which begins at `base` of the outermost input.
    pub(crate) fn within(input: &'a [u8], base: usize) -> Self {
        Self { decoder: Decoder::new(input), base }
    }

    /// Bytes consumed so far, counted from the start of the outermost input.
    pub(crate) fn offset(&self) -> usize {
        self.base.saturating_add(self.decoder.position())
    }

    /// The type of the next item.
    pub(crate) fn kind(&self, field: &'static str) -> Result<Type, Error> {
        self.decoder.datatype().map_err(|error| self.malformed(field, &error))
    }

    /// A byte string of definite length.
    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        self.read(field, Decoder::bytes)
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], Error> {
        let at = self.offset();
        let bytes = self.bytes(field)?;
        bytes.try_into().map_err(|_| Error::unexpected(field, at, "a byte string of its fixed length", bytes.len()))
    }

    /// The reader of a byte string that wraps CBOR.
    pub(crate) fn wrapped(&mut self, field: &'static str) -> Result<Self, Error> {
        let content = self.bytes(field)?;
        Ok(Self::within(content, self.offset().saturating_sub(content.len())))
    }

    /// A text string of definite length.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, Error> {
        self.read(field, Decoder::str)
    }

    /// An unsigned integer.
    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u64, Error> {
        self.read(field, Decoder::u64)
    }

    /// An integer of either sign.
    pub(crate) fn integer(&mut self, field: &'static str) -> Result<i64, Error> {
        self.read(field, Decoder::i64)
    }

    /// A tag's number; its content is the next item.
    pub(crate) fn tag(&mut self, field: &'static str) -> Result<u64, Error> {
        self.read(field, Decoder::tag).map(|tag| tag.as_u64())
    }

    /// Passes over one item, of at most [`MAX_DEPTH`] levels.
    pub(crate) fn skip(&mut self, field: &'static str) -> Result<(), Error> {
        self.read(field, skip)
    }

    /// What `read` finds, or nothing where the item is null.
    pub(crate) fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.kind(field)? != Type::Null {
            return read(self).map(Some);
        }
        self.skip(field)?;
        Ok(None)
    }

    /// The key of a map's entry, if it is text; another key is passed over.
    pub(crate) fn name(&mut self, field: &'static str) -> Result<Option<&'a str>, Error> {
        if self.kind(field)? == Type::String {
            return self.text(field).map(Some);
        }
        self.skip(field)?;
        Ok(None)
    }

    /// The key of a map's entry, if it is an integer of 64 bits; another key is passed over.
    pub(crate) fn label(&mut self, field: &'static str) -> Result<Option<i64>, Error> {
        if matches!(
            self.kind(field)?,
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64
        ) {
            return self.integer(field).map(Some);
        }
        self.skip(field)?;
        Ok(None)
    }

    /// The head of an array of `len` elements, of definite length.
    pub(crate) fn elements(&mut self, field: &'static str, len: u64) -> Result<(), Error> {
        let at = self.offset();
        match self.read(field, Decoder::array)? {
            Some(found) if found == len => Ok(()),
            Some(found) => Err(Error::unexpected(field, at, elements_text(len), found)),
            None => Err(Error::unexpected(field, at, elements_text(len), "indefinite length")),
        }
    }

    /// Reads an array of at most `limit` elements, of either length, with `read` at each element.
    pub(crate) fn each_element(
        &mut self,
        field: &'static str,
        limit: usize,
        read: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.read(field, Decoder::array)?;
        self.each(field, count, limit, read)
    }

    /// Reads a map of at most `limit` entries, of either length, with `read` at each key.
    pub(crate) fn each_entry(
        &mut self,
        field: &'static str,
        limit: usize,
        read: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.read(field, Decoder::map)?;
        self.each(field, count, limit, read)
    }

    /// The head of a map of definite length.
    pub(crate) fn entries(&mut self, field: &'static str) -> Result<Option<u64>, Error> {
        self.read(field, Decoder::map)
    }

    fn each(
        &mut self,
        field: &'static str,
        count: Option<u64>,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut left = count;
        for _ in 0..=limit {
            match left {
                Some(0) => return Ok(()),
                Some(more) => left = Some(more.saturating_sub(1)),
                None if self.kind(field)? == Type::Break => {
                    self.decoder.set_position(self.decoder.position().saturating_add(1));
                    return Ok(());
                }
                None => {}
            }
            read(self)?;
        }
        let found = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(limit.saturating_add(1));
        Err(Error::too_long(field, self.offset(), limit, found))
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn end(&self, field: &'static str) -> Result<(), Error> {
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        if left == 0 {
            return Ok(());
        }
        Err(Error { field, offset: self.offset(), kind: Kind::Trailing { left } })
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, Error> {
        read(&mut self.decoder).map_err(|error| self.malformed(field, &error))
    }

    fn malformed(&self, field: &'static str, error: &minicbor::decode::Error) -> Error {
        Error::unexpected(field, self.offset(), "CBOR of this profile", error)
    }
}

/// Passes over one item of at most [`MAX_DEPTH`] levels. `Decoder::skip` has no such limit, and keeps 16 bytes on a stack that doubles for each
/// byte that opens an array of indefinite length.
pub(crate) fn skip(decoder: &mut Decoder<'_>) -> Result<(), minicbor::decode::Error> {
    use minicbor::decode::Error;
    // How many items are left in each array or map that the place is in; none is known of those of indefinite length.
    let (mut left, mut depth) = ([None::<u64>; MAX_DEPTH], 0usize);
    loop {
        let kind = decoder.datatype()?;
        let inside = depth.checked_sub(1).and_then(|place| left.get_mut(place));
        match (kind, inside) {
            (Type::Tag, _) => {
                decoder.tag()?;
                continue;
            }
            (Type::Break, Some(None)) => {
                decoder.set_position(decoder.position().saturating_add(1));
                depth = depth.saturating_sub(1);
            }
            (Type::Break, _) => return Err(Error::message("an end of nothing").at(decoder.position())),
            (_, inside) => {
                if let Some(Some(items)) = inside {
                    *items = items.saturating_sub(1);
                }
                let items = match kind {
                    Type::Array | Type::ArrayIndef => Some(decoder.array()?),
                    Type::Map | Type::MapIndef => Some(decoder.map()?.map(|pairs| pairs.saturating_mul(2))),
                    _ => None,
                };
                match items {
                    Some(items) => {
                        let place = left.get_mut(depth).ok_or_else(|| Error::message("nested too deep"))?;
                        *place = items;
                        depth = depth.saturating_add(1);
                    }
                    None => decoder.skip()?,
                }
            }
        }
        while depth.checked_sub(1).and_then(|place| left.get(place)) == Some(&Some(0)) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

const fn elements_text(len: u64) -> &'static str {
    match len {
        2 => "an array of two elements",
        4 => "an array of four elements",
        _ => "an array of its fixed length",
    }
}

/// Keeps the first value of a key; a second one is refused, because readers would differ on which one counts.
pub(crate) fn once<T>(field: &'static str, at: usize, place: &mut Option<T>, value: T) -> Result<(), Error> {
    if place.replace(value).is_some() {
        return Err(Error::unexpected(field, at, "each key once", "a key twice"));
    }
    Ok(())
}

/// A claim that must be there.
pub(crate) fn required<T>(field: &'static str, wanted: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::unexpected(field, 0, wanted, "none"))
}

/// What an encoder into memory answers.
pub(crate) type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Writes CBOR into a vector.
pub(crate) fn write(
    field: &'static str,
    write: impl Fn(&mut Encoder<&mut Vec<u8>>) -> Written,
) -> Result<Vec<u8>, Error> {
    let mut written = Vec::new();
    write(&mut Encoder::new(&mut written))
        .map_err(|error| Error::unexpected(field, 0, "a value that CBOR can write", error))?;
    Ok(written)
}

/// A length as CBOR's heads have it.
pub(crate) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
