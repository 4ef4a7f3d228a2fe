# SPDX-License-Identifier: Apache-2.0
"""Attention of ONNX Runtime and OpenVINO, for `make bench-attention`: one thread, pinned to one core.

    peers.py --json=FILE [--longest=N]

writes rows as attention_bench has them. Each engine gets a model of nothing but attention, with several heads of the
same size, so that what a call from Python costs hardly counts. Its output is compared with a softmax in double before
it is timed. An engine that is not installed, or does not take the model, has no rows."""
import argparse
import json
import os
import sys
import time

import numpy as np

ROUNDS = 25
SECONDS = 0.002  # of a round, or one call if that takes longer
DEVIATION = 28  # of q, k and v, as in attention_bench
LOGIT_STEP = 0.5  # nats a unit of int8 logits


def nats_per_unit(dimension):
    return 1 / (400 * (dimension / 64) ** 0.5)


class Data:
    """q, k, v of some heads: int8, [heads, n, d]."""

    def __init__(self, n, d):
        self.n, self.d, self.heads = n, d, max(1, min(16, 2048 // n))
        random = np.random.default_rng(1000 * n + d)
        shape = (3, self.heads, n, d)
        self.qkv = np.clip(np.rint(random.normal(0, DEVIATION, shape)), -128, 127).astype(np.int8)

    def expected(self, head, rows, is_int8):
        q, k, v = (x[head].astype(np.float64) for x in self.qkv)
        logits = q[rows] @ k.T * nats_per_unit(self.d)
        if is_int8:
            logits = np.clip(np.rint(logits / LOGIT_STEP), -128, 127) * LOGIT_STEP
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        if is_int8:
            weights = np.rint(255 * weights) / 255
        return weights @ v


def onnx_model(nodes, inputs, initializers=()):
    from onnx import TensorProto, helper
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int8): TensorProto.INT8}
    graph = helper.make_graph(
        nodes, "attention", [helper.make_tensor_value_info(k, types[v.dtype], v.shape) for k, v in inputs.items()],
        [helper.make_empty_tensor_value_info("out")], initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def onnxruntime_call(model, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    binding.bind_output("out")
    return lambda: session.run_with_iobinding(binding), lambda: binding.copy_outputs_to_cpu()[0]


def onnxruntime_f32(data):
    """MultiHeadAttention, whose heads lie side by side."""
    from onnx import helper
    inputs = {k: np.ascontiguousarray(x.transpose(1, 0, 2).reshape(1, data.n, -1).astype(np.float32))
              for k, x in zip("qkv", data.qkv)}
    node = helper.make_node("MultiHeadAttention", list("qkv"), ["out"], domain="com.microsoft", num_heads=data.heads,
                            scale=nats_per_unit(data.d))
    run, result = onnxruntime_call(onnx_model([node], inputs), inputs)
    return run, lambda: result().reshape(data.n, data.heads, data.d).transpose(1, 0, 2)


def onnxruntime_int8(data):
    """MatMul, Softmax, MatMul, each between dequantisation and quantisation, which the runtime fuses."""
    from onnx import helper, numpy_helper
    inputs = {k: np.ascontiguousarray(x) for k, x in zip("qkv", data.qkv)}
    inputs["k"] = np.ascontiguousarray(inputs["k"].transpose(0, 2, 1))
    values = {"one": np.float32(1), "unit": np.float32(nats_per_unit(data.d)), "step": np.float32(LOGIT_STEP),
              "part": np.float32(1 / 255), "zero": np.int8(0), "uzero": np.uint8(0)}
    nodes = []

    def add(kind, names, out, **attributes):
        nodes.append(helper.make_node(kind, names, [out], **attributes))
        return out

    def requantised(name, scale, zero):
        add("QuantizeLinear", [name, scale, zero], name + "_q")
        return add("DequantizeLinear", [name + "_q", scale, zero], name + "_dq")

    add("DequantizeLinear", ["q", "unit", "zero"], "qf")
    for name in "kv":
        add("DequantizeLinear", [name, "one", "zero"], name + "f")
    logits = requantised(add("MatMul", ["qf", "kf"], "logits"), "step", "zero")
    weights = requantised(add("Softmax", [logits], "weights", axis=-1), "part", "uzero")
    add("MatMul", [weights, "vf"], "sums")
    add("QuantizeLinear", ["sums", "one", "zero"], "out")
    return onnxruntime_call(onnx_model(nodes, inputs, [numpy_helper.from_array(np.asarray(v), k)
                                                       for k, v in values.items()]), inputs)


def openvino_call(data, precision):
    import openvino
    from openvino import opset13
    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RuntimeError("no bfloat16")
    inputs = [np.ascontiguousarray(x[None].astype(np.float32)) for x in data.qkv]
    nodes = [opset13.parameter(x.shape, np.float32) for x in inputs]
    mask = opset13.constant(np.zeros((1, 1), np.float32))
    scale = opset13.constant(np.float32(nats_per_unit(data.d)))
    model = openvino.Model([opset13.scaled_dot_product_attention(*nodes, mask, scale)], nodes)
    compiled = openvino.Core().compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    for i, x in enumerate(inputs):
        request.set_input_tensor(i, openvino.Tensor(x))
    return request.infer, lambda: request.get_output_tensor(0).data[0]


# Kernel, how it is made, and by how many units of v it may differ.
KERNELS = (("onnxruntime-f32", onnxruntime_f32, 0.1), ("onnxruntime-int8", onnxruntime_int8, 3),
           ("openvino-f32", lambda data: openvino_call(data, "f32"), 0.1),
           ("openvino-bf16", lambda data: openvino_call(data, "bf16"), 8))


def verify(name, data, result, tolerance):
    got = np.asarray(result, np.float64)
    rows = np.arange(0, data.n, max(1, data.n // 8))
    for head in (0, data.heads - 1):
        error = np.abs(got[head][rows] - data.expected(head, rows, name.endswith("int8"))).max()
        if not error <= tolerance:
            sys.exit(f"{name}, d {data.d}, n {data.n}: differs by {error:.3f} from a softmax in double")


def time_of(run, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls


def rows_of_size(data, absent):
    kernels = []
    for name, make, tolerance in KERNELS:
        if name in absent:
            continue
        try:
            run, result = make(data)
            run()
        except Exception as error:  # whatever an engine raises
            absent[name] = str(error).strip().splitlines()[0]
            continue
        verify(name, data, result(), tolerance)
        kernels.append([name, run, max(1, int(SECONDS / max(time_of(run, 1), 1e-9))), float("inf")])
    for _ in range(ROUNDS):
        for kernel in kernels:
            kernel[3] = min(kernel[3], time_of(kernel[1], kernel[2]))
    for name, _, _, seconds in kernels:
        yield {"kernel": name, "target": name.split("-")[0], "d": data.d, "n": data.n, "queries": data.n,
               "mask": "none", "knees": 0, "weights": "", "us_per_head": 1e6 * seconds / data.heads}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", required=True)
    parser.add_argument("--longest", type=int, default=4096)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows, absent = [], {}
    for d in (32, 64, 128):
        n = 32
        while n <= options.longest:
            rows += rows_of_size(Data(n, d), absent)
            n *= 2
    for name, why in absent.items():
        print(f"{name}: {why}", file=sys.stderr)
    os.makedirs(os.path.dirname(options.json) or ".", exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"rows": rows, "absent": absent}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
