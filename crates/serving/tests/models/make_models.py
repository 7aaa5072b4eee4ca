#!/usr/bin/env python3
"""Write the small models that the tests load, and what onnxruntime answers for them: types.onnx and types.json.

One input and one output of every element type that the runtime serves, so that conversions at its border show. And
int64_sub.onnx, which computes with 64-bit integers and is refused.
Needs the packages of solutions/sealed-model/requirements.txt.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def types_model():
    """float: [n, 2]; all others [n]."""
    columns = [
        ("float", TensorProto.FLOAT, ["n", 2], "Mul", [constant("two", np.float32([2]))]),
        ("double", TensorProto.DOUBLE, ["n"], "Mul", [constant("half", np.float64([0.5]))]),
        ("int32", TensorProto.INT32, ["n"], "Add", [constant("one", np.int32([1]))]),
        ("int64", TensorProto.INT64, ["n"], "Identity", []),
        ("uint8", TensorProto.UINT8, ["n"], "Identity", []),
        ("int8", TensorProto.INT8, ["n"], "Identity", []),
        ("bool", TensorProto.BOOL, ["n"], "Not", []),
    ]
    nodes, inputs, outputs, constants = [], [], [], []
    for name, element, shape, operator, operands in columns:
        constants += operands
        inputs.append(helper.make_tensor_value_info(name, element, shape))
        outputs.append(helper.make_tensor_value_info(f"{name}_out", element, shape))
        nodes.append(helper.make_node(operator, [name, *(operand.name for operand in operands)], [f"{name}_out"]))
    return finished(helper.make_graph(nodes, "types", inputs, outputs, constants))


def int64_model():
    """The difference is made of what the input became on its way."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["column"]),
        helper.make_node("Sub", ["column", "three"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT64, ["n", 1])]
    constants = [constant("axis", np.int64([1])), constant("three", np.int64([3]))]
    return finished(helper.make_graph(nodes, "int64_sub", inputs, outputs, constants))


def finished(graph):
    model = helper.make_model(graph, producer_name="sealwright", opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    model = types_model()
    inputs = {
        "float": np.float32([[1.5, -2.25], [0, 3e5]]),
        "double": np.float64([7.0, -0.125]),
        "int32": np.int32([-7, 2_000_000_000]),
        "int64": np.int64([10, -2_000_000_000]),
        "uint8": np.uint8([0, 255]),
        "int8": np.int8([-128, 127]),
        "bool": np.bool_([True, False]),
    }
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs)))
    (HERE / "int64_sub.onnx").write_bytes(int64_model().SerializeToString(deterministic=True))
    (HERE / "types.onnx").write_bytes(model.SerializeToString(deterministic=True))
    lists = {side: {name: value.tolist() for name, value in values.items()} for side, values in
             (("inputs", inputs), ("outputs", outputs))}
    (HERE / "types.json").write_text(json.dumps(lists, indent=1) + "\n")


if __name__ == "__main__":
    main()
