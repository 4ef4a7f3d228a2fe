# SPDX-License-Identifier: Apache-2.0
"""Plan, softmax, reference and quantise_logits against golden rows and the definition, tolerance 0."""

import pickle
import threading
import warnings

import numpy as np
import pytest
from conftest import golden_rows

import hccs

pytestmark = pytest.mark.filterwarnings("ignore:rows of")
NORMALISATIONS = ("div", "clb", "scaled")
OUTPUTS = {"uint8": "u8", "int16": "i16"}
HEADS = [
    hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]),
    hccs.HeadParams(32767, [(127, 127)]),
    hccs.HeadParams(300, [(3, 10), (2, 60)]),
    hccs.HeadParams(1, [(0, 1), (0, 2), (0, 3), (0, 127)]),
]


def defined(x, heads, mask, **how):
    """The definition, row by row: x [batch, heads, queries, keys]."""
    mask = np.broadcast_to(mask, x.shape)
    rows = [
        [
            [
                hccs.reference(np.ascontiguousarray(x[b, h, q]), heads[h], mask=mask[b, h, q], **how)
                for q in range(x.shape[2])
            ]
            for h in range(x.shape[1])
        ]
        for b in range(x.shape[0])
    ]
    return np.array(rows).reshape(x.shape)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_golden_rows(normalisation, output):
    for row in golden_rows("softmax.jsonl"):
        head = hccs.HeadParams(row["B"], row["knees"])
        x, mask = np.array(row["x"], np.int8), np.array(row["valid"], bool)
        expected = np.array(row[f"{normalisation}_{OUTPUTS[output]}"], output)
        for p in (
            hccs.softmax(x, head, normalisation, output, mask=mask),
            hccs.reference(x, head, normalisation, output, mask=mask),
        ):
            assert p.dtype == output
            np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize("target", hccs.targets())
def test_golden_rows_of_sums_on_every_target(target):
    for row in golden_rows("int32.jsonl"):
        head = hccs.HeadParams(row["B"], row["knees"])
        a, mask = np.array(row["a"], np.int32), np.array(row["valid"], bool)
        for normalisation in NORMALISATIONS:
            for output, suffix in OUTPUTS.items():
                plan = hccs.Plan([head], normalisation, output, target)
                assert (plan.target, plan.normalisation, plan.output_type, plan.heads) == (
                    target,
                    normalisation,
                    output,
                    1,
                )
                p = plan(a, mask=mask, rescale=(row["M"], row["R"]))
                np.testing.assert_array_equal(p, row[f"{normalisation}_{suffix}"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_masks_combine_and_broadcast(rng, output):
    plan = hccs.Plan(HEADS, "scaled", output)
    for _ in range(20):
        b, q, n = rng.integers(1, 4), rng.integers(1, 5), rng.integers(1, 80)
        x = rng.integers(-128, 128, (b, 4, q, n)).astype(np.int8)
        lengths = rng.integers(-1, n + 2, [(b, 1, 1), (4, q), (b, 4, q), (1,)][rng.integers(4)])
        mask = rng.random([(b, 1, 1, n), (q, n), (b, 4, q, n), (4, 1, 1)][rng.integers(4)]) < 0.7
        offset = int(rng.integers(-2, n))
        valid = np.broadcast_to(mask, x.shape) & (np.arange(n) < np.broadcast_to(lengths, x.shape[:3])[..., None])
        valid = valid & (np.arange(n) <= np.arange(q)[:, None] + offset)
        expected = defined(x, HEADS, valid, output_type=output)
        np.testing.assert_array_equal(plan(x, mask=mask, lengths=lengths, causal_offset=offset), expected)
        bits = np.packbits(np.broadcast_to(mask, x.shape), axis=-1, bitorder="little")
        np.testing.assert_array_equal(plan(x, mask_bits=bits, lengths=lengths, causal_offset=offset), expected)
        assert not expected[~valid].any()


def test_hostile_arrays(rng):
    plan = hccs.Plan(HEADS)
    base = rng.integers(-128, 128, (3, 4, 10, 66)).astype(np.int8)
    views = {
        "contiguous": base,
        "read-only": base.copy(),
        "every second row": base[:, :, ::2],
        "part of a row": base[..., 3:41],
        "backwards": base[..., ::-1],
        "rows backwards": base[:, :, ::-1],
        "keys first": base.transpose(0, 1, 3, 2),
        "heads and queries swapped": base.transpose(2, 1, 0, 3),
        "one row repeated": np.broadcast_to(base[:1, :, :1], base.shape),
        "every second key": base[..., ::2],
        "Fortran": np.asfortranarray(base),
        "three axes": base[0],
        "no batch": base[:0],
        "no queries": base[:, :, :0],
    }
    views["read-only"].flags.writeable = False
    for name, x in views.items():
        four = x if x.ndim == 4 else x[None]
        expected = defined(four, HEADS, True).reshape(x.shape).astype(np.uint8)
        np.testing.assert_array_equal(plan(x), expected, err_msg=name)
        room = np.full((*x.shape[:-1], x.shape[-1] + 7), 77, np.uint8)
        out = room[..., 2 : 2 + x.shape[-1]]
        assert plan(x, out) is out, name
        np.testing.assert_array_equal(out, expected, err_msg=name)
        assert (room[..., :2] == 77).all() and (room[..., 2 + x.shape[-1] :] == 77).all(), name


def test_in_place(rng):
    x = rng.integers(-128, 128, (4, 3, 50)).astype(np.int8)
    expected = hccs.Plan(HEADS)(x)
    hccs.Plan(HEADS)(x, out=x.view(np.uint8))
    np.testing.assert_array_equal(x.view(np.uint8), expected)


def test_heads_of_a_plan(rng):
    x = rng.integers(-128, 128, (2, 5, 9)).astype(np.int8)
    np.testing.assert_array_equal(hccs.Plan(HEADS)(x, first_head=1), hccs.Plan(HEADS[1:3])(x))
    entries = [hccs.HeadEntry(head, 0.1) for head in HEADS[1:3]]
    np.testing.assert_array_equal(hccs.Plan(entries)(x), hccs.Plan(HEADS[1:3])(x))
    np.testing.assert_array_equal(hccs.softmax(x, HEADS[0]), hccs.Plan([HEADS[0]] * 2)(x))


def test_rescales(rng):
    sums = rng.integers(-(2**20), 2**20, (2, 4, 3, 40)).astype(np.int32)
    rescales = np.stack([rng.integers(1, 32768, (2, 4, 3)), rng.integers(20, 46, (2, 4, 3))], -1).astype(np.int32)
    plan = hccs.Plan(HEADS)
    p = plan(sums, rescale=rescales)
    per_head = plan(sums, rescale=rescales[0, :, :1])
    for at in np.ndindex(2, 4, 3):
        m, r = rescales[at].tolist()
        np.testing.assert_array_equal(p[at], hccs.reference(sums[at], HEADS[at[1]], rescale=(m, r)))
        m, r = rescales[0, at[1], 0].tolist()
        np.testing.assert_array_equal(per_head[at], hccs.reference(sums[at], HEADS[at[1]], rescale=(m, r)))


def test_threads_share_a_plan(rng):
    plan = hccs.Plan(HEADS)
    x = rng.integers(-128, 128, (64, 4, 16, 64)).astype(np.int8)
    expected = plan(x)
    results = [None] * 8

    def run(i):
        for _ in range(5):
            results[i] = plan(x)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_exact_exponential():
    x = np.array([[0, -10, -128]], np.int8)
    p = hccs.Plan.exact([0.1], "scaled", "int16")(x)[0]
    e = np.exp(0.1 * x[0])
    np.testing.assert_allclose(p / 32767, e / e.sum(), atol=1e-4)


X = np.zeros((4, 2, 8), np.int8)


@pytest.mark.parametrize(
    ("error", "parts", "call"),
    [
        (ValueError, ["B", "0", "32767"], lambda: hccs.HeadParams(0, [(1, 1)])),
        (ValueError, ["5 knees", "4"], lambda: hccs.HeadParams(900, [(1, d) for d in (1, 2, 3, 4, 5)])),
        (TypeError, ["HeadParams"], lambda: hccs.Plan([1])),
        (TypeError, ["HeadParams"], lambda: hccs.Plan("x")),
        (ValueError, ["0 heads"], lambda: hccs.Plan([])),
        (ValueError, ["softly", "scaled"], lambda: hccs.Plan(HEADS, "softly")),
        (ValueError, ["float", "int16"], lambda: hccs.Plan(HEADS, "scaled", "float")),
        (ValueError, ["abacus"], lambda: hccs.Plan(HEADS, target="abacus")),
        (TypeError, ["list"], lambda: hccs.Plan(HEADS)([1, 2])),
        (TypeError, ["float32", "int8"], lambda: hccs.Plan(HEADS)(X.astype(np.float32))),
        (TypeError, ["uint8", "int8"], lambda: hccs.Plan(HEADS)(X.astype(np.uint8))),
        (ValueError, ["rescale"], lambda: hccs.Plan(HEADS)(X.astype(np.int32))),
        (ValueError, ["rescale"], lambda: hccs.Plan(HEADS)(X, rescale=(1, 0))),
        (ValueError, ["M", "0", "32767"], lambda: hccs.Plan(HEADS)(X.astype(np.int32), rescale=(0, 0))),
        (ValueError, ["(3,)", "broadcast"], lambda: hccs.Plan(HEADS)(X.astype(np.int32), rescale=(1, 2, 3))),
        (ValueError, ["keys", "0"], lambda: hccs.Plan(HEADS)(X[..., :0])),
        (ValueError, ["head"], lambda: hccs.Plan(HEADS[:2])(X)),
        (ValueError, ["head"], lambda: hccs.Plan(HEADS)(X, first_head=1)),
        (ValueError, ["(1, 1, 4, 2, 8)", "1 to 4 axes"], lambda: hccs.Plan(HEADS)(X[None, None])),
        (ValueError, ["(3,)", "broadcast", "(1, 4, 2)"], lambda: hccs.Plan(HEADS)(X, lengths=[1, 2, 3])),
        (TypeError, ["lengths", "float"], lambda: hccs.Plan(HEADS)(X, lengths=1.5)),
        (TypeError, ["mask", "uint8", "mask_bits"], lambda: hccs.Plan(HEADS)(X, mask=np.ones(8, np.uint8))),
        (ValueError, ["mask", "(7,)"], lambda: hccs.Plan(HEADS)(X, mask=np.ones(7, bool))),
        (ValueError, ["mask_bits", "(2,)"], lambda: hccs.Plan(HEADS)(X, mask_bits=np.ones(2, np.uint8))),
        (
            ValueError,
            ["one of them"],
            lambda: hccs.Plan(HEADS)(X, mask=np.ones(8, bool), mask_bits=np.ones(1, np.uint8)),
        ),
        (TypeError, ["out", "int8", "uint8"], lambda: hccs.Plan(HEADS)(X, X.copy())),
        (ValueError, ["out", "(4, 2, 7)", "(4, 2, 8)"], lambda: hccs.Plan(HEADS)(X, np.empty((4, 2, 7), np.uint8))),
        (ValueError, ["out", "contiguous"], lambda: hccs.Plan(HEADS)(X, np.empty((4, 2, 16), np.uint8)[..., ::2])),
        (ValueError, ["out", "read-only"], lambda: hccs.Plan(HEADS)(X, np.broadcast_to(np.uint8(0), (4, 2, 8)))),
        (
            ValueError,
            ["overlap"],
            lambda: hccs.Plan(HEADS)(X, np.lib.stride_tricks.as_strided(np.empty(99, np.uint8), X.shape, (8, 4, 1))),
        ),
        (ValueError, ["(4, 2, 8)", "one row"], lambda: hccs.reference(X, HEADS[0])),
        (ValueError, ["step", "0"], lambda: hccs.quantise_logits(np.zeros(3), 0.0)),
        (ValueError, ["2 steps", "(3,)"], lambda: hccs.quantise_logits(np.zeros(3), [1.0, 2.0])),
        (TypeError, ["int64"], lambda: hccs.quantise_logits(np.zeros(3, int), 1.0)),
    ],
)
def test_refusals(error, parts, call):
    with pytest.raises(error) as raised:
        call()
    for part in parts:
        assert part in str(raised.value)


def test_refusals_write_nothing():
    out = np.full(X.shape, 9, np.uint8)
    with pytest.raises(ValueError):
        hccs.Plan(HEADS)(X, out, first_head=2)
    assert (out == 9).all()


def test_quantise_logits(rng):
    for dtype in (np.float32, np.float64):
        x = (rng.normal(0, 30, (2, 3, 4, 7))).astype(dtype)
        x[0, 0, 0] = [np.nan, np.inf, -np.inf, 0.25, 0.75, -0.25, 1e30]
        steps = np.array([0.5, 0.1, 3.0])
        with np.errstate(invalid="ignore"):
            expected = np.clip(np.rint(np.nan_to_num(x.astype(np.float64) / steps[:, None, None], nan=0.0)), -128, 127)
        np.testing.assert_array_equal(hccs.quantise_logits(x, steps), expected.astype(np.int8))
        np.testing.assert_array_equal(hccs.quantise_logits(x[:, 1], 0.1), expected[:, 1].astype(np.int8))
        np.testing.assert_array_equal(hccs.quantise_logits(x[..., ::-1], steps), expected[..., ::-1].astype(np.int8))


def test_rows_that_are_too_long_are_warned_of(rng, tmp_path):
    """div and clb make 0 of equal logits beyond longest_row, and that alone is warned of, once a plan."""
    head = HEADS[0]
    for normalisation in NORMALISATIONS:
        for output in OUTPUTS:
            longest = head.longest_row(normalisation, output)
            plan = hccs.Plan([head, head], normalisation, output)
            assert plan.longest_row == longest
            if normalisation == "scaled":
                assert longest == 65536
                continue
            assert output == "uint8" or longest == 32767 // 4690
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert plan(np.zeros((2, 1, longest), np.int8))[0].all()
            x = np.zeros((2, 1, longest + 1), np.int8)
            with pytest.warns(UserWarning, match=f"rows of {longest + 1} by {normalisation} to {output}.*{longest}"):
                assert not plan(x)[0].any()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                plan(x)
                hccs.softmax(x[:, :, :1], [head] * 2, normalisation, output)
                with pytest.raises(UserWarning, match="scaled"):
                    hccs.softmax(x, head, normalisation, output)
    entries = [hccs.HeadEntry(HEADS[2], 0.1), hccs.HeadEntry(head, 0.1)]
    assert hccs.Params("m", 1, 2, entries).longest_row("div", "int16") == 32767 // 4690
    assert hccs.Plan.exact([0.1], "div", "int16").longest_row == 1


def test_head_params():
    head = hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)])
    assert (head.offset, head.knees, head.floor) == (4690, [(86, 21), (34, 47), (14, 85)], 96)
    assert [head.score(d) for d in (0, 1, 21, 300)] == [4690, 4690 - 134, 4690 - 134 * 21, 96]
    assert pickle.loads(pickle.dumps(head)) == head and hash(head) == hash(
        eval(repr(head), {"HeadParams": hccs.HeadParams})
    )
    assert head != HEADS[1] and head != 3
    with pytest.raises(ValueError, match="-1"):
        head.score(-1)


def test_help_reads_well():
    for thing in (
        hccs,
        hccs.softmax,
        hccs.Plan,
        hccs.Plan.__call__,
        hccs.RowSample.add,
        hccs.calibrate,
        hccs.Attention,
        hccs.Encoder,
        hccs.Params.load,
    ):
        assert len(thing.__doc__) > 60
    assert hccs.Plan.__module__ == "hccs"
