//! JSON (RFC 8259) whose bulk is tensors.
//!
//! Why not a generic parser: nested lists go straight into one flat list of the right element type, numbers are rounded once
//! from their text, `NaN` and `Infinity` are tokens where TensorFlow Serving's clients send them, depth and element
//! counts are bounded while reading, and every error says the byte.

mod builder;
mod reader;
pub(crate) mod write;

pub(crate) use builder::TensorBuilder;
pub(crate) use reader::{Kind, Reader};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use bytes::Bytes;

    use super::{reader::*, *};
    use crate::{
        error::{Error, Result},
        limits::{Limits, MAX_RANK, MAX_STRINGS},
        tensor::{Data, DataType},
    };

    fn tensor(text: &str, data_type: DataType, non_finite: bool) -> Result<(Vec<usize>, Data)> {
        let mut reader = Reader::new(text.as_bytes(), non_finite)?;
        let mut builder = TensorBuilder::new("x", data_type, usize::MAX, Limits::default());
        builder.push(&mut reader)?;
        reader.end()?;
        builder.finish()
    }

    #[test]
    fn nested_lists_become_shape_and_elements() {
        let (shape, data) = tensor(" [[1, 2.5e0],\n[ -3 ,4],[5,6]] ", DataType::F32, false).unwrap();
        assert_eq!((shape, data), (vec![3, 2], Data::F32(vec![1.0, 2.5, -3.0, 4.0, 5.0, 6.0])));
        assert_eq!(tensor("7", DataType::I64, false).unwrap(), (vec![], Data::I64(vec![7])));
        let (_, strings) = tensor(r#"["a\u00e9\n", {"b64": "AAE="}]"#, DataType::Bytes, false).unwrap();
        assert_eq!(strings, Data::Bytes(vec!["aé\n".into(), Bytes::from_static(&[0, 1])]));
    }

    #[test]
    fn ragged_lists_and_wrong_types_are_named() {
        let cases = [
            ("[[1,2],[3]]", DataType::F32, "expected a list of 2, as before, found one of 1"),
            ("[[1],2]", DataType::F32, "expected elements nested 2 deep, found one nested 1 deep"),
            ("[1,[2]]", DataType::F32, "expected lists nested 1 deep, found a list that is deeper"),
            ("[\"1\"]", DataType::F32, "expected elements of type FP32, found a string"),
            ("[true]", DataType::I32, "expected elements of type INT32, found a boolean"),
            ("[null]", DataType::Bool, "expected elements of type BOOL, found null"),
            ("[1.5]", DataType::I32, "expected a number that fits INT32, found another number"),
            ("[256]", DataType::U8, "expected a number that fits UINT8, found another number"),
            ("[1e39]", DataType::F32, "expected a number that fits FP32, found another number"),
            ("[]", DataType::F32, "expected elements, found none"),
            ("[1] 2", DataType::F32, "expected the end, found more text"),
            ("[NaN]", DataType::F32, "expected a value, found another character"),
            ("[01]", DataType::F32, "expected a number, found one that is not JSON"),
            ("[1.]", DataType::F32, "expected a number, found one that is not JSON"),
            ("[-]", DataType::F32, "expected a number, found one that is not JSON"),
            (r#"{"b64":"AAE="}"#, DataType::F32, "expected elements of type FP32, found an object"),
        ];
        for (text, data_type, message) in cases {
            let error = tensor(text, data_type, false).unwrap_err().to_string();
            assert!(error.ends_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn tokens_for_non_finite_numbers_where_they_are_allowed() {
        let (_, data) = tensor("[NaN, Infinity, -Infinity, 1]", DataType::F64, true).unwrap();
        let Data::F64(values) = data else { panic!("other type") };
        assert!(values[0].is_nan() && values[1] == f64::INFINITY && values[2] == f64::NEG_INFINITY);
        assert!(tensor("[Infinity]", DataType::I32, true).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(tensor(&deep(MAX_RANK), DataType::F32, false).is_ok());
        assert!(tensor(&deep(MAX_RANK + 1), DataType::F32, false).is_err());
        let text = deep(100_000);
        assert!(Reader::new(text.as_bytes(), false).unwrap().skip().is_err());
    }

    #[test]
    fn elements_are_bounded_while_reading() {
        let limits = Limits { elements: 3, ..Limits::default() };
        let text = &b"[1,2,3,4,5"[..];
        let mut builder = TensorBuilder::new("x", DataType::F32, usize::MAX, limits);
        let error = builder.push(&mut Reader::new(text, false).unwrap()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { found: 4, .. }), "{error}");
        let mut builder = TensorBuilder::new("x", DataType::F32, 2, limits);
        let error = builder.push(&mut Reader::new(text, false).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "x: expected at most 2 elements, found more");
    }

    #[test]
    fn strings_are_bounded_as_they_are_over_grpc() {
        let strings = |count| tensor(&format!("[{}]", vec!["\"\""; count].join(",")), DataType::Bytes, false);
        assert!(strings(MAX_STRINGS).is_ok());
        let error = strings(MAX_STRINGS + 1).unwrap_err();
        assert_eq!(error.to_string(), "strings in a tensor: expected at most 16384, found 16385");
    }

    #[test]
    fn every_cut_and_every_flip_of_a_request_is_an_error_or_a_value() {
        let text = br#"{"inputs": {"x": [[1.5, -2e3], [NaN, 4]], "s": ["\u0041", {"b64": "AAE="}]}, "n": null}"#;
        let read =
            |text: &[u8]| Reader::new(text, true).and_then(|mut reader| reader.skip().map(drop).and(reader.end()));
        read(text).unwrap();
        for length in 0..text.len() {
            assert!(read(&text[..length]).is_err(), "cut at {length}");
        }
        for (place, flip) in (0..text.len()).flat_map(|place| (0..8).map(move |bit| (place, 1 << bit))) {
            let mut flipped = text.to_vec();
            flipped[place] ^= flip;
            let _ = read(&flipped);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read_whole(value in value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut reader = Reader::new(text.as_bytes(), false).unwrap();
            prop_assert_eq!(reader.skip().unwrap(), text.as_str());
            reader.end().unwrap();
        }

        #[test]
        fn what_is_read_serde_json_reads_too(text in r#"[\[\]{}",:0-9eE.+\- tfnu\\a-c]{0,24}"#) {
            let ours = Reader::new(text.as_bytes(), false).and_then(|mut reader| reader.skip().map(drop).and(reader.end()));
            prop_assert_eq!(ours.is_ok(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn numbers_are_rounded_once(numbers in proptest::collection::vec(any::<f32>().prop_filter("finite", |n| n.is_finite()), 1..20)) {
            let text = format!("{numbers:?}");
            prop_assert_eq!(tensor(&text, DataType::F32, false).unwrap(), (vec![numbers.len()], Data::F32(numbers)));
        }
    }
}
