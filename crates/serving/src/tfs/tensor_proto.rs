//! `tensorflow.TensorProto` and our tensors.

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    limits::Limits,
    proto::{
        tensorflow::{DataType as Wire, TensorProto, TensorShapeProto, tensor_shape_proto::Dim},
        typed_lists,
    },
    tensor::{Data, DataType, Tensor, TensorSpec},
};

/// The type's number on the wire.
pub(super) const fn wire_type(data_type: DataType) -> Wire {
    match data_type {
        DataType::Bool => Wire::DtBool,
        DataType::Bytes => Wire::DtString,
        DataType::U8 => Wire::DtUint8,
        DataType::U16 => Wire::DtUint16,
        DataType::U32 => Wire::DtUint32,
        DataType::U64 => Wire::DtUint64,
        DataType::I8 => Wire::DtInt8,
        DataType::I16 => Wire::DtInt16,
        DataType::I32 => Wire::DtInt32,
        DataType::I64 => Wire::DtInt64,
        DataType::F32 => Wire::DtFloat,
        DataType::F64 => Wire::DtDouble,
    }
}

/// A tensor from the wire, held to what the model declares for it.
pub(super) fn decode(spec: &TensorSpec, wire: TensorProto, limits: &Limits) -> Result<Tensor> {
    let place = spec.place();
    let declared = wire_type(spec.data_type);
    if wire.dtype() != declared {
        let found =
            Wire::try_from(wire.dtype).map_or_else(|_| format!("type {}", wire.dtype), |t| t.as_str_name().into());
        return Err(Error::invalid(place, declared.as_str_name(), found));
    }
    let shape = wire.tensor_shape.as_ref().filter(|shape| !shape.unknown_rank);
    let shape = shape.ok_or_else(|| Error::invalid(&place, "a shape", "none"))?;
    let sizes: Vec<i64> = shape.dim.iter().map(|dim| dim.size).collect();
    let (shape, elements) = limits.shape(&place, &sizes)?;
    let data = if wire.tensor_content.is_empty() {
        repeated(elements, from_lists(&place, spec.data_type, wire)?)
    } else {
        Data::from_raw(&place, spec.data_type, &content(&place, spec.data_type, wire.tensor_content)?)?
    };
    Tensor::new(&place, shape, data)
}

/// `tensor_content` of numbers is their raw form; of strings TensorFlow has a form of its own, which clients do not send.
fn content(place: &str, data_type: DataType, content: Bytes) -> Result<Bytes> {
    if data_type == DataType::Bytes {
        return Err(Error::invalid(place, "strings in string_val", "tensor_content"));
    }
    Ok(content)
}

typed_lists!(TensorProto {
    Bool: bool_val,
    U32: uint32_val,
    U64: uint64_val,
    I32: int_val,
    I64: int64_val,
    F32: float_val,
    F64: double_val,
} strings { string_val } narrow {
    U8: int_val,
    U16: int_val,
    I8: int_val,
    I16: int_val,
});

/// A list shorter than the tensor stands for one whose last element is repeated, and an empty one for zeros: so TensorFlow
/// writes constants.
fn repeated(elements: usize, mut data: Data) -> Data {
    macro_rules! repeat {
        ($($variant:ident),*) => {
            match &mut data {
                $(Data::$variant(values) => {
                    let last = values.last().cloned().unwrap_or_default();
                    values.resize(elements.max(values.len()), last);
                })*
            }
        };
    }
    repeat!(Bool, Bytes, U8, U16, U32, U64, I8, I16, I32, I64, F32, F64);
    data
}

/// A tensor for the wire, in typed lists, as TensorFlow Serving answers.
pub(super) fn encode(tensor: Tensor) -> TensorProto {
    let dim = tensor.dimensions().map(|size| Dim { size, name: String::new() }).collect();
    let wire = TensorProto {
        dtype: wire_type(tensor.data().data_type()).into(),
        tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
        ..TensorProto::default()
    };
    into_lists(tensor.into_data(), wire)
}
