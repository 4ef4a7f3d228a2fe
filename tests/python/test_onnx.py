# SPDX-License-Identifier: Apache-2.0
"""hccs.onnx: the function in ONNX Runtime, OpenVINO and ONNX's own evaluator, tolerance 0; rewritten models."""

import json

import numpy as np
import onnx
import onnx.helper as oh
import onnx.reference
import onnxruntime
import pytest
from conftest import golden_rows

import hccs
import hccs.onnx

# Random rows are odd, and too long for some normalisations.
pytestmark = pytest.mark.filterwarnings(
    "ignore:layer", "ignore:rows of", "ignore:the parameters", "ignore:.*far from 0"
)
MODES = [(n, o) for n in hccs.onnx.NORMALISATIONS for o in hccs.onnx.OUTPUTS]
IR = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}
HEADS = [
    hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]),
    hccs.HeadParams(32767, [(127, 30), (90, 64), (60, 127)]),
    hccs.HeadParams(300, [(3, 10), (2, 60), (1, 120)]),
    hccs.HeadParams(1, [(0, 1)]),
]
T = onnx.numpy_helper.from_array


def one_node(K, normalisation, output, opset):
    """A model of the function alone: x, mask and the heads are inputs."""
    names = hccs.onnx.head_names(K)
    inputs = [
        oh.make_tensor_value_info("x", onnx.TensorProto.INT8, ["B", "H", "Q", "N"]),
        oh.make_tensor_value_info("mask", onnx.TensorProto.BOOL, ["b", "h", "q", "n"]),
        *(oh.make_tensor_value_info(n, onnx.TensorProto.INT32, ["H", 1, 1]) for n in names),
    ]
    out = oh.make_tensor_value_info("p", hccs.onnx.OUTPUTS[output][1], ["B", "H", "Q", "N"])
    node = oh.make_node(hccs.onnx.name(K, normalisation, output), ["x", "mask", *names], ["p"], domain="hccs")
    model = oh.make_model(
        oh.make_graph([node], "g", inputs, [out]), opset_imports=[oh.make_opsetid("", opset)], ir_version=IR[opset]
    )
    return hccs.onnx.add_function(model, K, normalisation, output)


def runtime(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)[0]


def evaluator(model):
    evaluate = onnx.reference.ReferenceEvaluator(model)
    return lambda feeds: evaluate.run(None, feeds)[0]


def openvino(model, hint=None):
    """In its default precision, which is bfloat16 where the processor has that."""
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(hccs.onnx.inlined(model).SerializeToString()),
        "CPU",
        {"INFERENCE_NUM_THREADS": 1, **({"INFERENCE_PRECISION_HINT": hint} if hint else {})},
    )
    return lambda feeds: compiled(feeds)[0]


def openvino_float32(model):
    return openvino(model, "f32")


class SingleDiv(onnx.reference.op_run.OpRun):
    """Div of int32 as the quotient in float32, cut: the least exact that function() allows for."""

    op_domain = ""
    op_schema = onnx.defs.get_schema("Div", 14)

    def _run(self, a, b):
        quotient = a.astype(np.float32) / b.astype(np.float32)
        return (np.trunc(quotient).astype(np.int32),)


class SingleMatMul(onnx.reference.op_run.OpRun):
    """Sums in float32, added in an order of their own."""

    op_domain = ""
    op_schema = onnx.defs.get_schema("MatMul", 13)

    def _run(self, a, b):
        return (np.matmul(a[..., ::-1].astype(np.float32), b[::-1].astype(np.float32)).astype(np.int32),)


class SingleClip(onnx.reference.op_run.OpRun):
    """Comparisons in float32."""

    op_domain = ""
    op_schema = onnx.defs.get_schema("Clip", 13)

    def _run(self, x, low, high):
        return (np.clip(x.astype(np.float32), np.float32(low), np.float32(high)).astype(np.int32),)


def single(model):
    """ONNX's evaluator with float32 wherever function() allows for it."""
    inlined = hccs.onnx.inlined(model)
    evaluate = onnx.reference.ReferenceEvaluator(inlined, new_ops=[SingleDiv, SingleMatMul, SingleClip])
    return lambda feeds: evaluate.run(None, feeds)[0]


RUNTIMES = [runtime, evaluator, single, openvino, openvino_float32]


def feeds_of(x, mask, heads, K):
    return {"x": x, "mask": mask, **dict(zip(hccs.onnx.head_names(K), hccs.onnx.head_tensors(heads, K)))}


def check_golden_rows(mode, opset, make):
    """`make` makes a callable of feeds of a model."""
    normalisation, output = mode
    key = f"{normalisation}_{'u8' if output == 'uint8' else 'i16'}"
    run = {}
    for row in golden_rows("softmax.jsonl"):
        head = hccs.HeadParams(row["B"], row["knees"])
        K = len(head.knees)
        if K not in run:
            model = one_node(K, normalisation, output, opset)
            onnx.checker.check_model(model, full_check=True)
            run[K] = make(model)
        x, mask = np.array(row["x"], np.int8), np.array(row["valid"], bool)
        p = run[K](feeds_of(x.reshape(1, 1, 1, -1), mask.reshape(1, 1, 1, -1), [head], K))
        np.testing.assert_array_equal(p[0, 0, 0], row[key])


@pytest.mark.parametrize("opset", sorted(IR))
@pytest.mark.parametrize("mode", MODES)
def test_golden_rows(mode, opset):
    check_golden_rows(mode, opset, runtime)


def drawn(rng, kind):
    n, q = int(rng.integers(1, 300)), 3
    if kind == 0:
        x = rng.integers(-128, 128, (2, 4, q, n)).astype(np.int8)
    elif kind == 1:
        x = np.clip(np.rint(rng.normal(-20, 30, (2, 4, q, n))), -128, 127).astype(np.int8)
    else:
        x = np.full((2, 4, q, n), rng.integers(-128, 128), np.int8)
    shape = [(2, 4, q, n), (2, 1, 1, n), (1, 1, q, n)][rng.integers(3)]
    return x, rng.random(shape) < rng.choice([0.0, 0.3, 0.95, 1.0])


@pytest.mark.parametrize("make", [single, openvino])
@pytest.mark.parametrize("mode", MODES)
def test_golden_rows_elsewhere(mode, make):
    check_golden_rows(mode, 18, make)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_in_the_function_is_a_float(mode):
    for opset in IR:
        model = onnx.shape_inference.infer_shapes(hccs.onnx.inlined(one_node(4, *mode, opset)), strict_mode=True)
        types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
        made = {output for node in model.graph.node for output in node.output} - {"p"}
        assert made and made <= set(types)
        whole = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
        assert not [name for name in made if types[name] not in whole], (mode, opset)


@pytest.mark.parametrize("make", RUNTIMES)
@pytest.mark.parametrize("mode", MODES)
def test_blocks(mode, make, rng):
    run = make(one_node(3, *mode, 18))
    plan = hccs.Plan(HEADS, *mode)
    for i in range(12):
        x, mask = drawn(rng, i % 3)
        np.testing.assert_array_equal(run(feeds_of(x, mask, HEADS, 3)), plan(x, mask=mask))


@pytest.mark.parametrize("make", RUNTIMES)
@pytest.mark.parametrize("output", ["int16", "uint8"])
def test_quotients_that_float32_rounds_up(output, make):
    """Rows of three with a position where (s * r + unit / 2) / unit lies less than a unit of float32 below a whole
    number."""
    offsets = np.random.default_rng(7).integers(16384, 32768, (64, 1, 1, 1))
    d = np.stack([np.zeros((128, 128), np.int64), *np.indices((128, 128))], -1).reshape(1, -1, 3)
    s = offsets[..., 0] - 127 * d
    z = s.sum(-1, keepdims=True)
    top = 2 ** np.floor(np.log2(z)).astype(np.int64)
    full, unit = (32767, top) if output == "int16" else (32640, top * 128)
    up = s * (full * top // z) + unit // 2
    rounded = np.floor(up.astype(np.float32) / unit.astype(np.float32))
    of_head, row = np.nonzero((rounded != up // unit).any(-1))
    assert len(row) > 0
    heads = [hccs.HeadParams(int(offsets[h, 0, 0, 0]), [(127, 127)]) for h in of_head[:500]]
    x = -d[:, row[:500]].reshape(1, -1, 1, 3).astype(np.int8)
    p = make(one_node(1, "scaled", output, 18))(feeds_of(x, np.ones((1, 1, 1, 1), bool), heads, 1))
    np.testing.assert_array_equal(p, hccs.Plan(heads, "scaled", output)(x))


@pytest.mark.parametrize("make", [runtime, single, openvino, openvino_float32])
def test_reciprocals_of_the_largest_sums(make):
    """r itself, of sums Z that float32 rounds up, and whose quotients it does."""
    n = 65536
    model = hccs.onnx.inlined(one_node(1, "scaled", "int16", 18))
    r = next(o for node in model.graph.node for o in node.output if o.split("__")[0] == "r")
    del model.graph.output[:]
    model.graph.output.append(oh.make_tensor_value_info(r, onnx.TensorProto.INT32, None))
    run = make(model)
    for z in (1249673162, 1249673153, 1248165826, 2**30 - 1, 2**30, 2**30 + 1, n * 32766 - 1):
        offset = -(-z // n)  # scores of offset, and of offset - 1 where a logit is one lower
        x = -(np.arange(n) < n * offset - z).astype(np.int8).reshape(1, 1, 1, n)
        found = run(feeds_of(x, np.ones((1, 1, 1, 1), bool), [hccs.HeadParams(offset, [(1, 1)])], 1))
        assert int(found.item()) == (32767 << (z.bit_length() - 1)) // z, z


@pytest.mark.parametrize("make", RUNTIMES)
def test_long_rows(make, rng):
    """Sums near 2^31, whose powers of two and quotients are the largest."""
    heads = [
        hccs.HeadParams(32767, [(0, 1)]),
        hccs.HeadParams(
            32767,
            [
                (127, 127),
            ],
        ),
    ]
    for n in (65535, 65536):
        x = rng.integers(-128, 128, (1, 2, 1, n)).astype(np.int8)
        for mode in MODES:
            p = make(one_node(1, *mode, 18))(feeds_of(x, np.ones((1, 1, 1, 1), bool), heads, 1))
            np.testing.assert_array_equal(p, hccs.Plan(heads, *mode)(x))


@pytest.mark.parametrize("output", hccs.onnx.OUTPUTS)
def test_between_products_in_openvino(output, rng, tmp_path):
    """Between two MatMuls OpenVINO's default may be bfloat16, also for what a function computes in floats. Logits of
    whole numbers and values of 0 and 1 are exact there, so that probabilities are, but for their own rounding."""
    n = 300
    nodes = [
        oh.make_node("MatMul", ["a", "i"], ["qk"]),
        oh.make_node("Softmax", ["qk"], ["p"], axis=-1),
        oh.make_node("MatMul", ["p", "i"], ["o"]),
    ]
    info = [oh.make_tensor_value_info(name, 1, ["B", 3, n, n]) for name in ("a", "i", "o")]
    graph = oh.make_graph(nodes, "g", info[:2], info[2:])
    onnx.save(
        oh.make_model(graph, opset_imports=[oh.make_opsetid("", 18)], ir_version=8), tmp_path / "float.onnx"
    )
    params = hccs.Params("m", 1, 3, [hccs.HeadEntry(head, 1.0) for head in HEADS[:3]])
    hccs.onnx.rewrite(tmp_path / "float.onnx", params, tmp_path / "hccs.onnx", output=output, inline=True)
    x = np.clip(np.rint(rng.normal(0, 40, (2, 3, n, n))), -127, 127).astype(np.int8)
    identity = np.broadcast_to(np.eye(n, dtype=np.float32), x.shape)
    o = openvino(onnx.load(tmp_path / "hccs.onnx"))({"a": x.astype(np.float32), "i": identity})
    p = hccs.Plan(HEADS[:3], output_type=output)(x).astype(float)
    assert (np.abs(o * hccs.onnx.OUTPUTS[output][2] - p) <= 0.51 + p / 128).all()


def test_refusals():
    for arguments, part in (
        ((5,), "5"),
        ((3, "soft"), "soft"),
        ((3, "div", "int8"), "int8"),
        ((3, "div", "uint8", 16), "16"),
    ):
        with pytest.raises(ValueError, match=part):
            hccs.onnx.function(*arguments)
    with pytest.raises(ValueError, match="K = 1"):
        hccs.onnx.head_tensors(HEADS, 1)


# ---- Rewriting ------------------------------------------------------------------------------------------------------

H, N, D = 3, 6, 4


def attention_graph(mask="added", opset=17, scale="Div", bias=False):
    """Two layers of attention over x [B, H, N, D], a residual between them; the mask is an input."""
    nodes, tensors = (
        [],
        [T(np.float32(2), "two"), T(np.float32(-1e9), "low"), T(np.float32(0), "nothing"), T(np.float32(1), "one")],
    )
    if mask == "added":  # as BERT has it: (1 - mask) * lowest
        nodes += [
            oh.make_node("Cast", ["mask"], ["mf"], to=1),
            oh.make_node("Sub", ["one", "mf"], ["inverse"]),
            oh.make_node("Mul", ["inverse", "low"], ["additive"]),
        ]
    if bias:
        tensors.append(T(np.random.default_rng(0).normal(size=(1, H, N, N)).astype(np.float32), "table"))
    at = "x"
    for layer in range(2):
        p = f"l{layer}_"
        tensors.append(T(np.random.default_rng(layer).normal(0, 1, (D, D)).astype(np.float32), p + "w"))
        nodes += [
            oh.make_node("MatMul", [at, p + "w"], [p + "q"]),
            oh.make_node("Transpose", [at], [p + "k"], perm=[0, 1, 3, 2]),
            oh.make_node("MatMul", [p + "q", p + "k"], [p + "qk"]),
        ]
        logits = p + "qk"
        if scale:
            nodes.append(oh.make_node(scale, [logits, "two"], [p + "scaled"]))
            logits = p + "scaled"
        if mask == "added":
            nodes.append(oh.make_node("Add", [logits, "additive"] if layer else ["additive", logits], [p + "masked"]))
        elif mask == "where":
            nodes.append(oh.make_node("Where", ["mask", logits, "low"], [p + "masked"]))
        elif bias:
            nodes.append(oh.make_node("Add", [logits, "table"], [p + "masked"]))
        attended = logits if mask is None and not bias else p + "masked"
        nodes += [
            oh.make_node("Softmax", [attended], [p + "p"], axis=-1, name=p + "softmax"),
            oh.make_node("MatMul", [p + "p", at], [p + "o"]),
            oh.make_node("Add", [p + "o", at], [p + "y"]),
        ]
        at = p + "y"
    nodes.append(oh.make_node("Softmax", ["l1_y"], ["classes"], axis=1, name="classifier"))
    inputs = [oh.make_tensor_value_info("x", 1, ["B", H, N, D])]
    if mask:
        inputs.append(oh.make_tensor_value_info("mask", onnx.TensorProto.BOOL, ["B", 1, 1, N]))
    outputs = [oh.make_tensor_value_info(n, 1, ["B", H, N, d]) for n, d in (("l0_p", N), ("l1_y", D), ("classes", D))]
    graph = oh.make_graph(nodes, "g", inputs, outputs, tensors)
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", opset)], ir_version=8)


def batches(rng, count, mask):
    for _ in range(count):
        x = rng.normal(0, 1.5, (8, H, N, D)).astype(np.float32)
        feeds = {"x": x}
        if mask:
            feeds["mask"] = np.arange(N) < rng.integers(1, N + 1, (8, 1, 1, 1))
        yield feeds


@pytest.mark.parametrize("scale", ["Div", "Mul", None])
@pytest.mark.parametrize("mask", ["added", "where", None])
def test_rewritten_models_compute_the_contract(mask, scale, rng, tmp_path):
    path = tmp_path / "float.onnx"
    onnx.save(attention_graph(mask, scale=scale), path)
    params = hccs.onnx.calibrate(path, batches(rng, 12, mask), knees=2, implausible="report", progress=False)
    assert (params.layers, params.heads, params.knees, params.model) == (2, H, 2, "float.onnx")
    found = hccs.onnx.rewrite(path, params, tmp_path / "hccs.onnx")
    assert [(f.node, f.layer, bool(f.reason)) for f in found] == [
        ("l0_softmax", 0, False),
        ("l1_softmax", 1, False),
        ("classifier", -1, True),
    ]
    assert all(f.heads == H for f in found[:2])
    (feeds,) = batches(rng, 1, mask)
    model = onnx.load(tmp_path / "hccs.onnx")
    onnx.checker.check_model(model, full_check=True)
    ran = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    logits_model = onnx.load(path)
    logits_model.graph.output.append(oh.make_empty_tensor_value_info(found[0].logits))
    logits = onnxruntime.InferenceSession(logits_model.SerializeToString()).run(None, feeds)[-1]
    steps = np.array([params[0, h].step for h in range(H)], np.float32).reshape(1, H, 1, 1)
    x = np.clip(np.rint(logits / steps), -128, 127).astype(np.int8)
    p = hccs.Plan([params[0, h].params for h in range(H)])(x, mask=feeds.get("mask", np.ones(1, bool)))
    np.testing.assert_array_equal(np.rint(ran[0] * 255).astype(int), p)
    if mask:
        assert not ran[0][~np.broadcast_to(feeds["mask"], p.shape)].any()
    exact = onnxruntime.InferenceSession(str(path)).run(None, feeds)
    assert np.corrcoef(ran[0].ravel(), exact[0].ravel())[0, 1] > 0.9
    hccs.onnx.rewrite(path, params, tmp_path / "inline.onnx", inline=True)
    inline = onnx.load(tmp_path / "inline.onnx")
    assert not inline.functions
    np.testing.assert_array_equal(onnxruntime.InferenceSession(inline.SerializeToString()).run(None, feeds)[1], ran[1])


@pytest.mark.parametrize(("mask", "opset"), [("added", 17), ("where", 18), (None, 18)])
def test_centred_rows(mask, opset, rng, tmp_path):
    """Rows far from 0: the same model when centred, and int8 logits that tell its logits apart."""
    model = attention_graph(mask, opset=opset)
    far = onnx.numpy_helper.from_array(np.full((1, 1, D, 1), 60, np.float32), "far")
    model.graph.initializer.append(far)
    for at, node in reversed(list(enumerate(model.graph.node))):  # k + 60: a constant on each row of q . k
        if node.op_type == "MatMul" and node.output[0].endswith("qk"):
            key = node.input[1]
            node.input[1] = key + "_far"
            model.graph.node.insert(at, oh.make_node("Add", [key, "far"], [key + "_far"]))
    path, centred = tmp_path / "far.onnx", tmp_path / "centred.onnx"
    onnx.save(model, path)
    assert [f.reason for f in hccs.onnx.centre(path, centred)][:2] == ["", ""]
    onnx.checker.check_model(onnx.load(centred), full_check=True)
    (feeds,) = batches(rng, 1, mask)
    exact = onnxruntime.InferenceSession(str(path)).run(None, feeds)[0]
    np.testing.assert_allclose(onnxruntime.InferenceSession(str(centred)).run(None, feeds)[0], exact, atol=1e-4)
    errors = []
    for name in (path, centred):
        params = hccs.onnx.calibrate(
            name, batches(np.random.default_rng(1), 6, mask), knees=2, implausible="report", progress=False
        )
        found = hccs.onnx.rewrite(name, params, tmp_path / "out.onnx")
        assert [f.layer for f in found] == [0, 1, -1] and all(bool(f.mask) == bool(mask) for f in found[:2])
        p = onnxruntime.InferenceSession(str(tmp_path / "out.onnx")).run(None, feeds)[0]
        if mask:
            assert not p[~np.broadcast_to(feeds["mask"], p.shape)].any()
        errors.append(np.abs(p - exact).mean())
    assert errors[1] < errors[0] / 2, errors


def test_other_outputs_and_older_files(rng, tmp_path):
    onnx.save(attention_graph("added", opset=13), tmp_path / "old.onnx")
    params = hccs.onnx.calibrate(
        tmp_path / "old.onnx", batches(rng, 12, True), knees=1, implausible="report", progress=False
    )
    hccs.onnx.rewrite(tmp_path / "old.onnx", params, tmp_path / "new.onnx", normalisation="div", output="int16")
    (feeds,) = batches(rng, 1, True)
    p = onnxruntime.InferenceSession(str(tmp_path / "new.onnx")).run(["l0_p"], feeds)[0]
    assert np.abs(p * 32767 - np.rint(p * 32767)).max() < 1e-2 and 0.5 < p.max() <= 1


def test_what_is_no_attention_says_why(rng, tmp_path):
    path = tmp_path / "bias.onnx"
    onnx.save(attention_graph(None, bias=True), path)
    reasons = [f.reason for f in hccs.onnx.find(path)]
    assert "bias" in reasons[0] and "bias" in reasons[1] and "axis" in reasons[2]
    entry = hccs.HeadEntry(hccs.HeadParams(300, [(2, 100)]), 0.1)
    with pytest.raises(ValueError, match="0 softmaxes.*2 layers(?s:.*)bias"):
        hccs.onnx.rewrite(path, hccs.Params("m", 2, H, [entry] * 2 * H), tmp_path / "out.onnx")
    onnx.save(attention_graph("added"), path)
    for layers, heads, part in ((3, H, "2 softmaxes.*3 layers"), (2, 4, "3 heads.*4")):
        with pytest.raises(ValueError, match=part):
            hccs.onnx.rewrite(path, hccs.Params("m", layers, heads, [entry] * layers * heads), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
    with pytest.raises(ValueError, match="no softmax"):
        onnx.save(attention_graph(None, bias=True), path)
        hccs.onnx.calibrate(path, batches(rng, 1, False))


def test_normalisations_that_are_too_narrow_are_warned_of(tmp_path):
    entry = hccs.HeadEntry(hccs.HeadParams(300, [(2, 100)]), 0.1)
    onnx.save(attention_graph("added"), tmp_path / "m.onnx")
    params = hccs.Params("m", 2, H, [entry] * 2 * H, sequence_length=110)
    with pytest.warns(UserWarning, match="up to 110, but by clb to int16 rows of more than 109"):
        hccs.onnx.rewrite(tmp_path / "m.onnx", params, tmp_path / "o.onnx", normalisation="clb", output="int16")


def test_aie4ml_directives():
    entry = hccs.HeadEntry(hccs.HeadParams(500, [(5, 64)]), 2**-4)
    params = hccs.Params("m", 1, 2, [entry] * 2)
    files = hccs.onnx.aie4ml_directives(params, 64, "l{layer}_h{head}")
    assert {"layer_directives.json", "scales.json"} <= set(files)
    assert (
        set(json.loads(files["layer_directives.json"])) >= {"l0_h0", "l0_h1"}
        or "l0_h0" in files["layer_directives.json"]
    )
    with pytest.raises(ValueError, match="n\\*B"):
        hccs.onnx.aie4ml_directives(params, 128, "l{layer}_h{head}")
    with pytest.raises(ValueError, match="layer 1"):
        hccs.onnx.aie4ml_directives(params, 64, "l{layer}_h{head}", layer=1)
