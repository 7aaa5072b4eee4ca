//! The runtime against onnxruntime, which made the expected answers.

mod support;

use std::path::PathBuf;

use sealwright_serving::{Data, DataType, Dimension, Rten, Runtime as _, Tensor};
use serde_json::Value;
use support::{Samples, assert_close, digits, model_file, samples, servable, types};

#[path = "../../wire/tests/support/mod.rs"]
mod vectors;

fn floats(tensor: &Tensor) -> &[f32] {
    match tensor.data() {
        Data::F32(values) => values,
        other => panic!("expected FP32, found {}", other.data_type()),
    }
}

#[test]
fn every_held_out_digit_gets_onnxruntimes_answer_one_by_one_and_in_one_batch() {
    let model = digits(1).model;
    let Samples { tolerance, samples } = samples();
    for sample in &samples {
        let input = Tensor::new("x", vec![1, 64], Data::F32(sample.inputs.pixels.clone())).unwrap();
        assert_close(floats(&model.run(&[input]).unwrap()[0]), sample, tolerance);
    }
    let all = samples.iter().flat_map(|sample| sample.inputs.pixels.clone()).collect();
    let outputs = model.run(&[Tensor::new("x", vec![samples.len(), 64], Data::F32(all)).unwrap()]).unwrap();
    assert_eq!(outputs[0].shape(), [samples.len(), 10]);
    for (row, sample) in floats(&outputs[0]).chunks(10).zip(&samples) {
        assert_close(row, sample, tolerance);
    }
}

#[test]
fn the_solutions_model_is_right_for_96_of_100_digits_it_has_not_seen() {
    let samples = samples().samples;
    let right = samples.iter().filter(|sample| {
        let scores = &sample.outputs.probabilities;
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        best == sample.label
    });
    assert!(right.count() * 100 >= samples.len() * 96);
}

#[test]
fn declared_types_and_shapes_are_the_files_not_the_runtimes() {
    let model = types().model;
    let types: Vec<_> = model.inputs().iter().map(|spec| (spec.name.as_str(), spec.data_type)).collect();
    let expected = [
        ("float", DataType::F32),
        ("double", DataType::F64),
        ("int32", DataType::I32),
        ("int64", DataType::I64),
        ("uint8", DataType::U8),
        ("int8", DataType::I8),
        ("bool", DataType::Bool),
    ];
    assert_eq!(types, expected);
    assert_eq!(model.inputs()[0].shape, [Dimension::Any("n".into()), Dimension::Fixed(2)]);
    let outputs: Vec<_> = model.outputs().iter().map(|spec| spec.data_type).collect();
    assert_eq!(outputs, expected.map(|(_, data_type)| data_type));
}

/// A list of numbers or booleans as a tensor of this type; `float` has two columns.
fn tensor(spec_type: DataType, value: &Value) -> Tensor {
    let flat: Vec<&Value> =
        value.as_array().unwrap().iter().flat_map(|v| v.as_array().map_or(vec![v], |v| v.iter().collect())).collect();
    let ints = || flat.iter().map(|value| value.as_i64().unwrap());
    let data = match spec_type {
        DataType::F32 => {
            Data::F32(flat.iter().map(|value| serde_json::from_value((*value).clone()).unwrap()).collect())
        }
        DataType::F64 => Data::F64(flat.iter().map(|value| value.as_f64().unwrap()).collect()),
        DataType::I32 => Data::I32(ints().map(|value| value.try_into().unwrap()).collect()),
        DataType::I64 => Data::I64(ints().collect()),
        DataType::U8 => Data::U8(ints().map(|value| value.try_into().unwrap()).collect()),
        DataType::I8 => Data::I8(ints().map(|value| value.try_into().unwrap()).collect()),
        DataType::Bool => Data::Bool(flat.iter().map(|value| value.as_bool().unwrap()).collect()),
        other => panic!("no {other} in this model"),
    };
    let rows = value.as_array().unwrap().len();
    let shape = if data.len() == rows { vec![rows] } else { vec![rows, data.len() / rows] };
    Tensor::new("x", shape, data).unwrap()
}

fn types_case() -> Value {
    serde_json::from_slice(&std::fs::read(model_file("types.json")).unwrap()).unwrap()
}

#[test]
fn every_element_type_computes_as_onnxruntime_does() {
    let model = types().model;
    let case = types_case();
    let inputs: Vec<_> =
        model.inputs().iter().map(|spec| tensor(spec.data_type, &case["inputs"][&spec.name])).collect();
    let outputs = model.run(&inputs).unwrap();
    for (spec, output) in model.outputs().iter().zip(&outputs) {
        assert_eq!(*output, tensor(spec.data_type, &case["outputs"][&spec.name]), "{}", spec.name);
    }
}

#[test]
fn an_integer_that_the_runtime_cannot_hold_is_refused_not_clipped() {
    let model = types().model;
    let case = types_case();
    let mut inputs: Vec<_> =
        model.inputs().iter().map(|spec| tensor(spec.data_type, &case["inputs"][&spec.name])).collect();
    inputs[3] = Tensor::new("x", vec![2], Data::I64(vec![1 << 31, 0])).unwrap();
    let error = model.run(&inputs).unwrap_err();
    assert_eq!(error.to_string(), "input `int64`: expected integers that fit 32 bits, found a larger one");
}

#[test]
fn a_number_that_is_not_finite_is_refused_where_the_runtime_would_answer_it_with_an_ordinary_one() {
    let model = digits(1).model;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut pixels = vec![0.0; 64];
        pixels[63] = bad;
        let error = model.run(&[Tensor::new("x", vec![1, 64], Data::F32(pixels)).unwrap()]).unwrap_err();
        let expected = "input `pixels`: expected finite numbers (this runtime may lose NaN and infinity on the way and \
                        answer as if they had not been there), found one that is not";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_double_that_the_runtime_cannot_hold_is_refused_not_rounded() {
    let run = |double: f64| {
        let model = types().model;
        let case = types_case();
        let mut inputs: Vec<_> =
            model.inputs().iter().map(|spec| tensor(spec.data_type, &case["inputs"][&spec.name])).collect();
        inputs[1] = Tensor::new("x", vec![2], Data::F64(vec![double, 0.0])).unwrap();
        model.run(&inputs).map(|outputs| outputs[1].data().clone())
    };
    for bad in [1e300, 16_777_217.0, 0.1, f64::MIN_POSITIVE] {
        let error = run(bad).unwrap_err().to_string();
        let expected = "input `double`: expected numbers that FP32 holds exactly (this runtime computes in 32 bits; round \
                        them first), found another";
        assert_eq!(error, expected, "{bad}");
    }
    assert!(run(f64::NAN).unwrap_err().to_string().contains("expected finite numbers"));
    assert_eq!(run(16_777_216.0).unwrap(), Data::F64(vec![8_388_608.0, 0.0]));
    assert_eq!(run(f64::from(0.1f32)).unwrap(), Data::F64(vec![f64::from(0.05f32), 0.0]));
}

#[test]
fn a_model_that_computes_with_64_bit_integers_is_refused_at_load() {
    let onnx = std::fs::read(model_file("int64_sub.onnx")).unwrap();
    let error = Rten::default().load("m", &onnx).err().expect("refused").to_string();
    let expected = "m: the runtime failed: `Sub` computes with the INT64 input `x`: this runtime has 32 bits and would wrap \
                    silently; use FLOAT or INT32 there";
    assert_eq!(error, expected);
}

#[test]
fn what_is_no_model_is_an_error_with_a_reason() {
    let load = |bytes: &[u8]| Rten::default().load("m", bytes).err().expect("refused").to_string();
    assert!(load(b"").contains("not an ONNX file"), "{}", load(b""));
    assert!(load(b"{\"json\": true}").contains("not an ONNX file"));
    let whole = std::fs::read(model_file("types.onnx")).unwrap();
    for length in 0..whole.len() {
        // Cut behind the graph only metadata is missing; before it the graph is.
        let _ = Rten::default().load("m", &whole[..length]);
    }
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x41;
        let _ = Rten::default().load("m", &flipped);
    }
}

#[test]
fn workers_compute_on_their_own_threads() {
    let runtime = Rten::new(1);
    let onnx = std::fs::read(support::solution().join("model.onnx")).unwrap();
    let model = runtime.load("digits", &onnx).unwrap();
    let input = Tensor::new("x", vec![1, 64], Data::F32(vec![0.0; 64])).unwrap();
    let mut outputs = Vec::new();
    runtime.enter(&mut || outputs = model.run(std::slice::from_ref(&input)).unwrap());
    assert_eq!(outputs, model.run(&[input]).unwrap());
}

#[test]
fn a_convolutional_network_from_outside_gets_onnxruntimes_answer() {
    let Some(folder) = vectors::vectors() else { return };
    let folder: PathBuf = folder.join("solutions/tiny_cnn");
    let numbers = |name: &str| -> Vec<f32> {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let onnx = std::fs::read(folder.join("tiny_cnn.onnx")).unwrap();
    let model = servable("cnn", 1, Rten::default().load("cnn", &onnx).unwrap()).model;
    let shape = model.inputs()[0].shape.iter().map(|dimension| match dimension {
        Dimension::Fixed(size) => *size,
        Dimension::Any(_) => 1,
    });
    let input = Tensor::new("x", shape.collect(), Data::F32(numbers("tiny_cnn.x.f32"))).unwrap();
    let outputs = model.run(&[input]).unwrap();
    for (found, expected) in floats(&outputs[0]).iter().zip(numbers("tiny_cnn.y.f32")) {
        assert!((found - expected).abs() <= 1e-5, "{found} is not {expected}");
    }
}
