//! The JSON of `/infer`, with the binary tensors that may follow it.

use std::borrow::Cow;

use bytes::Bytes;

use super::grpc::check_type;
use crate::{
    error::{Error, Result},
    json::{Reader, TensorBuilder, write},
    limits::Limits,
    registry::Servable,
    tensor::{Data, Tensor, TensorSpec},
};

/// A request: what it asks for, and its tensors.
pub(super) struct Request {
    pub(super) id: Option<String>,
    pub(super) inputs: Vec<(String, Tensor)>,
    pub(super) outputs: Vec<Output>,
    /// Whether outputs are wanted in binary unless they say otherwise.
    pub(super) binary: bool,
}

/// An output that is asked for by name.
pub(super) struct Output {
    pub(super) name: String,
    /// Whether it is wanted in binary, if it says.
    pub(super) binary: Option<bool>,
}

/// Reads a request. With `header_length`, binary tensors follow the JSON of that length.
pub(super) fn read(
    servable: &Servable,
    body: &Bytes,
    header_length: Option<usize>,
    limits: &Limits,
) -> Result<Request> {
    let length = header_length.unwrap_or(body.len());
    let Some(text) = body.get(..length) else {
        let found = format!("{} bytes", body.len());
        return Err(Error::invalid("body", format!("{length} bytes of JSON, as the header says"), found));
    };
    let mut binary = Binary { rest: body.slice(length..) };
    let most = servable.model.outputs().len();
    let mut request = Request { id: None, inputs: Vec::new(), outputs: Vec::new(), binary: false };
    let mut reader = Reader::new(text, false)?;
    reader.members(|reader, key| {
        match key {
            "id" => request.id = Some(reader.string()?.into_owned()),
            "parameters" => request.binary = parameters(reader)?.binary_data_output.unwrap_or(false),
            "inputs" => {
                reader.array(|reader| {
                    let input = Input::read(reader)?;
                    if request.inputs.iter().any(|(name, _)| *name == input.name) {
                        return Err(Error::invalid("inputs", "each name once", format!("`{}` twice", input.name)));
                    }
                    request.inputs.push(input.decode(servable, &mut binary, limits)?);
                    Ok(())
                })?;
            }
            "outputs" => {
                reader.array(|reader| {
                    if request.outputs.len() == most {
                        return Err(reader.error(format!("no more outputs than the model's {most}"), "another"));
                    }
                    request.outputs.push(output(reader)?);
                    Ok(())
                })?;
            }
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?;
    reader.end()?;
    binary.end()?;
    Ok(request)
}

/// The binary tensors that are not taken yet.
struct Binary {
    rest: Bytes,
}

impl Binary {
    fn take(&mut self, place: &str, length: u64) -> Result<Bytes> {
        let there = self.rest.len();
        match usize::try_from(length).ok().filter(|&length| length <= there) {
            Some(length) => Ok(self.rest.split_to(length)),
            None => Err(Error::invalid(place, format!("{length} bytes of binary data"), format!("{there}"))),
        }
    }

    fn end(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Error::invalid("body", "its end after the tensors", format!("{left} more bytes"))),
        }
    }
}

/// What parameters say that is known here.
#[derive(Default)]
struct Parameters {
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    binary_data_size: Option<u64>,
}

fn parameters(reader: &mut Reader<'_>) -> Result<Parameters> {
    let mut found = Parameters::default();
    reader.members(|reader, name| {
        super::check_parameter(name)?;
        match name {
            "binary_data" => found.binary_data = Some(reader.boolean()?),
            "binary_data_output" => found.binary_data_output = Some(reader.boolean()?),
            "binary_data_size" => found.binary_data_size = Some(whole_number(reader)?),
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?;
    Ok(found)
}

fn whole_number(reader: &mut Reader<'_>) -> Result<u64> {
    let text = reader.number()?;
    text.parse().map_err(|_| reader.error("a whole number of at least 0", "another number"))
}

/// An input as it stands, its data still text: the members may come in any order.
struct Input<'a> {
    name: Cow<'a, str>,
    datatype: Cow<'a, str>,
    shape: Vec<u64>,
    /// Where it stands in the text.
    data: Option<Reader<'a>>,
    binary_size: Option<u64>,
}

impl<'a> Input<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let (mut name, mut datatype, mut shape, mut data, mut binary_size) = (None, None, None, None, None);
        reader.members(|reader, key| {
            match key {
                "name" => name = Some(reader.string()?),
                "datatype" => datatype = Some(reader.string()?),
                "shape" => shape = Some(shape_of(reader)?),
                "data" => {
                    data = Some(reader.clone());
                    reader.skip()?;
                }
                "parameters" => binary_size = parameters(reader)?.binary_data_size,
                _ => drop(reader.skip()?),
            }
            Ok(())
        })?;
        let name = name.ok_or_else(|| reader.error("an input with a `name`", "none"))?;
        let missing = |member| Error::invalid(format!("input `{name}`"), member, "none");
        Ok(Self {
            datatype: datatype.ok_or_else(|| missing("a `datatype`"))?,
            shape: shape.ok_or_else(|| missing("a `shape`"))?,
            data,
            binary_size,
            name,
        })
    }

    fn decode(self, servable: &Servable, binary: &mut Binary, limits: &Limits) -> Result<(String, Tensor)> {
        let spec = servable.input(&self.name)?;
        let place = spec.place();
        check_type(spec, &self.datatype)?;
        let (shape, elements) = limits.shape(&place, &self.shape)?;
        let data = match (self.data, self.binary_size) {
            (Some(mut reader), None) => listed(spec, &shape, elements, &mut reader, limits)?,
            (None, Some(size)) => Data::from_raw(&place, spec.data_type, &binary.take(&place, size)?)?,
            (Some(_), Some(_)) => return Err(Error::invalid(place, "`data` or `binary_data_size`", "both")),
            (None, None) => return Err(Error::invalid(place, "`data` or `binary_data_size`", "neither")),
        };
        Ok((self.name.into_owned(), Tensor::new(&place, shape, data)?))
    }
}

fn shape_of(reader: &mut Reader<'_>) -> Result<Vec<u64>> {
    let mut shape = Vec::new();
    reader.array(|reader| {
        shape.push(whole_number(reader)?);
        match shape.len() {
            length if length <= crate::limits::MAX_RANK => Ok(()),
            _ => Err(reader.error(format!("at most {} dimensions", crate::limits::MAX_RANK), "more")),
        }
    })?;
    Ok(shape)
}

/// Elements in one flat list, or nested as the shape says, which has so many.
fn listed(
    spec: &TensorSpec,
    shape: &[usize],
    elements: usize,
    reader: &mut Reader<'_>,
    limits: &Limits,
) -> Result<Data> {
    let place = spec.place();
    let mut builder = TensorBuilder::new(&place, spec.data_type, elements, *limits);
    builder.push(reader)?;
    let (nested, data) = builder.finish()?;
    if nested.len() > 1 && nested != shape {
        return Err(Error::invalid(place, format!("data of shape {shape:?}"), format!("shape {nested:?}")));
    }
    Ok(data)
}

fn output(reader: &mut Reader<'_>) -> Result<Output> {
    let (mut name, mut binary) = (None, None);
    reader.members(|reader, key| {
        match key {
            "name" => name = Some(reader.string()?.into_owned()),
            "parameters" => binary = parameters(reader)?.binary_data,
            _ => drop(reader.skip()?),
        }
        Ok(())
    })?;
    let name = name.ok_or_else(|| reader.error("an output with a `name`", "none"))?;
    Ok(Output { name, binary })
}

/// An answer: the wanted outputs of a model.
pub(super) struct Answer<'a> {
    pub(super) servable: &'a Servable,
    pub(super) id: Option<&'a str>,
    pub(super) wanted: &'a [usize],
    pub(super) outputs: Vec<Tensor>,
}

impl Answer<'_> {
    /// The JSON, and the tensors that go behind it: those whose place among the wanted ones is `binary`.
    pub(super) fn write(&self, binary: impl Fn(usize) -> bool) -> Result<(String, Vec<u8>)> {
        let mut text = String::from("{\"model_name\": ");
        let mut tensors = Vec::new();
        write::string(&mut text, &self.servable.name);
        text.push_str(", \"model_version\": ");
        write::string(&mut text, &self.servable.version.to_string());
        if let Some(id) = self.id {
            text.push_str(", \"id\": ");
            write::string(&mut text, id);
        }
        text.push_str(", \"outputs\": [");
        for (place, (&output, tensor)) in self.wanted.iter().zip(&self.outputs).enumerate() {
            let Some(spec) = self.servable.model.outputs().get(output) else { continue };
            if place > 0 {
                text.push_str(", ");
            }
            write_output(&mut text, &mut tensors, spec, tensor, binary(place))?;
        }
        text.push_str("]}");
        Ok((text, tensors))
    }
}

fn write_output(
    text: &mut String,
    tensors: &mut Vec<u8>,
    spec: &TensorSpec,
    tensor: &Tensor,
    binary: bool,
) -> Result<()> {
    text.push_str("{\"name\": ");
    write::string(text, &spec.name);
    text.push_str(", \"datatype\": ");
    write::string(text, spec.data_type.name());
    let shape: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
    text.push_str(&format!(", \"shape\": [{}]", shape.join(", ")));
    if binary {
        let before = tensors.len();
        tensor.data().write_raw(tensors);
        text.push_str(&format!(", \"parameters\": {{\"binary_data_size\": {}}}}}", tensors.len() - before));
        return Ok(());
    }
    if !tensor.data().is_finite() {
        return Err(Error::Unsupported {
            place: format!("output `{}` in JSON", spec.name),
            reason: "it holds NaN or infinity, which JSON cannot say; ask for it with `binary_data`",
        });
    }
    text.push_str(", \"data\": ");
    write::list(text, tensor.data().len(), |text, index| write::element(text, tensor.data(), index, false));
    text.push('}');
    Ok(())
}
