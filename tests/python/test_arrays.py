# SPDX-License-Identifier: Apache-2.0
"""Arrays of every shape, stride and type on every entry: the same result as of a plain copy, or an error that says why;
inputs are never written to."""

import numpy as np
import pytest

import hccs

HEADS = [hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]), hccs.HeadParams(300, [(3, 10), (2, 60)])]
STEPS = [0.1, 0.03]


def hostile(array):
    """The same values behind other strides."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 3), array.dtype)
    wide[..., 1 : 1 + 2 * array.shape[-1] : 2] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    odd = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    odd[...] = array
    structures = np.zeros(array.shape, [("other", np.int8), ("value", array.dtype)])
    structures["value"] = array
    return {
        "every second": wide[..., 1 : 1 + 2 * array.shape[-1] : 2],
        "backwards": array[..., ::-1].copy()[..., ::-1],
        "axis 0 backwards": array[::-1].copy()[::-1],
        "Fortran": np.asfortranarray(array),
        "read-only": read_only,
        "unaligned": odd,
        "part of a structure": structures["value"],
    }


def attention_as_given(x):
    return hccs.Attention(HEADS)(x, x, x, rescale=(3000, 26))


@pytest.mark.parametrize("name", list(hostile(np.zeros((2, 3, 8), np.int8))))
def test_int8_entries(name, rng):
    x = rng.integers(-128, 128, (2, 3, 8)).astype(np.int8)
    view = hostile(x)[name]
    np.testing.assert_array_equal(view, x)
    for call in (
        lambda a: hccs.softmax(a, HEADS),
        hccs.Plan(HEADS),
        attention_as_given,
        lambda a: hccs.reference(a[0, 1], HEADS[0]),
    ):
        np.testing.assert_array_equal(call(view), call(x))
    cache, plain = (hccs.Cache(hccs.Attention(HEADS), 2, 8, 8) for _ in range(2))
    cache.append(view, view)
    plain.append(x, x)
    np.testing.assert_array_equal(
        *(hccs.Attention(HEADS)(x, caches=[c], rescale=(3000, 26)) for c in (cache, plain))
    )
    np.testing.assert_array_equal(view, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(hostile(np.zeros((2, 3, 8), np.float32))))
def test_float_entries(name, dtype, rng):
    x = rng.normal(0, 3, (2, 3, 8)).astype(dtype)
    view = hostile(x)[name]
    np.testing.assert_array_equal(hccs.quantise_logits(view, STEPS), hccs.quantise_logits(x, STEPS))
    found = []
    for array in (view, x):
        sample = hccs.RowSample()
        sample.add(0, array[0])
        sample.add(3, array[1, 0])
        found.append([(i, row.tolist()) for i, row in sample.rows()])
    assert found[0] == found[1] and len(found[0]) == 4
    np.testing.assert_array_equal(view, x)


@pytest.mark.parametrize("name", list(hostile(np.zeros((2, 3, 8), bool))))
def test_masks_and_lengths(name, rng):
    x = rng.integers(-128, 128, (2, 3, 8)).astype(np.int8)
    mask = rng.random((2, 3, 8)) < 0.6
    view = hostile(mask)[name]
    np.testing.assert_array_equal(hccs.Plan(HEADS)(x, mask=view), hccs.Plan(HEADS)(x, mask=mask))
    lengths = rng.integers(0, 9, (2, 3))
    for dtype in (np.int8, np.uint16, np.int32, np.int64):
        found = hccs.Plan(HEADS)(x, lengths=hostile(lengths.astype(dtype))[name])
        np.testing.assert_array_equal(found, hccs.Plan(HEADS)(x, lengths=lengths))


WRONG = [np.uint8, np.int16, np.int64, np.float16, np.complex64, bool, object]


@pytest.mark.parametrize("dtype", WRONG)
def test_wrong_types_are_refused(dtype):
    x = np.zeros((2, 3, 8), dtype)
    int8 = np.zeros((2, 3, 8), np.int8)
    for call in (
        lambda: hccs.softmax(x, HEADS),
        lambda: hccs.Plan(HEADS)(x),
        lambda: hccs.Attention(HEADS)(x, int8, int8, rescale=(1, 0)),
        lambda: hccs.Attention(HEADS)(int8, x, int8, rescale=(1, 0)),
        lambda: hccs.Attention(HEADS)(int8, int8, x, rescale=(1, 0)),
        lambda: hccs.reference(x[0, 0], HEADS[0]),
        lambda: hccs.quantise_logits(x, 0.1),
        lambda: hccs.Cache(hccs.Attention(HEADS), 2, 8, 8).append(x, int8),
    ):
        with pytest.raises((TypeError, ValueError)) as raised:
            call()
        assert str(raised.value)


def test_byte_orders_are_told():
    swapped = np.zeros((2, 3, 8), np.dtype(np.int32).newbyteorder())
    with pytest.raises(TypeError, match="x has dtype .i4, but .* byte order"):
        hccs.Plan(HEADS)(swapped, rescale=(1, 0))
    x, lengths = np.zeros((2, 3, 8), np.int8), np.full((2, 3), 5, np.dtype(np.int32).newbyteorder())
    np.testing.assert_array_equal(hccs.Plan(HEADS)(x, lengths=lengths), hccs.Plan(HEADS)(x, lengths=5))


def test_read_only_outputs_are_refused():
    x = np.zeros((2, 3, 8), np.int8)
    for dtype, call in (
        (np.uint8, lambda out: hccs.Plan(HEADS)(x, out)),
        (np.uint8, lambda out: hccs.softmax(x, HEADS, out=out)),
        (np.int8, lambda out: hccs.Attention(HEADS)(x, x, x, rescale=(1, 0), out=out)),
    ):
        out = np.full(x.shape, 9, dtype)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            call(out)
        assert (out == 9).all()


def test_empty_arrays():
    empty = np.zeros((2, 0, 8), np.int8)
    assert hccs.softmax(empty, HEADS).shape == hccs.Plan(HEADS)(empty).shape == (2, 0, 8)
    assert hccs.Attention(HEADS)(empty, np.zeros((2, 5, 8), np.int8), np.zeros((2, 5, 8), np.int8), rescale=(1, 0)).shape == (2, 0, 8)
    assert hccs.quantise_logits(np.zeros((2, 0, 8), np.float32), STEPS).shape == (2, 0, 8)
    assert hccs.quantise_logits(np.zeros(0, np.float32), 0.1).shape == (0,)
    sample = hccs.RowSample()
    sample.add(0, np.zeros((0, 8), np.float32))
    assert len(sample) == 0
    with pytest.raises(ValueError):
        hccs.calibrate([sample], heads=1, progress=False)
    with pytest.raises(ValueError):
        hccs.calibrate([], heads=1, progress=False)
    for call in (
        lambda: hccs.softmax(np.zeros((2, 3, 0), np.int8), HEADS),
        lambda: hccs.reference(np.zeros(0, np.int8), HEADS[0]),
    ):
        with pytest.raises(ValueError, match="0"):
            call()


def test_encoder_without_texts(tiny_model):
    folder, texts = tiny_model
    encoder = hccs.Encoder(folder)
    assert encoder.embed([]).shape[0] == 0
    for wrong in (3, [3], [None], "one text"):
        with pytest.raises((TypeError, ValueError)):
            encoder.embed(wrong)
    assert encoder.embed([""]).shape == encoder.embed(texts[:1]).shape
