//! The JSON of `:predict`: rows (`instances`) or columns (`inputs`) in, `predictions` or `outputs` out.

use crate::{
    error::{Error, Result},
    json::{Kind, Reader, TensorBuilder, write},
    limits::Limits,
    registry::Servable,
    tensor::{Data, Dimension, Tensor, TensorSpec},
};

/// Whether tensors are written element by element of the batch, or one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `instances` and `predictions`.
    Rows,
    /// `inputs` and `outputs`.
    Columns,
}

/// A `:predict` request.
pub(super) struct Request {
    pub(super) format: Format,
    pub(super) inputs: Vec<(String, Tensor)>,
}

/// Reads a request for this model.
pub(super) fn read(servable: &Servable, body: &[u8], limits: &Limits) -> Result<Request> {
    let mut reader = Reader::new(body, true)?;
    let mut request = None;
    reader.object(|reader, key| {
        let format = match key {
            "instances" => Format::Rows,
            "inputs" => Format::Columns,
            "signature_name" => return super::check_signature(&reader.string()?),
            _ => return reader.skip().map(drop),
        };
        let inputs = match format {
            Format::Rows => rows(servable, reader, limits)?,
            Format::Columns => columns(servable, reader, limits)?,
        };
        match request.replace(Request { format, inputs }) {
            None => Ok(()),
            Some(_) => Err(Error::invalid("request", "one of `instances` and `inputs`", "two of them")),
        }
    })?;
    reader.end()?;
    request.ok_or_else(|| Error::invalid("request", "`instances` or `inputs`", "neither"))
}

/// A builder for each input, in the model's order.
struct Columns<'p> {
    specs: &'p [TensorSpec],
    places: &'p [String],
    builders: Vec<TensorBuilder<'p>>,
}

impl<'p> Columns<'p> {
    fn new(specs: &'p [TensorSpec], places: &'p [String], limits: &Limits) -> Self {
        let builder = |(spec, place): (&TensorSpec, &'p String)| {
            TensorBuilder::new(place, spec.data_type, limits.most(spec), *limits)
        };
        let builders = specs.iter().zip(places).map(builder).collect();
        Self { specs, places, builders }
    }

    fn push(&mut self, index: usize, reader: &mut Reader<'_>) -> Result<()> {
        self.builders.get_mut(index).map_or(Ok(()), |builder| builder.push(reader))
    }

    /// The tensors: with the batch before their shape (rows), where each input has taken a value for each row, or as they are (columns).
    fn finish(self, batch: Option<usize>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
        let finish = |((spec, place), builder): ((&TensorSpec, &String), TensorBuilder<'p>)| {
            let (shape, data) = builder.finish()?;
            let shape: Vec<usize> = batch.into_iter().chain(shape).collect();
            let (shape, _) = limits.shape(place, &shape)?;
            Ok((spec.name.clone(), Tensor::new(place, shape, data)?))
        };
        self.specs.iter().zip(self.places).zip(self.builders).map(finish).collect()
    }
}

fn places(servable: &Servable) -> Vec<String> {
    servable.model.inputs().iter().map(TensorSpec::place).collect()
}

/// `instances`: a list with one element per row; each is the value of the only input, or an object with all inputs.
fn rows(servable: &Servable, reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let (specs, places) = (servable.model.inputs(), places(servable));
    let mut columns = Columns::new(specs, &places, limits);
    let open = specs.iter().any(|spec| matches!(spec.shape.first(), Some(Dimension::Any(_))));
    let mut batch = 0;
    reader.array(|reader| {
        batch += 1;
        if open {
            limits.batch(batch)?;
        }
        if reader.kind()? == Kind::Object && !reader.at_binary() {
            return named(servable, reader, |index, reader| columns.push(index, reader));
        }
        if specs.len() != 1 {
            return Err(reader.error(format!("an object with {} inputs", specs.len()), "a plain value"));
        }
        columns.push(0, reader)
    })?;
    columns.finish(Some(batch), limits)
}

/// `inputs`: the value of the only input, or an object with all inputs.
fn columns(servable: &Servable, reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let (specs, places) = (servable.model.inputs(), places(servable));
    let mut columns = Columns::new(specs, &places, limits);
    if reader.kind()? == Kind::Object && !reader.at_binary() {
        named(servable, reader, |index, reader| columns.push(index, reader))?;
    } else if specs.len() == 1 {
        columns.push(0, reader)?;
    } else {
        return Err(reader.error(format!("an object with {} inputs", specs.len()), "a plain value"));
    }
    columns.finish(None, limits)
}

/// An object with every input of the model exactly once.
fn named(
    servable: &Servable,
    reader: &mut Reader<'_>,
    mut each: impl FnMut(usize, &mut Reader<'_>) -> Result<()>,
) -> Result<()> {
    let specs = servable.model.inputs();
    let mut seen = vec![false; specs.len()];
    reader.object(|reader, name| {
        let spec = servable.input(name)?;
        let index = specs.iter().position(|other| other.name == spec.name).unwrap_or_default();
        if std::mem::replace(&mut seen[index], true) {
            return Err(reader.error("each input once", format!("`{name}` twice")));
        }
        each(index, reader)
    })?;
    match specs.iter().zip(&seen).find(|(_, seen)| !**seen) {
        Some((missing, _)) => Err(reader.error(format!("the input `{}`", missing.name), "none of that name")),
        None => Ok(()),
    }
}

/// Writes an answer. With one output its name is left out, as clients expect.
pub(super) fn write(format: Format, outputs: &[(&str, Tensor)]) -> Result<String> {
    let mut text = String::new();
    match format {
        Format::Rows => {
            text.push_str("{\"predictions\": ");
            write_rows(&mut text, outputs)?;
        }
        Format::Columns => {
            text.push_str("{\"outputs\": ");
            match outputs {
                [(name, tensor)] => write_tensor(&mut text, name, tensor),
                _ => write_object(&mut text, outputs, write_tensor),
            }
        }
    }
    text.push('}');
    Ok(text)
}

fn write_rows(text: &mut String, outputs: &[(&str, Tensor)]) -> Result<()> {
    let mut batches = outputs.iter().map(|(_, tensor)| tensor.shape().first().copied());
    let first = batches.next().flatten();
    let Some(batch) = first.filter(|_| batches.all(|other| other == first)) else {
        return Err(Error::invalid(
            "outputs",
            "one batch size for answers in rows (ask with `inputs` instead)",
            "several",
        ));
    };
    write::list(text, batch, |text, row| {
        let write_row = |text: &mut String, name: &str, tensor: &Tensor| {
            let shape = tensor.shape().get(1..).unwrap_or_default();
            let size = shape.iter().product::<usize>();
            write_level(text, name, tensor.data(), shape, row * size);
        };
        match outputs {
            [(name, tensor)] => write_row(text, name, tensor),
            _ => write_object(text, outputs, write_row),
        }
    });
    Ok(())
}

fn write_object(text: &mut String, outputs: &[(&str, Tensor)], write: impl Fn(&mut String, &str, &Tensor)) {
    text.push('{');
    for (place, (name, tensor)) in outputs.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        write::string(text, name);
        text.push_str(": ");
        write(text, name, tensor);
    }
    text.push('}');
}

fn write_tensor(text: &mut String, name: &str, tensor: &Tensor) {
    write_level(text, name, tensor.data(), tensor.shape(), 0);
}

/// The elements from `start` on, in nested lists of this shape. A name that ends in `_bytes` says that its strings are no
/// text: TensorFlow Serving's convention.
fn write_level(text: &mut String, name: &str, data: &Data, shape: &[usize], start: usize) {
    let Some((&size, inner)) = shape.split_first() else {
        return write::element(text, data, start, name.ends_with("_bytes"));
    };
    let step = inner.iter().product::<usize>();
    write::list(text, size, |text, index| write_level(text, name, data, inner, start + index * step));
}
