#!/usr/bin/env python3
"""Unmodified clients against a model server: TensorFlow Serving's and the Open Inference Protocol, REST and gRPC.

The server is reached in the clear: through `sealwright query --listen ADDRESS`, which verifies it first. Every answer is
compared with onnxruntime's in samples.json.

    sealwright query --listen 127.0.0.1:8500 ... &
    python3 test_clients.py 127.0.0.1:8500

Clients that are not installed are skipped, loudly. They do not all fit into one environment: --passed FILE collects what passed
over several runs, and with --require-all in the last of them, a test that passed in none is a failure. Nothing here knows Sealwright:

- `tritonclient[grpc,http]`: Open Inference REST (JSON and binary tensors) and gRPC;
- `min-tfs-client` with `protobuf==3.20.3`: TensorFlow Serving gRPC (its stubs are TensorFlow's own), in an environment of
  its own because of that protobuf;
- `grpcio-tools`: compiles crates/serving/proto and compares every field with the clients' own descriptors;
- Python itself: both REST protocols.
"""

import argparse
import importlib
import json
import pathlib
import sys
import tempfile
import urllib.error
import urllib.request
import warnings

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "crates" / "serving" / "proto"
TIMEOUT = 10


class Skip(Exception):
    """The client is not installed."""


def need(*modules):
    """Imports modules; Skip if one is not there, or does not work with what is installed beside it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = [importlib.import_module(module) for module in modules]
    except (ImportError, TypeError) as error:
        raise Skip(f"{modules[0]}: {str(error).splitlines()[0]}") from error
    return loaded[0] if len(loaded) == 1 else loaded


def samples():
    sample_set = json.loads((HERE / "samples.json").read_text())
    return sample_set["samples"], sample_set["tolerance"]


def close(found, expected, tolerance):
    assert len(found) == len(expected), f"{len(found)} values instead of {len(expected)}"
    worst = max(abs(float(a) - b) for a, b in zip(found, expected))
    assert worst <= tolerance, f"differs by {worst}"


def http(address, path, body=None):
    """Status and JSON of a request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_tensorflow_rest(address):
    rows, tolerance = samples()
    batch = rows[:64]
    pixels = [sample["inputs"]["pixels"] for sample in batch]
    for request, key in (({"instances": pixels}, "predictions"), ({"inputs": {"pixels": pixels}}, "outputs")):
        status, answer = http(address, "/v1/models/digits:predict", request)
        assert status == 200, answer
        for found, sample in zip(answer[key], batch, strict=True):
            close(found, sample["outputs"]["probabilities"], tolerance)
    status, answer = http(address, "/v1/models/digits")
    assert status == 200 and answer["model_version_status"][0]["state"] == "AVAILABLE", answer
    status, answer = http(address, "/v1/models/digits/metadata")
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert status == 200 and signature["inputs"]["pixels"]["dtype"] == "DT_FLOAT", answer
    status, answer = http(address, "/v1/models/other:predict", {"instances": []})
    assert status == 404 and "error" in answer, answer


def test_tensorflow_grpc(address):
    numpy, requests = need("numpy", "min_tfs_client.requests")
    tensors = need("min_tfs_client.tensors")
    rows, tolerance = samples()
    host, port = address.rsplit(":", 1)
    client = requests.TensorServingClient(host=host, port=int(port))
    for sample in rows[:64]:
        pixels = numpy.array([sample["inputs"]["pixels"]], dtype=numpy.float32)
        answer = client.predict_request("digits", {"pixels": pixels}, timeout=TIMEOUT)
        found = tensors.tensor_proto_to_ndarray(answer.outputs["probabilities"])
        close(found[0], sample["outputs"]["probabilities"], tolerance)
    assert answer.model_spec.version.value == 1, answer.model_spec
    grpc = need("grpc")
    try:
        client.predict_request("other", {"pixels": pixels}, timeout=TIMEOUT)
        raise AssertionError("a model that is not there answers")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


def open_inference(client, module, name, address):
    """The calls that tritonclient has in the same form for both protocols."""
    numpy = need("numpy")
    rows, tolerance = samples()
    server = client.InferenceServerClient(address)
    assert server.is_server_live() and server.is_server_ready() and server.is_model_ready("digits")
    batch = rows[:64]
    pixels = numpy.array([sample["inputs"]["pixels"] for sample in batch], dtype=numpy.float32)
    tensor = client.InferInput("pixels", list(pixels.shape), "FP32")
    tensor.set_data_from_numpy(pixels)
    for outputs in (None, [client.InferRequestedOutput("probabilities")]):
        answer = server.infer("digits", [tensor], outputs=outputs, request_id="7")
        for found, sample in zip(answer.as_numpy("probabilities"), batch, strict=True):
            close(found, sample["outputs"]["probabilities"], tolerance)
    utils = need("tritonclient.utils")
    try:
        server.infer("other", [tensor])
        raise AssertionError("a model that is not there answers")
    except utils.InferenceServerException as error:
        assert "not found" in str(error), error
    return server, tensor, batch, tolerance


def test_open_inference_grpc(address):
    client = need("tritonclient.grpc")
    server, *_ = open_inference(client, client, "grpc", address)
    metadata = server.get_model_metadata("digits")
    assert metadata.platform == "onnx_rten" and metadata.inputs[0].datatype == "FP32", metadata
    assert server.get_server_metadata().name == "sealwright"


def test_open_inference_rest(address):
    client = need("tritonclient.http")
    numpy = need("numpy")
    server, tensor, batch, tolerance = open_inference(client, client, "http", address)
    # The same in JSON: without binary tensors in either direction.
    pixels = numpy.array([sample["inputs"]["pixels"] for sample in batch], dtype=numpy.float32)
    tensor.set_data_from_numpy(pixels, binary_data=False)
    wanted = [client.InferRequestedOutput("probabilities", binary_data=False)]
    answer = server.infer("digits", [tensor], outputs=wanted)
    for found, sample in zip(answer.as_numpy("probabilities"), batch, strict=True):
        close(found, sample["outputs"]["probabilities"], tolerance)
    assert server.get_model_metadata("digits")["versions"] == ["1"]


def fields(message):
    """Name, type, label and message type of each field by its number, nested messages and enums included."""
    found = {}
    for field in message.fields:
        inner = field.message_type or field.enum_type
        found[field.number] = (field.name, field.type, inner.full_name if inner else "")
    return found


def compiled(contract):
    """The messages of one of our contracts, by full name, compiled into a descriptor pool of their own."""
    protoc, pool, descriptor = need("grpc_tools.protoc", "google.protobuf.descriptor_pool", "google.protobuf.descriptor_pb2")
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile() as out:
        arguments = ["protoc", f"-I{PROTO}", f"-I{include}", "--include_imports", f"--descriptor_set_out={out.name}", contract]
        assert protoc.main(arguments) == 0, f"{contract} does not compile"
        files = descriptor.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    ours = pool.DescriptorPool()
    for file in files.file:
        ours.Add(file)
    return ours, [message for file in files.file for message in messages(file.package, file.message_type)]


def messages(prefix, declared):
    for message in declared:
        name = f"{prefix}.{message.name}"
        yield name
        yield from messages(name, message.nested_type)


def same_fields(contract, theirs):
    """Every field of ours is one of theirs, with the same number, name and type."""
    ours, names = compiled(contract)
    compared = 0
    for name in names:
        if name.startswith("google."):
            continue
        other = theirs(name)
        assert other is not None, f"{name} is not theirs"
        expected = fields(other)
        for number, field in fields(ours.FindMessageTypeByName(name)).items():
            assert expected.get(number) == field, f"{name}: {number} is {field}, theirs is {expected.get(number)}"
            compared += 1
    print(f"    {compared} fields of {contract} are theirs")


def test_fields_open_inference(_address):
    theirs = need("tritonclient.grpc.service_pb2").DESCRIPTOR.pool
    same_fields("open_inference.proto", theirs.FindMessageTypeByName)


def test_fields_tensorflow(_address):
    modules = need(
        "tensorflow_serving.apis.predict_pb2",
        "tensorflow_serving.apis.get_model_metadata_pb2",
        "tensorflow_serving.apis.get_model_status_pb2",
        "tensorflow_serving.apis.classification_pb2",
        "tensorflow_serving.apis.regression_pb2",
        "tensorflow_serving.apis.inference_pb2",
    )
    same_fields("tensorflow_serving.proto", modules[0].DESCRIPTOR.pool.FindMessageTypeByName)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("address", help="host:port of the proxy")
    arguments.add_argument("--passed", type=pathlib.Path, metavar="FILE", help="names of tests that passed, read and added to")
    arguments.add_argument("--require-all", action="store_true", help="fail if a test passed neither now nor before")
    arguments = arguments.parse_args()
    collected = arguments.passed
    passed = set(collected.read_text().split()) if collected and collected.exists() else set()
    failed = False
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    for name, test in tests.items():
        try:
            test(arguments.address)
            print(f"passed   {name}")
            passed.add(name)
        except Skip as skip:
            print(f"SKIPPED  {name}: {skip}")
        except Exception as error:  # each client has errors of its own
            print(f"FAILED   {name}: {type(error).__name__}: {error}")
            failed = True
    if collected:
        collected.write_text("\n".join(sorted(passed)))
    missing = sorted(tests.keys() - passed)
    if arguments.require_all and missing:
        print(f"FAILED   passed in no environment: {', '.join(missing)}")
        failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
