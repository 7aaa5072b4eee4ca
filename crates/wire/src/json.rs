//! JSON that is paid for by its length, whoever wrote it.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Reads a list of at most `LIMIT` elements; one more is refused before it is kept.
///
/// An empty text costs a list eight times what it costs the document, and a list that grows is there twice. So this one grows by a half, and
/// ends as long as it is.
pub(crate) fn at_most<'de, D, T, const LIMIT: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List::<T, LIMIT>(PhantomData))
}

struct List<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for List<T, LIMIT> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LIMIT} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == LIMIT {
                return Err(A::Error::invalid_length(LIMIT.saturating_add(1), &self));
            }
            if list.len() == list.capacity() {
                list.reserve_exact((list.len() / 2).max(1));
            }
            list.push(element);
        }
        list.shrink_to_fit();
        Ok(list)
    }
}

/// Reads a structure from an object alone. What is derived reads it from a list of its members' values too, which nobody writes and which is a
/// third as long.
pub(crate) struct Object<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// Which of some names are those of members of an object, as far as it can be read: of one that is cut or damaged, those before the damage.
pub fn members_among<'a>(text: &[u8], names: &[&'a str]) -> Vec<&'a str> {
    let mut members = Members { names, found: Vec::new() };
    // What is wrong with the document is for whoever reads it by its schema.
    let _ = members.deserialize(&mut serde_json::Deserializer::from_slice(text));
    members.found
}

struct Members<'n, 'a> {
    names: &'n [&'a str],
    /// Each once.
    found: Vec<&'a str>,
}

impl<'de> DeserializeSeed<'de> for &mut Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if let Some(known) = self.names.iter().find(|known| **known == name)
                && !self.found.contains(known)
            {
                self.found.push(known);
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_before_the_damage_are_found() {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        for (text, found) in [
            (r#"{"a":{"c":0},"b":[1,{}]}"#, vec!["a", "b"]),
            (r#"{"b":0,"a":0,"b":0}"#, vec!["b", "a"]),
            (r#"{"\u0061":0}"#, vec!["a"]),
            (r#"{"b":0,"a":"cut"#, vec!["b", "a"]),
            (r#"{"b":0,"a"#, vec!["b"]),
            (r#"{"b":0;"a":0}"#, vec!["b"]),
            (r#"["a"]"#, vec![]),
            ("", vec![]),
        ] {
            assert_eq!(members_among(text.as_bytes(), &NAMES), found, "{text}");
        }
    }
}
