//! TensorFlow Serving's gRPC.

mod support;

use prost::Message as _;
use sealwright_serving::{
    DataType, Dimension, Limits, TensorSpec,
    proto::tensorflow::{
        DataType as Wire, TensorProto, TensorShapeProto,
        error::Code as Status,
        serving::{
            ClassificationRequest, GetModelMetadataRequest, GetModelStatusRequest, InferenceTask, ModelSpec,
            MultiInferenceRequest, PredictRequest, RegressionRequest, SignatureDefMap,
            model_service_client::ModelServiceClient, model_spec::VersionChoice, model_version_status::State,
            prediction_service_client::PredictionServiceClient,
        },
        tensor_shape_proto::Dim,
    },
};
use support::{Echo, Samples, Server, assert_close, samples, servable};
use tonic::Code;

fn spec(name: &str) -> Option<ModelSpec> {
    Some(ModelSpec { name: name.into(), ..ModelSpec::default() })
}

fn shape(sizes: &[i64]) -> Option<TensorShapeProto> {
    let dim = |&size: &i64| Dim { size, name: String::new() };
    Some(TensorShapeProto { dim: sizes.iter().map(dim).collect(), unknown_rank: false })
}

fn floats(sizes: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        dtype: Wire::DtFloat.into(),
        tensor_shape: shape(sizes),
        float_val: values.to_vec(),
        ..TensorProto::default()
    }
}

fn predict(model: &str, input: &str, tensor: TensorProto) -> PredictRequest {
    PredictRequest { model_spec: spec(model), inputs: [(input.into(), tensor)].into(), output_filter: vec![] }
}

#[tokio::test]
async fn typed_values_and_tensor_content_get_onnxruntimes_answers() {
    let server = Server::digits();
    let mut client = PredictionServiceClient::new(server.router());
    let Samples { tolerance, samples } = samples();
    for sample in samples.iter().take(50) {
        let typed = floats(&[1, 64], &sample.inputs.pixels);
        let raw = TensorProto {
            float_val: vec![],
            tensor_content: sample
                .inputs
                .pixels
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<_>>()
                .into(),
            ..typed.clone()
        };
        for tensor in [typed, raw] {
            let answer = client.predict(predict("digits", "pixels", tensor)).await.unwrap().into_inner();
            let output = &answer.outputs["probabilities"];
            assert_eq!((output.dtype(), output.tensor_shape.clone()), (Wire::DtFloat, shape(&[1, 10])));
            assert_close(&output.float_val, sample, tolerance);
            let effective = answer.model_spec.unwrap();
            assert_eq!(effective.version_choice, Some(VersionChoice::Version(1)));
            assert_eq!((effective.name.as_str(), effective.signature_name.as_str()), ("digits", "serving_default"));
        }
    }
}

#[tokio::test]
async fn every_element_type_goes_in_and_comes_out_in_its_own_field() {
    let cases = [
        (DataType::Bool, TensorProto { bool_val: vec![true, false], ..TensorProto::default() }),
        (DataType::Bytes, TensorProto { string_val: vec![vec![0xff], vec![]], ..TensorProto::default() }),
        (DataType::U8, TensorProto { int_val: vec![0, 255], ..TensorProto::default() }),
        (DataType::U16, TensorProto { int_val: vec![0, 65535], ..TensorProto::default() }),
        (DataType::U32, TensorProto { uint32_val: vec![0, u32::MAX], ..TensorProto::default() }),
        (DataType::U64, TensorProto { uint64_val: vec![0, u64::MAX], ..TensorProto::default() }),
        (DataType::I8, TensorProto { int_val: vec![-128, 127], ..TensorProto::default() }),
        (DataType::I16, TensorProto { int_val: vec![-32768, 7], ..TensorProto::default() }),
        (DataType::I32, TensorProto { int_val: vec![i32::MIN, 7], ..TensorProto::default() }),
        (DataType::I64, TensorProto { int64_val: vec![i64::MIN, 7], ..TensorProto::default() }),
        (DataType::F32, TensorProto { float_val: vec![0.1, f32::INFINITY], ..TensorProto::default() }),
        (DataType::F64, TensorProto { double_val: vec![0.1, -0.0], ..TensorProto::default() }),
    ];
    let wire = [
        Wire::DtBool,
        Wire::DtString,
        Wire::DtUint8,
        Wire::DtUint16,
        Wire::DtUint32,
        Wire::DtUint64,
        Wire::DtInt8,
        Wire::DtInt16,
        Wire::DtInt32,
        Wire::DtInt64,
        Wire::DtFloat,
        Wire::DtDouble,
    ];
    for ((data_type, tensor), dtype) in cases.into_iter().zip(wire) {
        let sent = TensorProto { dtype: dtype.into(), tensor_shape: shape(&[2]), ..tensor };
        let spec = TensorSpec { name: "x".into(), data_type, shape: vec![Dimension::Fixed(2)] };
        let server = Server::new([servable("echo", 1, Box::new(Echo(vec![spec])))], Limits::default());
        let mut client = PredictionServiceClient::new(server.router());
        let answer = client.predict(predict("echo", "x", sent.clone())).await.unwrap().into_inner();
        assert_eq!(answer.outputs["x"], sent, "{data_type}");
    }
}

#[tokio::test]
async fn a_short_list_repeats_its_last_value_and_an_empty_one_is_zeros() {
    let spec = TensorSpec { name: "x".into(), data_type: DataType::F32, shape: vec![Dimension::Any(String::new())] };
    let server = Server::new([servable("echo", 1, Box::new(Echo(vec![spec])))], Limits::default());
    let mut client = PredictionServiceClient::new(server.router());
    let answer = client.predict(predict("echo", "x", floats(&[4], &[1.0, 2.0]))).await.unwrap().into_inner();
    assert_eq!(answer.outputs["x"].float_val, [1.0, 2.0, 2.0, 2.0]);
    let answer = client.predict(predict("echo", "x", floats(&[3], &[]))).await.unwrap().into_inner();
    assert_eq!(answer.outputs["x"].float_val, [0.0; 3]);
    let absurd = client.predict(predict("echo", "x", floats(&[i64::MAX], &[1.0]))).await.unwrap_err();
    assert_eq!(absurd.code(), Code::ResourceExhausted, "{absurd}");
}

#[tokio::test]
async fn requests_that_make_no_sense_get_a_status_with_the_reason() {
    let server = Server::digits();
    let mut client = PredictionServiceClient::new(server.router());
    let pixels = vec![0.0; 64];
    let good = || predict("digits", "pixels", floats(&[1, 64], &pixels));
    let with_tensor = |change: &dyn Fn(&mut TensorProto)| {
        let mut request = good();
        change(request.inputs.get_mut("pixels").unwrap());
        request
    };
    let cases: Vec<(PredictRequest, Code, &str)> = vec![
        (
            PredictRequest { model_spec: None, ..good() },
            Code::InvalidArgument,
            "model_spec: expected a model, found none",
        ),
        (predict("no", "pixels", floats(&[1], &[0.0])), Code::NotFound, "Servable not found for request: Latest(no)"),
        (
            predict("digits", "x", floats(&[1], &[0.0])),
            Code::InvalidArgument,
            "inputs: expected the names pixels, found `x`",
        ),
        (
            PredictRequest { inputs: [].into(), ..good() },
            Code::InvalidArgument,
            "inputs: expected `pixels`, found none of that name",
        ),
        (
            PredictRequest { output_filter: vec!["y".into()], ..good() },
            Code::InvalidArgument,
            "outputs: expected the names probabilities, found `y`",
        ),
        (
            with_tensor(&|t| t.dtype = Wire::DtDouble.into()),
            Code::InvalidArgument,
            "input `pixels`: expected DT_FLOAT, found DT_DOUBLE",
        ),
        (with_tensor(&|t| t.dtype = 77), Code::InvalidArgument, "input `pixels`: expected DT_FLOAT, found type 77"),
        (
            with_tensor(&|t| t.tensor_shape = None),
            Code::InvalidArgument,
            "input `pixels`: expected a shape, found none",
        ),
        (
            with_tensor(&|t| t.tensor_shape = shape(&[64])),
            Code::InvalidArgument,
            "input `pixels`: expected shape [batch, 64], found shape [64]",
        ),
        (
            with_tensor(&|t| t.tensor_shape = shape(&[-1, 64])),
            Code::InvalidArgument,
            "input `pixels`: expected dimensions of at least 1, found a dimension of -1",
        ),
        (
            with_tensor(&|t| t.float_val = vec![0.0; 65]),
            Code::InvalidArgument,
            "input `pixels`: expected the elements of shape [1, 64], found 65 elements",
        ),
        (
            with_tensor(&|t| t.tensor_content = vec![0; 5].into()),
            Code::InvalidArgument,
            "input `pixels`: expected 4-byte elements, found 5 bytes",
        ),
    ];
    for (request, code, message) in cases {
        let status = client.predict(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message));
    }
    let wrong_signature = ModelSpec { signature_name: "other".into(), ..spec("digits").unwrap() };
    let request = PredictRequest { model_spec: Some(wrong_signature), ..good() };
    assert_eq!(client.predict(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn inputs_whose_batches_differ_are_the_clients_mistake() {
    let shape = || vec![Dimension::Any("batch".into())];
    let specs = ["a", "b"].map(|name| TensorSpec { name: name.into(), data_type: DataType::F32, shape: shape() });
    let server = Server::new([servable("echo", 1, Box::new(Echo(specs.to_vec())))], Limits::default());
    let mut client = PredictionServiceClient::new(server.router());
    let mut request = predict("echo", "a", floats(&[2], &[1.0]));
    request.inputs.insert("b".into(), floats(&[3], &[1.0]));
    let status = client.predict(request).await.unwrap_err();
    let message = "input `b`: expected 2 for `batch`, as in input `a`, found 3";
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, message));
}

#[tokio::test]
async fn versions_and_labels_choose() {
    let server = Server::digits();
    server.engine.registry().set_label("digits", "stable", 1);
    let mut client = PredictionServiceClient::new(server.router());
    let cases = [
        (VersionChoice::Version(1), Ok(())),
        (VersionChoice::VersionLabel("stable".into()), Ok(())),
        (VersionChoice::Version(2), Err(Code::NotFound)),
        (VersionChoice::Version(-2), Err(Code::InvalidArgument)),
        (VersionChoice::VersionLabel("canary".into()), Err(Code::NotFound)),
    ];
    for (choice, expected) in cases {
        let mut request = predict("digits", "pixels", floats(&[1, 64], &[0.0; 64]));
        request.model_spec.as_mut().unwrap().version_choice = Some(choice.clone());
        let found = client.predict(request).await.map(drop).map_err(|status| status.code());
        assert_eq!(found, expected, "{choice:?}");
    }
}

#[tokio::test]
async fn metadata_is_a_signature_map_in_an_any() {
    let server = Server::digits();
    let mut client = PredictionServiceClient::new(server.router());
    let request =
        |field: &str| GetModelMetadataRequest { model_spec: spec("digits"), metadata_field: vec![field.into()] };
    let answer = client.get_model_metadata(request("signature_def")).await.unwrap().into_inner();
    let any = &answer.metadata["signature_def"];
    assert_eq!(any.type_url, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    let map = SignatureDefMap::decode(any.value.as_slice()).unwrap();
    let signature = &map.signature_def["serving_default"];
    assert_eq!(signature.method_name, "tensorflow/serving/predict");
    let input = &signature.inputs["pixels"];
    assert_eq!((input.dtype(), input.tensor_shape.clone()), (Wire::DtFloat, shape(&[-1, 64])));
    assert_eq!(client.get_model_metadata(request("other")).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn status_is_available() {
    let server = Server::digits();
    let mut client = ModelServiceClient::new(server.router());
    let request = GetModelStatusRequest { model_spec: spec("digits") };
    let answer = client.get_model_status(request).await.unwrap().into_inner();
    let [version] = &answer.model_version_status[..] else { panic!("one version") };
    assert_eq!((version.version, version.state()), (1, State::Available));
    assert_eq!(version.status.clone().unwrap().error_code(), Status::Ok);
    let unknown = client.get_model_status(GetModelStatusRequest { model_spec: spec("no") }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn classify_regress_and_multi_inference_are_refused_for_the_right_model() {
    let server = Server::digits();
    let mut client = PredictionServiceClient::new(server.router());
    let classify = client.classify(ClassificationRequest { model_spec: spec("digits") }).await.unwrap_err();
    let regress = client.regress(RegressionRequest { model_spec: spec("digits") }).await.unwrap_err();
    let task = InferenceTask { model_spec: spec("digits"), method_name: "tensorflow/serving/classify".into() };
    let multi = client.multi_inference(MultiInferenceRequest { tasks: vec![task] }).await.unwrap_err();
    for status in [classify, regress, multi] {
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().ends_with("found tensorflow/serving/predict"), "{status}");
    }
    let unknown = client.classify(ClassificationRequest { model_spec: spec("no") }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}
