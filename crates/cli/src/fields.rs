//! Named values in the order of their format: what `inspect` and its kin print, as text or JSON.

use sealwright_appraise::Plain;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A value that can be printed.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A word, a number, a digest in hex.
    Text(String),
    /// Bytes that are too many for a line: hex in JSON, their number in text.
    Bytes(Vec<u8>),
    /// A number.
    Number(Number),
    /// A yes or a no.
    Flag(bool),
    /// Values in a row.
    List(Vec<Value>),
    /// Named values.
    Fields(Fields),
    /// Values in a row, none of which fits behind a name, each made when it is printed.
    Rows(Rows),
}

/// What is read from a log of any length, a record a row. The rows are not kept, because they are up to a hundred times as long as what they are read
/// from: each time that they are printed they are read again, one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    bytes: Arc<Vec<u8>>,
    count: usize,
    read: ReadRows,
}

/// Reads rows from bytes that are known to hold them.
pub(crate) type ReadRows = for<'b> fn(&'b [u8]) -> Box<dyn Iterator<Item = Value> + 'b>;

impl Rows {
    /// The rows, `count` in number, that `read` finds in `bytes`.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>, count: usize, read: ReadRows) -> Self {
        Self { bytes: Arc::new(bytes.into()), count, read }
    }

    fn iter(&self) -> impl Iterator<Item = Value> {
        (self.read)(&self.bytes)
    }
}

/// Named values, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// These, and one more.
    #[must_use]
    pub(crate) fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// These, and one more where there is one.
    #[must_use]
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// These, and the bytes in hex.
    #[must_use]
    pub(crate) fn hex(self, name: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.with(name, hex::encode(bytes))
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let named: Vec<_> = self.0.iter().map(|(name, value)| (Plain(name).to_string(), value)).collect();
        let width = named.iter().filter(|(_, value)| value.is_short()).map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &named {
            match value {
                Value::Fields(fields) => {
                    writeln!(f, "{:indent$}{name}", "")?;
                    fields.print(f, indent + 2)?;
                }
                Value::List(list) if !value.is_short() => {
                    writeln!(f, "{:indent$}{name}", "")?;
                    list.iter().try_for_each(|item| item.print_item(f, indent + 2))?;
                }
                Value::Rows(rows) if rows.count > 0 => {
                    writeln!(f, "{:indent$}{name}", "")?;
                    rows.iter().try_for_each(|row| row.print_item(f, indent + 2))?;
                }
                short => writeln!(f, "{:indent$}{name:width$}  {short}", "")?,
            }
        }
        Ok(())
    }
}

impl Value {
    /// Whether it fits behind its name on one line.
    fn is_short(&self) -> bool {
        match self {
            Self::Text(_) | Self::Bytes(_) | Self::Number(_) | Self::Flag(_) => true,
            Self::List(list) => list.iter().all(|item| matches!(item, Self::Text(text) if text.len() < 32)),
            Self::Fields(_) => false,
            Self::Rows(rows) => rows.count == 0,
        }
    }

    fn print_item(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Self::Fields(fields) => {
                fields.print(f, indent)?;
                writeln!(f)
            }
            other => writeln!(f, "{:indent$}{other}", ""),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Plain(text).fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::List(list) if list.is_empty() => f.write_str("none"),
            Self::List(list) => {
                let items: Vec<_> = list.iter().map(ToString::to_string).collect();
                f.write_str(&items.join(", "))
            }
            Self::Fields(fields) => fields.print(f, 0),
            Self::Rows(rows) if rows.count == 0 => f.write_str("none"),
            Self::Rows(rows) => rows.iter().try_for_each(|row| row.print_item(f, 0)),
        }
    }
}

/// Bytes in hex, some at a time.
struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chunks(1024).try_for_each(|chunk| f.write_str(&hex::encode(chunk)))
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.collect_str(&Hex(bytes)),
            Self::Number(number) => number.serialize(serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(list) => list.serialize(serializer),
            Self::Fields(fields) => fields.serialize(serializer),
            Self::Rows(rows) => serializer.collect_seq(rows.iter()),
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Text("null".to_owned()),
            serde_json::Value::Bool(flag) => Self::Flag(flag),
            serde_json::Value::Number(number) => Self::Number(number),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                Self::Fields(members.into_iter().fold(Fields::new(), |fields, (name, value)| fields.with(name, value)))
            }
        }
    }
}

impl From<Rows> for Value {
    fn from(rows: Rows) -> Self {
        Self::Rows(rows)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A value as JSON says it, with an object's members by their names, and without those that are null. Lists of anything but texts become
/// [`Rows`].
pub(crate) struct FromJson(pub(crate) Option<Value>);

impl<'de> Deserialize<'de> for FromJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadJson)
    }
}

struct ReadJson;

impl<'de> Visitor<'de> for ReadJson {
    type Value = FromJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<FromJson, E> {
        Ok(FromJson(None))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<FromJson, E> {
        Ok(FromJson(Some(Value::Flag(flag))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<FromJson, E> {
        Ok(FromJson(Some(Value::Number(number.into()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<FromJson, E> {
        Ok(FromJson(Some(Value::Number(number.into()))))
    }

    fn visit_str<E>(self, text: &str) -> Result<FromJson, E> {
        Ok(FromJson(Some(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<FromJson, A::Error> {
        let (mut texts, mut rows, mut count) = (Vec::new(), Vec::new(), 0usize);
        while let Some(FromJson(element)) = elements.next_element()? {
            match element {
                Some(text @ Value::Text(_)) if count == 0 => texts.push(text),
                row => {
                    let row = row.unwrap_or_else(|| "null".into());
                    for row in texts.drain(..).chain([row]) {
                        serde_json::to_writer(&mut rows, &row).map_err(A::Error::custom)?;
                        rows.push(b'\n');
                        count += 1;
                    }
                }
            }
        }
        let read: ReadRows = |rows| {
            let rows = serde_json::Deserializer::from_slice(rows).into_iter::<FromJson>();
            Box::new(rows.map_while(Result::ok).filter_map(|FromJson(row)| row))
        };
        Ok(FromJson(Some(if count == 0 { Value::List(texts) } else { Rows::new(rows, count, read).into() })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<FromJson, A::Error> {
        let mut fields: Vec<(Cow<'static, str>, Value)> = Vec::new();
        while let Some((name, FromJson(value))) = members.next_entry::<String, FromJson>()? {
            fields.extend(value.map(|value| (Cow::Owned(name), value)));
        }
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(FromJson(Some(Fields(fields).into())))
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

macro_rules! from_number {
    ($($number:ty),*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        }
    )*};
}
from_number!(u8, u16, u32, u64);

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_aligns_and_indents() {
        let fields = Fields::new()
            .with("version", 4u16)
            .with("debug", false)
            .with("body", Fields::new().hex("mrtd", [0xab]))
            .with("advisories", Vec::<String>::new());
        assert_eq!(fields.to_string(), "version     4\ndebug       no\nbody\n  mrtd  ab\nadvisories  none\n");
    }

    #[test]
    fn bytes_are_counted_in_text_and_hex_in_json() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let fields = Fields::new().with("data", Value::Bytes(bytes.clone()));
        assert_eq!(fields.to_string(), "data  3000 bytes\n");
        assert_eq!(serde_json::to_string(&fields).unwrap(), format!(r#"{{"data":"{}"}}"#, hex::encode(bytes)));
    }

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        let fields = Fields::new().with("name\u{200b}", "a\u{1b}[2Jb");
        assert_eq!(fields.to_string(), "name\\u{200b}  a\\u{1b}[2Jb\n");
        assert_eq!(serde_json::to_string(&fields).unwrap(), "{\"name\u{200b}\":\"a\\u001b[2Jb\"}");
    }

    #[test]
    fn rows_are_printed_as_the_list_of_them_is() {
        fn read(bytes: &[u8]) -> Box<dyn Iterator<Item = Value> + '_> {
            Box::new(bytes.iter().map(|byte| Fields::new().with("byte", *byte).into()))
        }
        for bytes in [&b"ab"[..], b""] {
            let rows = Fields::new().with("n", 1u8).with("all", Rows::new(bytes, bytes.len(), read)).with("kind", "x");
            let list = Fields::new().with("n", 1u8).with("all", read(bytes).collect::<Vec<_>>()).with("kind", "x");
            assert_eq!(rows.to_string(), list.to_string());
            let json = |fields: &Fields| serde_json::to_string_pretty(fields).unwrap();
            assert_eq!(json(&rows), json(&list));
        }
    }

    #[test]
    fn a_document_is_printed_by_its_names_without_what_is_null() {
        let text = r#"{"z":[{"b":1,"a":null,"c":[true]},{"a":"x"}],"n":null,"m":[7,8],"words":["a","b"],"a":{"y":-1},"none":[]}"#;
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let FromJson(read) = serde_json::from_str(text).unwrap();
        let json = serde_json::to_string(&read).unwrap();
        assert_eq!(json, r#"{"a":{"y":-1},"m":[7,8],"none":[],"words":["a","b"],"z":[{"b":1,"c":[true]},{"a":"x"}]}"#);
        let mut known = document;
        known.as_object_mut().unwrap().remove("n");
        known["z"][0].as_object_mut().unwrap().remove("a");
        assert_eq!(read.unwrap().to_string(), Value::from(known).to_string());
    }

    #[test]
    fn json_keeps_the_order() {
        let fields = Fields::new().with("z", 1u8).with("a", true);
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"z":1,"a":true}"#);
    }
}
