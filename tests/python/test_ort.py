# SPDX-License-Identifier: Apache-2.0
"""libhccs_ort.so: ONNX Runtime's custom operators against golden rows, the function and Plan, tolerance 0."""

import itertools
import json
import pathlib
import threading

import numpy as np
import onnx
import onnx.helper as oh
import onnxruntime
import pytest
from test_onnx import HEADS, IR, MODES, attention_graph, batches, check_golden_rows, feeds_of, one_node, runtime

import hccs
import hccs.onnx

# Random rows are odd, and too long for some normalisations.
pytestmark = pytest.mark.filterwarnings(
    "ignore:layer", "ignore:rows of", "ignore:the parameters", "ignore:.*far from 0"
)
try:
    hccs.onnx.library()
except FileNotFoundError as error:
    pytest.skip(str(error), allow_module_level=True)


def session(model, threads=1, **more):
    options = hccs.onnx.register()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    for name, value in more.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def kernel(model, threads=1):
    made = session(model, threads)
    return lambda feeds: made.run(None, feeds)[0]


def with_constants(model, feeds):
    """The model with its inputs but x and mask as constants."""
    kept = [i for i in model.graph.input if i.name in ("x", "mask")]
    constants = [onnx.numpy_helper.from_array(v, n) for n, v in feeds.items() if n not in ("x", "mask")]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.input[:]
    made.graph.input.extend(kept)
    made.graph.initializer.extend(constants)
    return made


def kernels_of(model, feeds, folder):
    """The operators that ONNX Runtime's profile shows."""
    made = session(model, enable_profiling=True, profile_file_prefix=str(folder / "profile"))
    made.run(None, feeds)
    events = json.loads(pathlib.Path(made.end_profiling()).read_text())
    return [e["args"]["op_name"] for e in events if e.get("cat") == "Node" and "op_name" in e.get("args", {})]


@pytest.mark.parametrize("opset", sorted(IR))
@pytest.mark.parametrize("mode", MODES)
def test_golden_rows(mode, opset):
    check_golden_rows(mode, opset, kernel)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_masks_broadcast_on_every_axis(mode, constant, rng):
    """Kernel, function and Plan, each with the same file."""
    plan = hccs.Plan(HEADS, *mode)
    model = one_node(3, *mode, 18)
    if constant:
        model = with_constants(model, feeds_of(None, None, HEADS, 3))
    function, custom = runtime(model), kernel(model)
    for shape in itertools.product((1, 2), (1, 4), (1, 3), (1, 77)):
        x = rng.integers(-128, 128, (2, 4, 3, 77)).astype(np.int8)
        mask = rng.random(shape) < rng.choice([0.2, 0.9])
        feeds = {"x": x, "mask": mask} if constant else feeds_of(x, mask, HEADS, 3)
        expected = plan(x, mask=mask)
        np.testing.assert_array_equal(custom(feeds), expected)
        np.testing.assert_array_equal(function(feeds), expected)


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_every_number_of_knees(K, rng):
    for mode in MODES:
        heads = []
        for _ in range(4):
            positions = sorted(rng.choice(np.arange(1, 128), K, replace=False).tolist())
            slopes = rng.integers(0, 30, K).tolist()
            floor = int(rng.integers(0, 300))
            offset = max(1, min(32767, floor + sum(s * d for s, d in zip(slopes, positions))))
            heads.append(hccs.HeadParams(offset, list(zip(slopes, positions))))
        x = rng.integers(-128, 128, (1, 4, 2, int(rng.integers(1, 200)))).astype(np.int8)
        feeds = feeds_of(x, np.ones((1, 1, 1, 1), bool), heads, K)
        model = one_node(K, *mode, 21)
        expected = hccs.Plan(heads, *mode)(x)
        np.testing.assert_array_equal(kernel(model)(feeds), expected)
        np.testing.assert_array_equal(runtime(model)(feeds), expected)


def of_axes(axes, mask_axes, heads):
    """A model of x with so many axes, whose heads are constants."""
    model = with_constants(one_node(3, "scaled", "uint8", 18), feeds_of(None, None, heads, 3))
    for value, count in ((model.graph.input[0], axes), (model.graph.input[1], mask_axes), (model.graph.output[0], axes)):
        del value.type.tensor_type.shape.dim[:]
        for _ in range(count):
            value.type.tensor_type.shape.dim.add()
    return model


@pytest.mark.parametrize(
    ("shape", "mask"),
    [
        ((4, 5, 9), (5, 9)),
        ((4, 5, 9), (9,)),
        ((4, 5, 9), ()),
        ((2, 4, 5, 9), (4, 1, 1)),
        ((2, 3, 4, 5, 9), (3, 1, 5, 9)),
        ((2, 3, 4, 5, 9), (2, 1, 4, 1, 9)),
        ((2, 3, 2, 4, 5, 9), (3, 1, 1, 5, 1)),
    ],
)
def test_any_number_of_axes(shape, mask, rng):
    model = of_axes(len(shape), len(mask), HEADS)
    x = rng.integers(-128, 128, shape).astype(np.int8)
    valid = np.array(rng.random(mask) < 0.6)
    flat = (-1, *shape[-3:])
    expected = hccs.Plan(HEADS)(x.reshape(flat), mask=np.broadcast_to(valid, shape).reshape(x.reshape(flat).shape))
    for run in (kernel(model), runtime(model)):
        np.testing.assert_array_equal(run({"x": x, "mask": valid}), expected.reshape(shape))


def test_one_head_for_all_and_empty_arrays(rng):
    model = with_constants(one_node(3, "scaled", "uint8", 18), feeds_of(None, None, HEADS[:1], 3))
    x = rng.integers(-128, 128, (2, 6, 3, 20)).astype(np.int8)
    every = np.ones((1, 1, 1, 1), bool)
    for run in (kernel(model), runtime(model)):
        np.testing.assert_array_equal(run({"x": x, "mask": every}), hccs.softmax(x, HEADS[0]))
    for shape in ((0, 6, 3, 20), (2, 6, 0, 20), (2, 0, 3, 20)):
        assert kernel(model)({"x": np.zeros(shape, np.int8), "mask": every}).shape == shape


def test_threads(rng):
    """Of the runtime within a call, and of callers whose heads change from call to call."""
    model = one_node(3, "scaled", "int16", 18)
    x = rng.integers(-128, 128, (3, 4, 130, 257)).astype(np.int8)
    mask = rng.random((3, 1, 130, 257)) < 0.8
    made = session(model, threads=3)
    orders = [HEADS, HEADS[::-1], HEADS[1:] + HEADS[:1]]
    expected = [hccs.Plan(heads, "scaled", "int16")(x, mask=mask) for heads in orders]
    failures = []

    def work(i):
        for round_ in range(4):
            at = (i + round_) % 3
            if not np.array_equal(made.run(None, feeds_of(x, mask, orders[at], 3))[0], expected[at]):
                failures.append((i, round_))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_profile_shows_the_kernel(rng, tmp_path):
    name = hccs.onnx.name(3, "scaled", "uint8")
    model = one_node(3, "scaled", "uint8", 20)
    feeds = feeds_of(rng.integers(-128, 128, (1, 4, 2, 30)).astype(np.int8), np.ones((1, 1, 1, 30), bool), HEADS, 3)
    assert kernels_of(model, feeds, tmp_path) == [name]
    # An operator needs no function in the file.
    del model.functions[:]
    assert kernels_of(model, feeds, tmp_path) == [name]


def test_one_rewritten_file_runs_with_it_and_without_it(rng, tmp_path):
    path = tmp_path / "float.onnx"
    onnx.save(attention_graph("added"), path)
    params = hccs.onnx.calibrate(path, batches(rng, 12, "added"), knees=2, implausible="report", progress=False)
    hccs.onnx.rewrite(path, params, tmp_path / "hccs.onnx")
    model = onnx.load(tmp_path / "hccs.onnx")
    (feeds,) = batches(rng, 1, "added")
    without = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for a, b in zip(session(model).run(None, feeds), without.run(None, feeds)):
        np.testing.assert_array_equal(a, b)
    assert kernels_of(model, feeds, tmp_path).count(hccs.onnx.name(2)) == 2


X, EVERY = np.zeros((1, 4, 2, 8), np.int8), np.ones((1, 1, 1, 1), bool)
TENSORS = dict(zip(hccs.onnx.head_names(3), hccs.onnx.head_tensors(HEADS, 3)))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"x": X[:, :3]}, ["[1, 3, 2, 8]", "3 heads", "4"]),
        ({"x": X[..., :0]}, ["0 keys", "65536"]),
        ({"x": np.zeros((1, 4, 1, 65537), np.int8)}, ["65537 keys", "65536"]),
        ({"mask": np.ones((1, 1, 1, 7), bool)}, ["mask", "[1, 1, 1, 7]", "[1, 4, 2, 8]"]),
        ({"mask": np.ones((1, 3, 1, 8), bool)}, ["mask", "[1, 3, 1, 8]"]),
        ({"b": TENSORS["b"] * 0}, ["head 0", "B", "0"]),
        ({"s_1": TENSORS["s_1"] * 100}, ["head 0", "3400", "127"]),
        ({"d_0": TENSORS["d_0"] + 128}, ["head 0", "149", "127"]),
        ({"b": np.minimum(TENSORS["b"], 4000)}, ["head 0", "floor", ">= 0"]),
        ({"s_2": TENSORS["s_2"][:3]}, ["s_2", "[3, 1, 1]", "[4, 1, 1]"]),
    ],
)
def test_refusals(change, parts):
    run = kernel(one_node(3, "scaled", "uint8", 18))
    with pytest.raises(Exception) as raised:
        run({"x": X, "mask": EVERY, **TENSORS, **change})
    for part in ["hccs: SoftmaxScaledU8K3", *parts]:
        assert part in str(raised.value)


def test_constants_are_refused_when_the_session_is_made():
    feeds = {"x": X, "mask": EVERY, **TENSORS, "d_2": TENSORS["d_2"] * 0 + 47}
    model = with_constants(one_node(3, "scaled", "uint8", 18), feeds)
    model.graph.node[0].name = "layer 5"
    with pytest.raises(Exception, match='"layer 5": head 0.*47'):
        kernel(model)
    model = oh.make_model(
        oh.make_graph(
            [oh.make_node("SoftmaxScaledU8K5", ["x"], ["p"], domain="hccs")],
            "g",
            [oh.make_tensor_value_info("x", onnx.TensorProto.INT8, [1, 1, 1, 4])],
            [oh.make_tensor_value_info("p", onnx.TensorProto.UINT8, [1, 1, 1, 4])],
        ),
        opset_imports=[oh.make_opsetid("", 18), oh.make_opsetid("hccs", 1)],
        ir_version=8,
    )
    with pytest.raises(Exception, match="SoftmaxScaledU8K5"):
        kernel(model)


def test_the_library_is_found_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("HCCS_ORT_LIBRARY", str(tmp_path / "absent.so"))
    with pytest.raises(FileNotFoundError, match="absent.so.*HCCS_ORT_LIBRARY"):
        hccs.onnx.register(onnxruntime.SessionOptions())
