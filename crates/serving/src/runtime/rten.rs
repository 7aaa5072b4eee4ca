//! The runtime `rten`: ONNX in pure Rust. `solutions/sealed-model/README.md` says why this one.
//!
//! It computes in `f32`, `i32`, `i8` and `u8`. Inputs and outputs that a model declares as `INT64`, `BOOL` or `FP64` are
//! converted at this border, and what would come out silently wrong is refused: numbers that do not fit, NaN and infinity
//! (its `Relu` and `Max` drop a NaN), and models that compute with 64-bit integers.

use std::{cell::RefCell, sync::Arc};

use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::{AsView as _, Layout as _};

use super::{Model, Runtime, kernel_shape, onnx::Declared};
use crate::{
    error::{Error, Result},
    tensor::{Data, DataType, Tensor, TensorSpec},
};

thread_local! {
    /// The pool that the current worker thread belongs to; a run on it needs no other thread.
    static POOL: RefCell<Option<Arc<ThreadPool>>> = const { RefCell::new(None) };
}

/// The runtime. `threads` is how many threads one run may use: 1 gives the most predictions per second, more give a large
/// model's single prediction sooner.
#[derive(Clone, Copy, Debug)]
pub struct Rten {
    threads: usize,
}

impl Rten {
    /// A runtime whose runs use this many threads each, at least one.
    #[must_use]
    pub const fn new(threads: usize) -> Self {
        Self { threads }
    }
}

impl Default for Rten {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Runtime for Rten {
    fn name(&self) -> &'static str {
        "onnx_rten"
    }

    fn load(&self, name: &str, onnx: &[u8]) -> Result<Box<dyn Model>> {
        let failed = |problem| Error::Runtime { model: name.to_owned(), problem };
        RtenModel::load(name, onnx).map(|model| Box::new(model) as Box<dyn Model>).map_err(failed)
    }

    fn enter(&self, work: &mut (dyn FnMut() + Send)) {
        let pool = Arc::new(ThreadPool::with_num_threads(self.threads.max(1)));
        pool.run(|| {
            POOL.replace(Some(Arc::clone(&pool)));
            work();
            POOL.take();
        });
    }
}

struct RtenModel {
    name: String,
    model: rten::Model,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl RtenModel {
    fn load(name: &str, onnx: &[u8]) -> Result<Self, String> {
        let declared = Declared::parse(onnx)?;
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model = options.load(kernel_shape::complete(onnx)?.into_owned()).map_err(|error| error.to_string())?;
        let inputs = specs(&model, model.input_ids(), |name| declared.input(name))?;
        let outputs = specs(&model, model.output_ids(), |name| declared.output(name))?;
        declared.check_int64(&inputs)?;
        Ok(Self { name: name.to_owned(), model, inputs, outputs })
    }

    fn failed(&self, problem: &impl ToString) -> Error {
        Error::Runtime { model: self.name.clone(), problem: problem.to_string() }
    }
}

fn specs(
    model: &rten::Model,
    ids: &[NodeId],
    declared: impl Fn(&str) -> Result<TensorSpec, String>,
) -> Result<Vec<TensorSpec>, String> {
    let spec = |&id: &NodeId| {
        let name = model.node_info(id).and_then(|node| node.name()).ok_or("an input or output has no name")?;
        let spec = declared(name)?;
        match spec.data_type {
            DataType::F32
            | DataType::F64
            | DataType::I64
            | DataType::I32
            | DataType::Bool
            | DataType::I8
            | DataType::U8 => Ok(spec),
            other => Err(format!("`{name}` is {other}, which this runtime does not compute with")),
        }
    };
    ids.iter().map(spec).collect()
}

impl Model for RtenModel {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let values = self.inputs.iter().zip(inputs).map(|(spec, tensor)| to_value(spec, tensor));
        let values = self.model.input_ids().iter().copied().zip(values.collect::<Result<Vec<_>>>()?).collect();
        let options = RunOptions::default().with_thread_pool(POOL.with_borrow(Clone::clone));
        let outputs =
            self.model.run(values, self.model.output_ids(), Some(options)).map_err(|error| self.failed(&error))?;
        let tensor = |(spec, value)| from_value(spec, value).map_err(|problem| self.failed(&problem));
        self.outputs.iter().zip(outputs).map(tensor).collect()
    }
}

fn to_value<'a>(spec: &TensorSpec, tensor: &'a Tensor) -> Result<ValueOrView<'a>> {
    let shape = tensor.shape();
    if !tensor.data().is_finite() {
        let expected = "finite numbers (this runtime may lose NaN and infinity on the way and answer as if they had not \
                        been there)";
        return Err(Error::invalid(spec.place(), expected, "one that is not"));
    }
    let value = match tensor.data() {
        Data::F32(values) => view(shape, values),
        Data::I32(values) => view(shape, values),
        Data::I8(values) => view(shape, values),
        Data::U8(values) => view(shape, values),
        Data::Bool(values) => owned(shape, values.iter().map(|&value| i32::from(value)).collect()),
        Data::F64(values) => owned(shape, values.iter().map(|&value| single(spec, value)).collect::<Result<_>>()?),
        Data::I64(values) => owned(shape, values.iter().map(|&value| narrow(spec, value)).collect::<Result<_>>()?),
        other @ (Data::U16(_) | Data::U32(_) | Data::U64(_) | Data::I16(_) | Data::Bytes(_)) => {
            return Err(Error::invalid(spec.place(), spec.data_type.name(), other.data_type().name()));
        }
    };
    value.ok_or_else(|| Error::invalid(spec.place(), "elements for its shape", format!("shape {shape:?}")))
}

fn narrow(spec: &TensorSpec, value: i64) -> Result<i32> {
    let problem = |_| Error::invalid(spec.place(), "integers that fit 32 bits", "a larger one");
    i32::try_from(value).map_err(problem)
}

fn single(spec: &TensorSpec, value: f64) -> Result<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "looked at below")]
    let single = value as f32;
    if f64::from(single).to_bits() == value.to_bits() {
        return Ok(single);
    }
    let expected = "numbers that FP32 holds exactly (this runtime computes in 32 bits; round them first)";
    Err(Error::invalid(spec.place(), expected, "another"))
}

fn view<'a, T>(shape: &[usize], values: &'a [T]) -> Option<ValueOrView<'a>>
where
    ValueView<'a>: From<rten_tensor::TensorView<'a, T>>,
{
    ValueView::from_shape(shape, values).ok().map(ValueOrView::from)
}

fn owned<'a, T>(shape: &[usize], values: Vec<T>) -> Option<ValueOrView<'a>>
where
    Value: From<rten_tensor::Tensor<T>>,
{
    Value::from_shape(shape, values).ok().map(ValueOrView::from)
}

fn from_value(spec: &TensorSpec, value: Value) -> Result<Tensor, String> {
    let (shape, data) = match value {
        Value::FloatTensor(tensor) => (tensor.shape().to_vec(), Data::F32(tensor.to_vec())),
        Value::Int32Tensor(tensor) => (tensor.shape().to_vec(), Data::I32(tensor.to_vec())),
        Value::Int8Tensor(tensor) => (tensor.shape().to_vec(), Data::I8(tensor.to_vec())),
        Value::UInt8Tensor(tensor) => (tensor.shape().to_vec(), Data::U8(tensor.to_vec())),
        _ => return Err(format!("output `{}` is not a tensor", spec.name)),
    };
    let computed = data.data_type();
    let data = match (spec.data_type, data) {
        (DataType::I64, Data::I32(values)) => Data::I64(values.into_iter().map(i64::from).collect()),
        (DataType::Bool, Data::I32(values)) => Data::Bool(values.into_iter().map(|value| value != 0).collect()),
        (DataType::F64, data) if !data.is_finite() => {
            return Err(format!("output `{}` left what 32 bits hold on its way", spec.name));
        }
        (DataType::F64, Data::F32(values)) => Data::F64(values.into_iter().map(f64::from).collect()),
        (declared, data) if declared == computed => data,
        (declared, _) => return Err(format!("output `{}` is declared {declared} and came as {computed}", spec.name)),
    };
    let place = format!("output `{}`", spec.name);
    Tensor::new(&place, shape, data).map_err(|error| error.to_string())
}
