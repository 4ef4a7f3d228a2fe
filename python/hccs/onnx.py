# SPDX-License-Identifier: Apache-2.0
"""ONNX: HCCS as a function of standard operators, which gives the same bits in every runtime that keeps to the
standard.

function() is that function, rewrite() puts it into an exported model in place of its softmaxes, calibrate() finds the
parameters of such a model, and export() writes a PyTorch model that hccs.torch has been applied to.

The arithmetic is in int32, so that nothing is rounded, whatever precision a runtime has for floats. Bits are the same
from the int8 logits on; QuantizeLinear divides in float32, so that a logit midway between two steps may be
rounded otherwise than quantise_logits() does.

register() makes ONNX Runtime run these functions by the library's own kernels, where libhccs_ort.so was built.
"""

import dataclasses
import os
import pathlib
import warnings

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from . import _core
from . import calibrate as _calibrate
from ._onnx_function import DOMAIN, LEAST_AXES_INPUT, LEAST_OPSET, NORMALISATIONS, OUTPUTS, function, name  # noqa: F401

MASKED = -1000.0  # what an additive mask has at most where a position is invalid


def head_tensors(heads, K=None):
    """The inputs b, s_0, d_0, ... of function() for these HeadParams: int32 arrays [heads, 1, 1]. A head of fewer than
    K knees gets knees of slope 0, which change nothing."""
    heads = list(heads)
    K = K or max(len(head.knees) for head in heads)
    knees = [[*head.knees, *[(0, 127)] * (K - len(head.knees))] for head in heads]
    if any(len(of_head) != K for of_head in knees):
        raise ValueError(f"a head has more than K = {K} knees")
    columns = [[head.offset for head in heads]]
    for k in range(K):
        columns += [[of_head[k][0] for of_head in knees], [of_head[k][1] for of_head in knees]]
    return [np.array(column, np.int32).reshape(-1, 1, 1) for column in columns]


def head_names(K):
    """The names of these inputs."""
    return ["b", *(f"{letter}_{k}" for k in range(K) for letter in "sd")]


# ---- Softmaxes of a model -------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Found:
    """A softmax of a graph. `reason` is empty, or says why it is not replaced."""

    node: str  # its name, or its output's
    logits: str = ""  # the tensor that HCCS gets: scaled, without the mask
    mask: str = ""  # the tensor that says what is valid; empty: everything
    mask_kind: str = ""  # "added" (0 or at most -1000), "valid" or "masked" (bool)
    heads: int = 0  # 0: not known
    axis: int = 1  # of the heads
    layer: int = -1
    reason: str = ""


class _Graph:
    def __init__(self, model):
        self.graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.maker = {out: node for node in self.graph.node for out in node.output}
        self.constants = {t.name: t for t in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                self.constants[node.output[0]] = node.attribute[0].t
        try:
            inferred = onnx.shape_inference.infer_shapes(model).graph
        except (onnx.shape_inference.InferenceError, ValueError):  # larger than a message may be
            inferred = self.graph
        self.types = {v.name: v.type.tensor_type for v in [*inferred.value_info, *inferred.input, *inferred.output]}

    def shape(self, tensor):
        """A size or None for each axis; None if not even their number is known."""
        known = self.types.get(tensor)
        if known is None or not known.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else None for d in known.shape.dim]

    def constant(self, tensor):
        return onnx.numpy_helper.to_array(self.constants[tensor]) if tensor in self.constants else None

    def through(self, tensor):
        """The node that makes a tensor, past those that change no value."""
        node = self.maker.get(tensor)
        while node is not None and node.op_type in ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze"):
            node = self.maker.get(node.input[0])
        return node

    def centred(self, node):
        """Whether a node takes a row's maximum off, as centre() does."""
        if node is None or node.op_type != "Sub":
            return False
        maximum = self.maker.get(node.input[1])
        return maximum is not None and maximum.op_type == "ReduceMax"

    def is_product(self, tensor):
        """Whether it is q . k, perhaps with a scale, perhaps centred."""
        node = self.through(tensor)
        if self.centred(node):
            node = self.through(node.input[0])
        for _ in range(3):
            if node is None or node.op_type not in ("Mul", "Div"):
                break
            left, right = (self.through(t) for t in node.input)
            node = right if node.op_type == "Mul" and left is None else left
        return node is not None and node.op_type in ("MatMul", "Einsum")

    def looks_like_a_bias(self, tensor):
        """Whether what is added to logits cannot be a mask: it comes from a product, or from weights."""
        seen, todo = set(), [tensor]
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            value = self.constant(at)
            if value is not None:
                if (
                    value.dtype.kind == "f"
                    and value.size > 1
                    and not np.all((value == 0) | (value == 1) | (value <= MASKED))
                ):
                    return True
                continue
            node = self.maker.get(at)
            if node is not None:
                if node.op_type in ("MatMul", "Gemm", "Conv", "Einsum", "Softmax"):
                    return True
                todo += [i for i in node.input if i]
        return False


def _trace(graph, node):
    """What a Softmax node is of."""
    found = Found(node.name or node.output[0])
    source = node.input[0]
    shape = graph.shape(source) or graph.shape(node.output[0])
    rank = len(shape) if shape else 4
    axis = next((a.i for a in node.attribute if a.name == "axis"), -1 if graph.opset >= 13 else 1)
    if axis not in (-1, rank - 1):
        found.reason = f"its axis is {axis}, not the last"
        return found
    if rank not in (3, 4):
        found.reason = f"it has {rank} axes, not [batch, heads, queries, keys]"
        return found
    kind = graph.types[source].elem_type if source in graph.types else onnx.TensorProto.FLOAT
    if kind not in (0, onnx.TensorProto.FLOAT):
        found.reason = f"its type is {onnx.TensorProto.DataType.Name(kind)}, not FLOAT"
        return found
    found.axis = rank - 3
    found.heads = (shape[rank - 3] or 0) if shape else 0
    maker = graph.maker.get(source)
    found.logits = source
    if maker is not None and maker.op_type == "Add":
        left, right = maker.input
        if not graph.is_product(left):
            left, right = right, left
        found.logits, found.mask, found.mask_kind = left, right, "added"
        if graph.looks_like_a_bias(right):
            found.reason = f'what is added to its logits, "{right}", is a bias and no mask'
            return found
    elif maker is not None and maker.op_type == "Where":
        values = [graph.constant(maker.input[1]), graph.constant(maker.input[2])]
        for place, kind_of_mask in ((1, "valid"), (0, "masked")):
            if values[place] is not None and np.all(values[place] <= MASKED):
                found.logits, found.mask, found.mask_kind = maker.input[2 - place], maker.input[0], kind_of_mask
    if not graph.is_product(found.logits):
        found.reason = "its logits are no MatMul, with a scale and a mask perhaps"
    return found


def find(model):
    """The softmaxes of a model (onnx.ModelProto or path): a list of Found, those of attention numbered by layer."""
    graph = _Graph(model if isinstance(model, onnx.ModelProto) else onnx.load(os.fspath(model)))
    found = [
        _trace(graph, node) for node in graph.graph.node if node.op_type == "Softmax" and node.domain in ("", "ai.onnx")
    ]
    for layer, one in enumerate(f for f in found if not f.reason):
        one.layer = layer
    return found


# ---- Calibration ----------------------------------------------------------------------------------------------------


def samples(path, batches, rows=4096, seed=0, rows_a_batch=4):
    """Runs a float ONNX model in ONNX Runtime over `batches`, dictionaries of its inputs, and samples the logits of its
    attention: (a RowSample a head, layer by layer; heads a layer). Masked positions do not enter. Of each head and each
    element of a batch `rows_a_batch` queries, evenly spaced, are taken."""
    import onnxruntime

    model = onnx.load(os.fspath(path))
    found = [f for f in find(model) if not f.reason]
    if not found:
        raise ValueError(f"{os.fspath(path)}: no softmax of attention was found; hccs.onnx.find() says why")
    wanted = list(dict.fromkeys(t for f in found for t in (f.logits, f.mask) if t))
    there = {o.name for o in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(t) for t in wanted if t not in there)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    heads, kept, number = 0, [], 0
    for batch in batches:
        out = dict(zip(wanted, session.run(wanted, dict(batch))))
        for f in found:
            logits = out[f.logits].reshape(-1, *out[f.logits].shape[-3:])
            valid = np.ones(1, bool)
            if f.mask:
                mask = out.get(f.mask, constants.get(f.mask))
                valid = mask > MASKED if f.mask_kind == "added" else mask.astype(bool) == (f.mask_kind == "valid")
            valid = np.broadcast_to(valid, out[f.logits].shape).reshape(logits.shape)
            if not kept:
                heads = logits.shape[1]
                kept = [_core.RowSample(rows, seed) for _ in range(len(found) * heads)]
            if logits.shape[1] != heads:
                raise ValueError(f"{f.node}: {logits.shape[1]} heads, but {heads} in the layers before it")
            queries = np.unique(np.linspace(0, logits.shape[2] - 1, rows_a_batch).round().astype(int))
            for b, h in np.ndindex(logits.shape[:2]):
                kept[f.layer * heads + h].add(
                    (number + b) << 32, np.ascontiguousarray(logits[b, h, queries]), mask=valid[b, h, queries]
                )
        number += logits.shape[0]
    return kept, heads


def calibrate(path, batches, *, rows=4096, seed=0, rows_a_batch=4, **how):
    """Params of a float ONNX model: samples() and hccs.calibrate(), whose other arguments follow."""
    kept, heads = samples(path, batches, rows, seed, rows_a_batch)
    params = _calibrate(kept, heads, **{"model": os.path.basename(os.fspath(path)), **how})
    if any("shifted-rows" in fit.finding_kinds for fit in params.fits):
        warnings.warn(
            f"{os.fspath(path)}: rows lie far from 0 or from each other: hccs.onnx.centre takes that away", stacklevel=2
        )
    return params


# ---- Rewriting ------------------------------------------------------------------------------------------------------


class _Writer:
    """Nodes and tensors that take a softmax's place."""

    def __init__(self, graph, layer, output):
        self.prefix = f"hccs_{layer}_"
        self.graph = graph
        self.nodes = []
        self.output = output

    def tensor(self, suffix, value):
        self.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), self.prefix + suffix))
        return self.prefix + suffix

    def node(self, kind, inputs, suffix, output=None, **attributes):
        output = output or self.prefix + suffix
        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], name=self.prefix + suffix, **attributes))
        return output

    def valid(self, found):
        if not found.mask:
            return self.tensor("valid", np.ones((1, 1, 1), bool))
        if found.mask_kind == "added":
            return self.node("Greater", [found.mask, self.tensor("masked", np.float32(MASKED))], "valid")
        return found.mask if found.mask_kind == "valid" else self.node("Not", [found.mask], "valid")

    def softmax(self, found, entries, K, normalisation, output, result):
        steps = np.array([e.step for e in entries], np.float32)
        x = self.node(
            "QuantizeLinear",
            [found.logits, self.tensor("step", steps), self.tensor("zero", np.zeros(len(entries), np.int8))],
            "x",
            axis=found.axis,
        )
        heads = [self.tensor(n, t) for n, t in zip(head_names(K), head_tensors([e.params for e in entries], K))]
        p = self.node(name(K, normalisation, output), [x, self.valid(found), *heads], "p", domain=DOMAIN)
        unit = self.tensor("unit", np.float32(1 / OUTPUTS[output][2]))
        if output == "uint8":
            self.node("DequantizeLinear", [p, unit], "float", result)
        else:
            self.node("Mul", [self.node("Cast", [p], "wide", to=onnx.TensorProto.FLOAT), unit], "float", result)


def centre(path_in, path_out):
    """Takes each row's maximum off the attention logits of a float ONNX file, and returns what was found (find()).

    The model computes what it did, since softmax only sees differences. int8 logits do not: where rows lie far from 0,
    as biases of q and k put them, a step that reaches them is too coarse to tell their logits apart. Calibrate and
    rewrite the centred file. An integer engine that has sums of q . k needs none of this: distances within a row are
    what its softmax takes (Plan with rescale).
    """
    model = onnx.load(os.fspath(path_in))
    found = find(model)
    by_node = {f.node: f for f in found if not f.reason}
    version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    axes = onnx.numpy_helper.from_array(np.array([-1], np.int64), "hccs_centre_axes")
    if version >= LEAST_AXES_INPUT and by_node:
        model.graph.initializer.append(axes)
    nodes = []
    for node in model.graph.node:
        f = by_node.get(node.name or node.output[0]) if node.op_type == "Softmax" else None
        if f is not None:
            prefix = f"hccs_{f.layer}_centre"
            by_axes = {"axes": [-1]} if version < LEAST_AXES_INPUT else {}
            more = [] if by_axes else [axes.name]
            top = prefix + "_maximum"
            nodes.append(onnx.helper.make_node("ReduceMax", [node.input[0], *more], [top], keepdims=1, **by_axes))
            nodes.append(onnx.helper.make_node("Sub", [f.logits, top], [prefix]))
            if f.mask:
                # The mask once more, behind the subtraction.
                masking = next(n for n in model.graph.node if node.input[0] in n.output)
                inputs = [prefix if i == f.logits else i for i in masking.input]
                nodes.append(onnx.helper.make_node(masking.op_type, inputs, [prefix + "_masked"]))
            node.input[0] = prefix + ("_masked" if f.mask else "")
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _save(model, path_out)
    return found


def _save(model, path):
    path = os.fspath(path)
    if model.ByteSize() < 2**31 - 2**20:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=os.path.basename(path) + ".data")


def rewrite(path_in, params, path_out, *, normalisation="scaled", output="uint8", inline=False):
    """Replaces the softmaxes of attention in an ONNX file by HCCS, and returns what was found: a list of Found.

    Found is `MatMul [-> scale] [-> Add mask, or Where mask] -> Softmax` on the last of [batch, heads, queries, keys],
    in the order of the graph; layer l gets params[l, h] of every head h. Softmaxes of other things stay as they are,
    with the reason in Found.reason. A mask that is added has 0 where a position is valid and at most -1000 where it is
    not. inline=True expands the function, for runtimes that refuse functions (OpenVINO). Files below opset 17 are
    converted.

    ValueError where layers or heads found are not those of params; then nothing is written.
    """
    model = onnx.load(os.fspath(path_in))
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < LEAST_OPSET:
        model = onnx.version_converter.convert_version(model, LEAST_OPSET)
        opset = LEAST_OPSET
    found = find(model)
    taken = [f for f in found if not f.reason]
    if len(taken) != params.layers:
        told = "".join(f"\n  {f.node}: {f.reason or 'taken'}" for f in found)
        raise ValueError(
            f"{os.fspath(path_in)}: {len(taken)} softmaxes of attention, but params have {params.layers} layers{told}"
        )
    for f in taken:
        if f.heads not in (0, params.heads):
            raise ValueError(f"{os.fspath(path_in)}: {f.node}: {f.heads} heads, but params have {params.heads}")
    _core.warn_of_range(params, normalisation, output)
    by_node = {f.node: f for f in taken}
    K = params.knees
    nodes = []
    for node in model.graph.node:
        f = by_node.get(node.name or node.output[0]) if node.op_type == "Softmax" else None
        if f is None:
            nodes.append(node)
            continue
        writer = _Writer(model.graph, f.layer, output)
        entries = [params[f.layer, h] for h in range(params.heads)]
        writer.softmax(f, entries, K, normalisation, output, node.output[0])
        nodes += writer.nodes
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model = add_function(model, K, normalisation, output, opset)
    if inline:
        model = inlined(model)
    _save(model, path_out)
    return found


def add_function(model, K, normalisation="scaled", output="uint8", opset=None):
    """The model with function() in it, unless it is there."""
    opset = opset or next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    made = function(K, normalisation, output, opset)
    if not any(f.domain == DOMAIN and f.name == made.name for f in model.functions):
        model.functions.append(made)
    if not any(o.domain == DOMAIN for o in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    model.ir_version = max(model.ir_version, 8)
    return model


def inlined(model):
    """The model with its functions expanded."""
    import onnx.inliner

    return onnx.inliner.inline_local_functions(model)


def export(model, example, path, *, opset=20, inline=False, dynamic_shapes=None):
    """Writes a PyTorch model that hccs.torch.apply() was called on as ONNX, with function() for its softmaxes.

    example: a dictionary of the model's inputs. dynamic_shapes: as torch.onnx.export has it; by default the first two
    axes of each input of two or more axes are dynamic. The file computes the integers that the model computes.
    """
    from . import torch as hccs_torch

    made = hccs_torch.export_onnx(model, example, opset=opset, dynamic_shapes=dynamic_shapes)
    for kind in hccs_torch.kinds(model):
        made = add_function(made, *kind, opset)
    if inline:
        made = inlined(made)
    _save(made, path)


# ---- ONNX Runtime's custom operators ---------------------------------------------------------------------------------


def library():
    """The path of libhccs_ort.so, custom operators for ONNX Runtime in place of function(): what HCCS_ORT_LIBRARY
    names, else the package's own, where that was built with it. FileNotFoundError where there is none."""
    named = os.environ.get("HCCS_ORT_LIBRARY")
    path = pathlib.Path(named) if named else pathlib.Path(__file__).with_name("libhccs_ort.so")
    if not path.is_file():
        why = "HCCS_ORT_LIBRARY names it" if named else "the package was built without HCCS_BUILD_ORT (docs/python.md)"
        raise FileNotFoundError(f"{path} is not there: {why}")
    return str(path)


def register(options=None):
    """Makes sessions with these onnxruntime.SessionOptions (by default new ones) run functions of the domain "hccs" by
    the library's kernels: the same file, the same bits, faster. Returns the options."""
    if options is None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(library())
    return options


def aie4ml_directives(params, length, nodes, *, layer=None, normalisation="clb", output="uint8", tiled=False):
    """aie4ml's LayerDirectives for the Softmax node of each head, what `hccs export --target aie4ml` writes: a
    dictionary {file name: text}, among them layer_directives.json and scales.json.

    length: positions of a row. nodes: how the nodes are called, with {layer} and {head} in it. params: within the
    paper's limits for `length`, and with steps that are powers of two (calibrate(limits="paper", length=length,
    knees=1, step="power-of-two")); otherwise ValueError, with the head and the rule.
    """
    layers = range(params.layers) if layer is None else [layer]
    return _core.aie4ml_directives(params, list(layers), length, nodes, normalisation, output, tiled)
