//! Nested lists into tensors.

use bytes::Bytes;

use super::{Kind, Reader};
use crate::{
    error::{Error, Result},
    limits::{Limits, MAX_RANK, MAX_STRINGS},
    tensor::{Data, DataType, for_each_number},
};

/// Collects nested lists of one element type into a flat list, and their shape. Several values may be pushed one after the
/// other; they must have the same shape.
pub(crate) struct TensorBuilder<'p> {
    place: &'p str,
    limits: Limits,
    /// How many elements the model could take here.
    most: usize,
    data: Data,
    /// The size of each level, unknown until its first list is closed.
    sizes: [Option<usize>; MAX_RANK],
    /// The number of levels, known since the first element.
    rank: Option<usize>,
}

impl<'p> TensorBuilder<'p> {
    /// An empty builder; `place` is for errors. It takes at most `most` elements: what the model has no use for is not kept.
    pub(crate) fn new(place: &'p str, data_type: DataType, most: usize, limits: Limits) -> Self {
        let data = Data::with_capacity(data_type, 0);
        Self { place, limits, most, data, sizes: [None; MAX_RANK], rank: None }
    }

    /// Reads one value: an element, or lists of elements.
    pub(crate) fn push(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.level(reader, 0)
    }

    /// The shape of each pushed value, and the elements of all.
    pub(crate) fn finish(self) -> Result<(Vec<usize>, Data)> {
        let rank = self.rank.ok_or_else(|| Error::invalid(self.place, "elements", "none"))?;
        Ok((self.sizes.into_iter().take(rank).map(Option::unwrap_or_default).collect(), self.data))
    }

    fn level(&mut self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        if reader.kind()? != Kind::Array {
            return self.element(reader, level);
        }
        let deepest = self.rank.unwrap_or(MAX_RANK);
        if level >= deepest {
            return Err(reader.error(format!("lists nested {deepest} deep"), "a list that is deeper"));
        }
        let size = reader.array(|reader| self.level(reader, level + 1))?;
        let expected = *self.sizes[level].get_or_insert(size);
        if size != expected {
            return Err(reader.error(format!("a list of {expected}, as before"), format!("one of {size}")));
        }
        Ok(())
    }

    fn element(&mut self, reader: &mut Reader<'_>, level: usize) -> Result<()> {
        let rank = *self.rank.get_or_insert(level);
        if level != rank {
            return Err(reader.error(format!("elements nested {rank} deep"), format!("one nested {level} deep")));
        }
        self.one_more()?;
        push_element(self.place, &mut self.data, reader)
    }

    /// That there is room for one more element. A string of two bytes in JSON takes some tens in memory, so they are bounded
    /// as they are over gRPC.
    fn one_more(&self) -> Result<()> {
        let found = self.data.len() + 1;
        self.limits.elements(found)?;
        if self.data.data_type() == DataType::Bytes && found > MAX_STRINGS {
            return Err(Error::TooLarge {
                what: "strings in a tensor",
                limit: MAX_STRINGS as u64,
                found: found as u64,
            });
        }
        if found > self.most {
            return Err(Error::invalid(self.place, format!("at most {} elements", self.most), "more"));
        }
        Ok(())
    }
}

/// A number type of tensors.
trait Element: std::str::FromStr {
    /// Whether text was too large for it and became infinite.
    fn is_infinite(&self) -> bool {
        false
    }
}

macro_rules! define_push {
    ($($variant:ident($native:ty) $name:literal,)*) => {
        fn push_element(place: &str, data: &mut Data, reader: &mut Reader<'_>) -> Result<()> {
            let kind = reader.kind()?;
            match (data, kind) {
                (Data::Bool(values), Kind::Boolean) => values.push(reader.boolean()?),
                (Data::Bytes(values), Kind::String) => values.push(reader.string()?.into_owned().into()),
                (Data::Bytes(values), Kind::Object) if reader.at_binary() => values.push(binary(reader)?),
                $((Data::$variant(values), Kind::Number) => values.push(parse(reader, $name)?),)*
                (data, kind) => {
                    let expected = format!("elements of type {}", data.data_type());
                    return Err(Error::invalid(place, expected, kind.name()));
                }
            }
            Ok(())
        }
    };
}
for_each_number!(define_push);

impl Element for u8 {}
impl Element for u16 {}
impl Element for u32 {}
impl Element for u64 {}
impl Element for i8 {}
impl Element for i16 {}
impl Element for i32 {}
impl Element for i64 {}
impl Element for f32 {
    fn is_infinite(&self) -> bool {
        f32::is_infinite(*self)
    }
}
impl Element for f64 {
    fn is_infinite(&self) -> bool {
        f64::is_infinite(*self)
    }
}

fn parse<T: Element>(reader: &mut Reader<'_>, type_name: &str) -> Result<T> {
    let text = reader.number()?;
    let asked_for = text.ends_with("Infinity");
    let value = text.parse().ok().filter(|value: &T| asked_for || !value.is_infinite());
    value.ok_or_else(|| reader.error(format!("a number that fits {type_name}"), "another number"))
}

/// Reads `{"b64": "..."}`.
fn binary(reader: &mut Reader<'_>) -> Result<Bytes> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut decoded = None;
    reader.object(|reader, key| {
        let text = reader.string()?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| reader.error("base64", "other text"))?;
        if key != "b64" || decoded.replace(Bytes::from(bytes)).is_some() {
            return Err(reader.error("one member `b64`", "another"));
        }
        Ok(())
    })?;
    decoded.ok_or_else(|| reader.error("a member `b64`", "none"))
}
