//! The fields of a protocol buffer, without knowing what message it is.

use std::ops::Range;

use prost::{
    bytes::Buf as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

/// A field: its number, its content if that has a length, and where it is, its key included.
pub(crate) type Field<'a> = (u32, Option<&'a [u8]>, Range<usize>);

/// The fields of a message in their order; the first that is malformed is the last.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, String>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if !rest.has_remaining() {
            return None;
        }
        let start = message.len() - rest.len();
        let field = next_field(&mut rest).map(|(number, content)| (number, content, start..message.len() - rest.len()));
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), String> {
    let (number, wire_type) = decode_key(rest).map_err(|error| error.to_string())?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, number, rest, DecodeContext::default()).map_err(|error| error.to_string())?;
        return Ok((number, None));
    }
    let length = decode_varint(rest).map_err(|error| error.to_string())?;
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (content, after) = split.ok_or("a field is longer than its message")?;
    *rest = after;
    Ok((number, Some(content)))
}
