//! Says in an ONNX file what its convolutions leave unsaid.
//!
//! ONNX lets `Conv` leave out `kernel_shape`, to be inferred from its weights (Operators, `Conv`). rten 0.27 takes the number
//! of dimensions from that attribute and refuses to run without it, so it is added before loading. Files are edited field by
//! field: whatever is not a convolution stays byte for byte as it was.

use std::{borrow::Cow, collections::HashMap};

use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

use crate::proto::{
    fields,
    onnx::{AttributeProto, NodeProto, TensorDims},
};

const MODEL_GRAPH: u32 = 7;
const GRAPH_NODE: u32 = 1;
const GRAPH_INITIALIZER: u32 = 5;
const NODE_ATTRIBUTE: u32 = 5;
/// `AttributeProto.AttributeType.INTS`.
const INTS: i32 = 7;
const CONVOLUTIONS: [&str; 3] = ["Conv", "ConvInteger", "ConvTranspose"];
/// Output and input channels come before the spatial dimensions of weights.
const CHANNELS: usize = 2;

/// The file, with the kernel shape at each convolution of its main graph whose weights are constants.
pub(super) fn complete(onnx: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    edit(onnx, |number, content| if number == MODEL_GRAPH { complete_graph(content) } else { Ok(None) })
        .map(|edited| edited.map_or(Cow::Borrowed(onnx), Cow::Owned))
}

fn complete_graph(graph: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut weights = HashMap::new();
    for field in fields(graph) {
        let (number, content, _) = field.map_err(malformed)?;
        if let (GRAPH_INITIALIZER, Some(content)) = (number, content) {
            let TensorDims { dims, name } = TensorDims::decode(content).map_err(malformed)?;
            weights.insert(name, dims);
        }
    }
    edit(graph, |number, content| if number == GRAPH_NODE { complete_node(content, &weights) } else { Ok(None) })
}

fn complete_node(node: &[u8], weights: &HashMap<String, Vec<i64>>) -> Result<Option<Vec<u8>>, String> {
    let NodeProto { input, op_type, attribute, .. } = NodeProto::decode(node).map_err(malformed)?;
    let said = attribute.iter().any(|attribute| attribute.name == "kernel_shape");
    if said || !CONVOLUTIONS.contains(&op_type.as_str()) {
        return Ok(None);
    }
    let kernel = input.get(1).and_then(|weight| weights.get(weight)).and_then(|dims| dims.get(CHANNELS..));
    let Some(kernel) = kernel else { return Ok(None) };
    let attribute = AttributeProto { name: "kernel_shape".into(), ints: kernel.to_vec(), r#type: INTS };
    let mut edited = node.to_vec();
    put(&mut edited, NODE_ATTRIBUTE, &attribute.encode_to_vec());
    Ok(Some(edited))
}

/// A copy of a message in which `change` has replaced some fields; `None` if it replaced none.
fn edit(
    message: &[u8],
    change: impl Fn(u32, &[u8]) -> Result<Option<Vec<u8>>, String>,
) -> Result<Option<Vec<u8>>, String> {
    let mut edited = Vec::new();
    let mut copied = 0;
    for field in fields(message) {
        let (number, content, range) = field.map_err(malformed)?;
        if let Some(changed) = content.map(|content| change(number, content)).transpose()?.flatten() {
            edited.extend_from_slice(&message[copied..range.start]);
            put(&mut edited, number, &changed);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    edited.extend_from_slice(&message[copied..]);
    Ok(Some(edited))
}

fn put(message: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

fn malformed(error: impl std::fmt::Display) -> String {
    format!("not an ONNX file: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
        let mut message = Vec::new();
        fields.iter().for_each(|(number, content)| put(&mut message, *number, content));
        message
    }

    fn model(op_type: &str, attributes: Vec<AttributeProto>) -> Vec<u8> {
        let input = vec!["x".into(), "w".into()];
        let node = NodeProto { input, op_type: op_type.into(), attribute: attributes, ..NodeProto::default() };
        let weights = TensorDims { dims: vec![32, 3, 5, 7], name: "w".into() };
        let graph =
            message(&[(GRAPH_NODE, &node.encode_to_vec()), (GRAPH_INITIALIZER, &weights.encode_to_vec()), (99, b"x")]);
        message(&[(8, b"opset"), (MODEL_GRAPH, &graph), (99, b"unknown")])
    }

    fn kernel_shape(ints: Vec<i64>) -> AttributeProto {
        AttributeProto { name: "kernel_shape".into(), ints, r#type: INTS }
    }

    #[test]
    fn a_convolution_without_kernel_shape_gets_that_of_its_weights() {
        let model_without = model("Conv", vec![]);
        assert_eq!(complete(&model_without).unwrap(), model("Conv", vec![kernel_shape(vec![5, 7])]));
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for untouched in
            [model("Conv", vec![kernel_shape(vec![1, 1])]), model("Gemm", vec![]), message(&[(8, b"opset")])]
        {
            assert!(matches!(complete(&untouched).unwrap(), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn cut_and_flipped_files_are_errors_or_files() {
        let whole = model("Conv", vec![]);
        for length in 0..whole.len() {
            let _ = complete(&whole[..length]);
        }
        for (place, bit) in (0..whole.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            let _ = complete(&flipped);
        }
    }
}
