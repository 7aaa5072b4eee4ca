//! What an ONNX file declares of its inputs and outputs (onnx/onnx.proto: `ModelProto`, `ValueInfoProto`), and whether it
//! computes with 64-bit integers.

use std::collections::HashMap;

use prost::Message as _;

use crate::{
    proto::onnx::{ModelProto, NodeProto, TypeProto, ValueInfoProto, tensor_shape_proto::dimension::Value},
    tensor::{DataType, Dimension, TensorSpec},
};

/// Declared inputs (including initialisers that old files list there) and outputs, in the file's order.
pub(super) struct Declared {
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
}

/// Operators whose result may need more bits than what they are given.
const ARITHMETIC: [&str; 19] = [
    "Abs",
    "Add",
    "BitShift",
    "CumSum",
    "Div",
    "Einsum",
    "Gemm",
    "MatMul",
    "Mul",
    "Neg",
    "Pow",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Sub",
    "Sum",
];
/// Operators whose result consists of elements of their first input.
const MOVES_FIRST: [&str; 22] = [
    "Clip",
    "Compress",
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Pad",
    "ReduceMax",
    "ReduceMin",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];
/// Operators whose result consists of elements of all their inputs.
const MOVES_ALL: [&str; 6] = ["Concat", "Max", "Min", "ScatterElements", "ScatterND", "Where"];

impl Declared {
    /// Reads the declarations and skips all else.
    pub(super) fn parse(onnx: &[u8]) -> Result<Self, String> {
        let model = ModelProto::decode(onnx).map_err(|error| format!("not an ONNX file: {error}"))?;
        let graph = model.graph.ok_or("not an ONNX file: it has no graph")?;
        Ok(Self { inputs: graph.input, outputs: graph.output, nodes: graph.node })
    }

    /// The input of this name.
    pub(super) fn input(&self, name: &str) -> Result<TensorSpec, String> {
        spec(&self.inputs, name)
    }

    /// The output of this name.
    pub(super) fn output(&self, name: &str) -> Result<TensorSpec, String> {
        spec(&self.outputs, name)
    }

    /// That the main graph does not compute with what clients send as `INT64`, as far as that is moved about and not
    /// converted. Nodes come after those whose results they take.
    pub(super) fn check_int64(&self, inputs: &[TensorSpec]) -> Result<(), String> {
        let names = inputs.iter().filter(|spec| spec.data_type == DataType::I64).map(|spec| spec.name.as_str());
        // Each value that holds elements of such an input, and which.
        let mut from: HashMap<&str, &str> = names.map(|name| (name, name)).collect();
        for node in &self.nodes {
            let operator = node.op_type.as_str();
            let origin = |inputs: &[String]| inputs.iter().find_map(|input| from.get(input.as_str()).copied());
            if let Some(input) = origin(&node.input).filter(|_| ARITHMETIC.contains(&operator)) {
                return Err(format!(
                    "`{operator}` computes with the INT64 input `{input}`: this runtime has 32 bits and would wrap \
                     silently; use FLOAT or INT32 there"
                ));
            }
            let moved = match operator {
                _ if MOVES_FIRST.contains(&operator) => node.input.get(..1).and_then(origin),
                _ if MOVES_ALL.contains(&operator) => origin(&node.input),
                _ => None,
            };
            if let Some(input) = moved {
                from.extend(node.output.iter().map(|output| (output.as_str(), input)));
            }
        }
        Ok(())
    }
}

fn spec(values: &[ValueInfoProto], name: &str) -> Result<TensorSpec, String> {
    let value = values.iter().find(|value| value.name == name).ok_or_else(|| format!("`{name}` is not declared"))?;
    let tensor = match &value.r#type {
        Some(TypeProto { tensor_type: Some(tensor) }) => tensor,
        _ => return Err(format!("`{name}` is not declared as a tensor")),
    };
    let data_type =
        element_type(tensor.elem_type).ok_or_else(|| format!("`{name}` has element type {}", tensor.elem_type))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| format!("`{name}` has no declared shape"))?;
    let dimension = |dimension: &crate::proto::onnx::tensor_shape_proto::Dimension| match &dimension.value {
        Some(Value::DimValue(size)) => {
            usize::try_from(*size).map(Dimension::Fixed).map_err(|_| format!("`{name}` has a dimension of {size}"))
        }
        Some(Value::DimParam(name)) => Ok(Dimension::Any(name.clone())),
        None => Ok(Dimension::Any(String::new())),
    };
    let shape = shape.dim.iter().map(dimension).collect::<Result<_, _>>()?;
    Ok(TensorSpec { name: name.to_owned(), data_type, shape })
}

/// `TensorProto.DataType` of ONNX.
const fn element_type(number: i32) -> Option<DataType> {
    Some(match number {
        1 => DataType::F32,
        2 => DataType::U8,
        3 => DataType::I8,
        4 => DataType::U16,
        5 => DataType::I16,
        6 => DataType::I32,
        7 => DataType::I64,
        8 => DataType::Bytes,
        9 => DataType::Bool,
        11 => DataType::F64,
        12 => DataType::U32,
        13 => DataType::U64,
        _ => return None,
    })
}
