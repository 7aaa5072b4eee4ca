//! The Open Inference Protocol (KServe v2) over REST, with the binary tensor extension.

mod support;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use sealwright_serving::{DataType, Dimension, Limits, State, TensorSpec};
use serde_json::{Value, json};
use support::{Echo, Sample, Samples, Server, assert_close, digits, samples, servable, types};
use tower::ServiceExt as _;

const INFER: &str = "/v2/models/digits/infer";

async fn send(server: &Server, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = server.router().oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn get(server: &Server, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = send(server, Request::get(path).body(Body::empty()).unwrap()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn post(server: &Server, path: &str, body: &Value) -> (StatusCode, Value) {
    let (status, _, body) = send(server, Request::post(path).body(Body::from(body.to_string())).unwrap()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

fn digit(sample: &Sample) -> Value {
    json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "data": sample.inputs.pixels })
}

#[tokio::test]
async fn flat_and_nested_data_get_onnxruntimes_answers() {
    let server = Server::digits();
    let Samples { tolerance, samples } = samples();
    for sample in samples.iter().take(50) {
        let flat = digit(sample);
        let mut nested = flat.clone();
        nested["data"] = json!([sample.inputs.pixels]);
        for input in [flat, nested] {
            let (status, answer) = post(&server, INFER, &json!({ "id": "42", "inputs": [input] })).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            assert_eq!(
                (&answer["id"], &answer["model_name"], &answer["model_version"]),
                (&json!("42"), &json!("digits"), &json!("1"))
            );
            let output = &answer["outputs"][0];
            assert_eq!(
                (&output["name"], &output["datatype"], &output["shape"]),
                (&json!("probabilities"), &json!("FP32"), &json!([1, 10]))
            );
            assert_close(&serde_json::from_value::<Vec<f32>>(output["data"].clone()).unwrap(), sample, tolerance);
        }
    }
}

fn with_binary(json: &Value, tensors: &[u8]) -> Request<Body> {
    let text = json.to_string();
    let request = Request::post(INFER).header("Inference-Header-Content-Length", text.len());
    request.body(Body::from([text.as_bytes(), tensors].concat())).unwrap()
}

fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[tokio::test]
async fn binary_tensors_follow_the_json_in_both_directions() {
    let server = Server::digits();
    let Samples { tolerance, samples } = samples();
    let sample = &samples[0];
    let input =
        json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "parameters": { "binary_data_size": 256 } });
    let requests = [
        json!({ "inputs": [input], "outputs": [{ "name": "probabilities", "parameters": { "binary_data": true } }] }),
        json!({ "inputs": [input], "parameters": { "binary_data_output": true } }),
    ];
    for request in requests {
        let (status, headers, body) = send(&server, with_binary(&request, &raw(&sample.inputs.pixels))).await;
        assert_eq!(status, StatusCode::OK, "{body:?}");
        assert_eq!(headers["content-type"], "application/octet-stream");
        let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
        let answer: Value = serde_json::from_slice(&body[..length]).unwrap();
        assert_eq!(answer["outputs"][0]["parameters"]["binary_data_size"], 40);
        assert_eq!(answer["outputs"][0].get("data"), None);
        let (values, rest) = body[length..].as_chunks::<4>();
        assert!(rest.is_empty());
        assert_close(&values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>(), sample, tolerance);
    }
    let json_wanted = json!({
        "inputs": [input],
        "outputs": [{ "name": "probabilities", "parameters": { "binary_data": false } }],
        "parameters": { "binary_data_output": true },
    });
    let (_, headers, _) = send(&server, with_binary(&json_wanted, &raw(&sample.inputs.pixels))).await;
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn binary_and_json_tensors_mix_and_keep_their_order() {
    let specs = ["a", "b", "c"].map(|name| TensorSpec {
        name: name.into(),
        data_type: if name == "c" { DataType::Bytes } else { DataType::U16 },
        shape: vec![Dimension::Any(String::new())],
    });
    let server = Server::new([servable("digits", 1, Box::new(Echo(specs.to_vec())))], Limits::default());
    let request = json!({
        "inputs": [
            { "name": "c", "shape": [2], "datatype": "BYTES", "parameters": { "binary_data_size": 9 } },
            { "name": "b", "shape": [1], "datatype": "UINT16", "data": [7] },
            { "name": "a", "shape": [2], "datatype": "UINT16", "parameters": { "binary_data_size": 4 } },
        ],
        "outputs": [{ "name": "b" }, { "name": "c", "parameters": { "binary_data": true } }, { "name": "a" }],
    });
    let strings = [1, 0, 0, 0, b'x', 0, 0, 0, 0];
    let (status, headers, body) = send(&server, with_binary(&request, &[&strings[..], &[1, 0, 2, 1]].concat())).await;
    assert_eq!(status, StatusCode::OK, "{body:?}");
    let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let answer: Value = serde_json::from_slice(&body[..length]).unwrap();
    let names: Vec<_> = answer["outputs"].as_array().unwrap().iter().map(|output| output["name"].clone()).collect();
    assert_eq!(names, ["b", "c", "a"]);
    assert_eq!((&answer["outputs"][0]["data"], &answer["outputs"][2]["data"]), (&json!([7]), &json!([1, 258])));
    assert_eq!(body[length..], strings);
}

#[tokio::test]
async fn what_json_cannot_say_is_refused_in_json_and_answered_in_binary() {
    let spec = TensorSpec { name: "x".into(), data_type: DataType::F32, shape: vec![Dimension::Fixed(1)] };
    let server = Server::new([servable("digits", 1, Box::new(Echo(vec![spec])))], Limits::default());
    let input = json!({ "name": "x", "shape": [1], "datatype": "FP32", "parameters": { "binary_data_size": 4 } });
    let nan = raw(&[f32::NAN]);
    let (status, _, body) = send(&server, with_binary(&json!({ "inputs": [input] }), &nan)).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{body:?}");
    let request = json!({ "inputs": [input], "parameters": { "binary_data_output": true } });
    let (status, _, body) = send(&server, with_binary(&request, &nan)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.ends_with(&nan));
    let tokens = Request::post(INFER)
        .body(Body::from("{\"inputs\": [{\"name\": \"x\", \"shape\": [1], \"datatype\": \"FP32\", \"data\": [NaN]}]}"))
        .unwrap();
    assert_eq!(send(&server, tokens).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn metadata_says_names_types_and_shapes() {
    let server = Server::new([digits(1), digits(3)], Limits::default());
    server.engine.registry().set("digits", 4, State::Loading);
    let expected = json!({
        "name": "digits",
        "versions": ["1", "3"],
        "platform": "onnx_rten",
        "inputs": [{ "name": "pixels", "datatype": "FP32", "shape": [-1, 64] }],
        "outputs": [{ "name": "probabilities", "datatype": "FP32", "shape": [-1, 10] }],
    });
    for path in ["/v2/models/digits", "/v2/models/digits/versions/1"] {
        assert_eq!(get(&server, path).await, (StatusCode::OK, expected.clone()));
    }
    let (_, answer) = get(&server, "/v2").await;
    assert_eq!(
        answer,
        json!({ "name": "sealwright", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] })
    );
}

#[tokio::test]
async fn a_member_that_is_null_is_absent() {
    let server = Server::digits();
    let sample = &samples().samples[0];
    let mut input = digit(sample);
    input["parameters"] = Value::Null;
    let plain = json!({ "inputs": [digit(sample)], "outputs": [{ "name": "probabilities" }] });
    let nulls = json!({
        "id": null,
        "parameters": { "binary_data_output": null, "made_up": null },
        "inputs": [input],
        "outputs": [{ "name": "probabilities", "parameters": null }],
    });
    let expected = post(&server, INFER, &plain).await;
    assert_eq!(expected.0, StatusCode::OK);
    assert_eq!(post(&server, INFER, &nulls).await, expected);
    let none = json!({ "id": null, "parameters": null, "inputs": [digit(sample)], "outputs": null });
    assert_eq!(post(&server, INFER, &none).await, expected);
    let (status, answer) = post(&server, INFER, &json!({ "inputs": null })).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("inputs: expected `pixels`, found none of that name"))
    );
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let server = Server::digits();
    for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits", "/v1/models/digits"] {
        let plain = get(&server, path).await;
        assert_eq!(plain.0, StatusCode::OK);
        assert_eq!(get(&server, &format!("{path}/")).await, plain, "{path}");
        assert_eq!(get(&server, &format!("{path}/?a=b/")).await, plain, "{path}");
    }
    let request = json!({ "inputs": [digit(&samples().samples[0])] });
    assert_eq!(post(&server, "/v2/models/digits/infer/", &request).await.0, StatusCode::OK);
    assert_eq!(get(&server, "/").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&server, "/v2//").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_and_readiness_follow_the_models() {
    let server = Server::new([], Limits::default());
    let registry = server.engine.registry();
    assert_eq!(get(&server, "/v2/health/live").await, (StatusCode::OK, json!({ "live": true })));
    assert_eq!(get(&server, "/v2/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    registry.set("digits", 1, State::Loading);
    assert_eq!(get(&server, "/v2/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        get(&server, "/v2/models/digits/ready").await,
        (StatusCode::SERVICE_UNAVAILABLE, json!({ "name": "digits", "ready": false }))
    );
    registry.insert(digits(1));
    assert_eq!(get(&server, "/v2/health/ready").await, (StatusCode::OK, json!({ "ready": true })));
    assert_eq!(
        get(&server, "/v2/models/digits/ready").await,
        (StatusCode::OK, json!({ "name": "digits", "ready": true }))
    );
    assert_eq!(get(&server, "/v2/models/digits/versions/1/ready").await.0, StatusCode::OK);
    assert_eq!(get(&server, "/v2/models/other/ready").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_element_type_of_a_real_model() {
    let server = Server::new([types()], Limits::default());
    let case: Value = serde_json::from_slice(&std::fs::read(support::model_file("types.json")).unwrap()).unwrap();
    let datatypes = [
        ("float", "FP32"),
        ("double", "FP64"),
        ("int32", "INT32"),
        ("int64", "INT64"),
        ("uint8", "UINT8"),
        ("int8", "INT8"),
        ("bool", "BOOL"),
    ];
    let inputs = datatypes.map(|(name, datatype)| {
        let shape = if name == "float" { json!([2, 2]) } else { json!([2]) };
        json!({ "data": case["inputs"][name], "datatype": datatype, "shape": shape, "name": name })
    });
    let (status, answer) = post(&server, "/v2/models/types/versions/1/infer", &json!({ "inputs": inputs })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (output, (name, datatype)) in answer["outputs"].as_array().unwrap().iter().zip(datatypes) {
        assert_eq!(output["datatype"], datatype);
        let expected = &case["outputs"][format!("{name}_out")];
        let flat: Vec<Value> = expected
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|v| v.as_array().cloned().unwrap_or_else(|| vec![v.clone()]))
            .collect();
        assert_eq!(output["data"], json!(flat), "{name}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_get_the_place_and_the_reason() {
    let server = Server::digits();
    let sample = &samples().samples[0];
    let changed = |member: &str, value: Value| {
        let mut input = digit(sample);
        input[member] = value;
        json!({ "inputs": [input] })
    };
    let cases = [
        (json!({}), "inputs: expected `pixels`, found none of that name"),
        (changed("name", json!("x")), "inputs: expected the names pixels, found `x`"),
        (changed("datatype", json!("FP16")), "input `pixels`: expected FP32, found `FP16`"),
        (changed("shape", json!([64])), "input `pixels`: expected shape [batch, 64], found shape [64]"),
        (changed("shape", json!([2, 64])), "input `pixels`: expected the elements of shape [2, 64], found 64 elements"),
        (changed("shape", json!([0, 64])), "input `pixels`: expected dimensions of at least 1, found a dimension of 0"),
        (
            changed("shape", json!([1u64 << 40, 1u64 << 40])),
            "elements of a tensor: expected at most 4194304, found 18446744073709551615",
        ),
        (
            changed("parameters", json!({ "binary_data_size": 4 })),
            "input `pixels`: expected `data` or `binary_data_size`, found both",
        ),
        (
            changed("parameters", json!({ "shared_memory_region": "r" })),
            "parameter `shared_memory_region`: not supported: send and take whole tensors",
        ),
        (changed("data", json!([[1.0]])), "input `pixels`: expected data of shape [1, 64], found shape [1, 1]"),
        (json!({ "inputs": [digit(sample), digit(sample)] }), "inputs: expected each name once, found `pixels` twice"),
        (
            json!({ "inputs": [digit(sample)], "outputs": [{ "name": "y" }] }),
            "outputs: expected the names probabilities, found `y`",
        ),
    ];
    for (request, message) in cases {
        let (status, answer) = post(&server, INFER, &request).await;
        assert!(!status.is_success(), "{request}");
        assert_eq!(answer, json!({ "error": message }));
    }
    for path in ["/v2/models/no/infer", "/v2/models/digits/versions/2/infer"] {
        assert_eq!(post(&server, path, &json!({ "inputs": [digit(sample)] })).await.0, StatusCode::NOT_FOUND);
    }
    let request =
        Request::post(INFER).header("Inference-Header-Content-Length", "9999").body(Body::from("{}")).unwrap();
    assert_eq!(send(&server, request).await.0, StatusCode::BAD_REQUEST);
    let input =
        json!({ "name": "pixels", "shape": [1, 64], "datatype": "FP32", "parameters": { "binary_data_size": 256 } });
    for wrong in [255, 257] {
        let (status, _, body) = send(&server, with_binary(&json!({ "inputs": [input] }), &vec![0; wrong])).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
    }
}

#[tokio::test]
async fn every_cut_and_flip_of_a_request_gets_an_answer() {
    let server = Server::digits();
    let request =
        json!({ "id": "é\n", "inputs": [digit(&samples().samples[0])], "parameters": { "binary_data_output": false } });
    let body = request.to_string().into_bytes();
    for length in (0..body.len()).step_by(3) {
        let (status, _, _) =
            send(&server, Request::post(INFER).body(Body::from(body[..length].to_vec())).unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "cut at {length}");
    }
    for place in 0..body.len() {
        let mut flipped = body.clone();
        flipped[place] ^= 1 << (place % 8);
        let (status, _, _) = send(&server, Request::post(INFER).body(Body::from(flipped)).unwrap()).await;
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "flipped at {place}");
    }
}
