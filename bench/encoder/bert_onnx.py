# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face BERT folder as an ONNX model: input_ids, attention_mask and token_type_ids [batch, sequence] in,
last_hidden_state out, in the operators that exporters of PyTorch write.

    bert_onnx.py FOLDER OUT.onnx"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    """Nodes and constants; each method returns the name of what it adds."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = {}

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def scalar(self, value):
        return self.constant(f"scalar.{value}", np.float32(value))

    def shape(self, *sizes):
        return self.constant("shape." + ".".join(map(str, sizes)), np.array(sizes, np.int64))

    def add(self, operator, *inputs, **attributes):
        out = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def linear(self, x, name):
        weight = self.constant(name + ".weight.t", self.weights[name + ".weight"].T)
        return self.add("Add", self.add("MatMul", x, weight), self.weight(name + ".bias"))

    def norm(self, x, name, epsilon):
        return self.add("LayerNormalization", x, self.weight(name + ".weight"), self.weight(name + ".bias"), axis=-1,
                        epsilon=epsilon)


def attention(g, x, mask, name, config):
    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads

    def part(kind, permutation):
        rows = g.add("Reshape", g.linear(x, f"{name}.self.{kind}"), g.shape(0, 0, heads, size))
        return g.add("Transpose", rows, perm=permutation)

    logits = g.add("MatMul", part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1]))
    logits = g.add("Add", g.add("Div", logits, g.scalar(size**0.5)), mask)
    out = g.add("MatMul", g.add("Softmax", logits, axis=-1), part("value", [0, 2, 1, 3]))
    out = g.add("Reshape", g.add("Transpose", out, perm=[0, 2, 1, 3]), g.shape(0, 0, heads * size))
    return g.linear(out, f"{name}.output.dense")


def gelu(g, x):
    erf = g.add("Erf", g.add("Div", x, g.scalar(2**0.5)))
    return g.add("Mul", g.add("Mul", x, g.add("Add", erf, g.scalar(1.0))), g.scalar(0.5))


def bert(g, config):
    epsilon = config["layer_norm_eps"]
    sequence = g.add("Slice", g.add("Shape", "input_ids"), g.shape(1), g.shape(2))
    places = g.add("Slice", g.weight("embeddings.position_embeddings.weight"), g.shape(0), sequence)
    x = g.add("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids")
    x = g.add("Add", x, g.add("Gather", g.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"))
    x = g.norm(g.add("Add", x, places), "embeddings.LayerNorm", epsilon)
    mask = g.add("Cast", g.add("Unsqueeze", "attention_mask", g.shape(1, 2)), to=TensorProto.FLOAT)
    mask = g.add("Mul", g.add("Sub", g.scalar(1.0), mask), g.scalar(-1e9))
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        x = g.norm(g.add("Add", attention(g, x, mask, name + ".attention", config), x),
                   name + ".attention.output.LayerNorm", epsilon)
        inner = gelu(g, g.linear(x, name + ".intermediate.dense"))
        x = g.norm(g.add("Add", g.linear(inner, name + ".output.dense"), x), name + ".output.LayerNorm", epsilon)
    return x


def main():
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text())
    weights = {k.removeprefix("bert."): v for k, v in load_file(folder / "model.safetensors").items()}
    g = Graph(weights)
    last = bert(g, config)
    g.nodes.append(helper.make_node("Identity", [last], ["last_hidden_state"]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
              for name in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT,
                                           ["batch", "sequence", config["hidden_size"]])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.constants.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[2])


main()
