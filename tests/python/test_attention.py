# SPDX-License-Identifier: Apache-2.0
"""Attention and its cache against golden rows and a plain statement of docs/arithmetic.md, tolerance 0."""

import threading

import numpy as np
import pytest
from conftest import golden_rows

import hccs

HEADS = [hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]), hccs.HeadParams(900, [(7, 127)])] * 2


def rows(row, name):
    return np.array(row[name], np.int8)[None]


@pytest.mark.parametrize("target", hccs.attention_targets())
def test_golden_rows(target):
    for file, weights, key in (("attention.jsonl", "uint8", "o"), ("attention_wide.jsonl", "wide", "o_wide")):
        for row in golden_rows(file):
            attention = hccs.Attention([hccs.HeadParams(row["B"], row["knees"])], weights, target)
            out = attention(
                rows(row, "q")[None],
                rows(row, "k"),
                rows(row, "v"),
                rescale=(row["M"], row["R"]),
                mask=np.array(row["valid"], bool),
            )
            np.testing.assert_array_equal(out[0, 0], row[key])


def stated(q, k, v, rescale, valid):
    """One query row: the contract's attention with 8-bit weights, in Python's integers."""
    head, (m, r) = rescale[0], rescale[1]
    if not valid.any():
        return np.zeros(v.shape[-1], int)
    sums = k.astype(int) @ q.astype(int)
    shift = next(h for h in range(9) if head.offset / 2**h < 255.5)
    top = sums[valid].max()
    weight = [0] * len(sums)
    for i in np.flatnonzero(valid):
        d = min(127, (2 * int(top - sums[i]) * m + (1 << r)) >> (r + 1))
        weight[i] = (2 * head.score(d) + (1 << shift)) >> (shift + 1)
    total = sum(weight)
    return np.array(
        [(2 * int(sum(w * int(x) for w, x in zip(weight, v[:, j]))) + total) // (2 * total) for j in range(v.shape[1])]
    )


def test_groups_masks_and_threads(rng):
    attention = hccs.Attention(HEADS)
    for _ in range(10):
        texts, queries, keys, dim, dv = (
            2,
            rng.integers(1, 5),
            rng.integers(1, 40),
            rng.integers(1, 33),
            rng.integers(1, 20),
        )
        q = rng.integers(-128, 128, (texts, 4, queries, dim)).astype(np.int8)
        k = rng.integers(-128, 128, (texts, 2, keys, dim)).astype(np.int8)
        v = rng.integers(-128, 128, (texts, 2, keys, dv)).astype(np.int8)
        rescale = np.stack([rng.integers(1, 32768, (4, 1)), rng.integers(24, 32, (4, 1))], -1)
        mask = rng.random((texts, 1, queries, keys)) < 0.8
        lengths = rng.integers(0, keys + 2, (texts, 1))
        offset, window = int(rng.integers(-1, keys)), int(rng.integers(1, keys + 1))
        p = np.arange(queries)[:, None] + offset
        seen = (np.arange(keys) <= p) & (np.arange(keys) > p - window)
        valid = mask[:, 0] & seen & (np.arange(keys) < lengths[:, :, None])
        out = attention(q, k, v, rescale=rescale, mask=mask, lengths=lengths, causal_offset=offset, window=window)
        for t, h, i in np.ndindex(texts, 4, queries):
            how = (HEADS[h], rescale[h, 0].tolist())
            np.testing.assert_array_equal(
                out[t, h, i], stated(q[t, h, i], k[t, h // 2], v[t, h // 2], how, valid[t, i])
            )
        room = np.empty((texts, queries, 4, dv), np.int8)  # heads beside each other, as models have them
        attention(
            q,
            k[:, :, :],
            v,
            rescale=rescale,
            mask=mask,
            lengths=lengths,
            causal_offset=offset,
            window=window,
            out=room.transpose(0, 2, 1, 3),
            threads=3,
        )
        np.testing.assert_array_equal(room.transpose(0, 2, 1, 3), out)


@pytest.mark.parametrize("kind", ["uint8", "wide"])
def test_weights_are_what_the_values_were_weighed_with(kind, rng):
    attention = hccs.Attention(HEADS, kind)
    q = rng.integers(-128, 128, (2, 4, 5, 16)).astype(np.int8)
    k, v = (rng.integers(-128, 128, (2, 2, 33, n)).astype(np.int8) for n in (16, 7))
    mask = rng.random((2, 1, 5, 33)) < 0.6
    mask[1, 0, 2] = False
    how = {"rescale": (3000, 26), "mask": mask}
    room = np.full((2, 4, 5, 40), 77, "uint8" if kind == "uint8" else "uint16")
    weights, sums = room[..., 3:36], np.empty((2, 4, 5), np.int32)
    out = attention(q, k, v, weights=weights, weight_sums=sums, **how)
    np.testing.assert_array_equal(out, attention(q, k, v, **how))
    np.testing.assert_array_equal(sums, weights.sum(-1, dtype=np.int64))
    assert not weights[~np.broadcast_to(mask, weights.shape)].any() and weights.any()
    assert (room[..., :3] == 77).all() and (room[..., 36:] == 77).all()
    total = np.einsum("bhqk,bhkd->bhqd", weights.astype(int), np.repeat(v, 2, 1).astype(int))
    rounded = (2 * total + sums[..., None]) // np.maximum(2 * sums[..., None], 1)
    np.testing.assert_array_equal(out, np.where(sums[..., None] > 0, rounded, 0))
    cache = hccs.Cache(attention, 2, 16, 7)
    cache.append(k[0], v[0])
    of_cache = np.empty((4, 5, 33), weights.dtype)
    attention(q[0], caches=[cache], rescale=(3000, 26), mask=mask[0], weights=of_cache)
    np.testing.assert_array_equal(of_cache, weights[0])


def test_cache_is_decoding(rng):
    attention = hccs.Attention(HEADS)
    n, dim = 70, 16
    q, k, v = (rng.integers(-128, 128, (heads, n, dim)).astype(np.int8) for heads in (4, 2, 2))
    whole = attention(q, k, v, rescale=(3000, 26), causal_offset=0)
    cache = hccs.Cache(attention, 2, dim, dim)
    assert len(cache) == 0 and cache.target == attention.target
    for i in range(n):
        cache.append(k[:, i : i + 1], v[:, i : i + 1])
        out = attention(q[:, i : i + 1], caches=[cache], rescale=(3000, 26), causal_offset=0)
        np.testing.assert_array_equal(out, whole[:, i : i + 1])
    cache.truncate(5)
    assert len(cache) == 5
    np.testing.assert_array_equal(attention(q[:, 4:5], caches=[cache], rescale=(3000, 26)), whole[:, 4:5])
    two = attention(np.stack([q[:, 4:5]] * 2), caches=[cache, cache], rescale=(3000, 26))
    np.testing.assert_array_equal(two[1], whole[:, 4:5])


def test_threads_share_a_cache(rng):
    attention = hccs.Attention(HEADS)
    cache = hccs.Cache(attention, 2, 16, 16)
    block = rng.integers(-128, 128, (2, 4, 16)).astype(np.int8)
    q = rng.integers(-128, 128, (4, 1, 16)).astype(np.int8)
    failures = []

    def append():
        for _ in range(200):
            cache.append(block, block)

    def attend():
        try:
            for _ in range(200):
                attention(q, caches=[cache], rescale=(3000, 26))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=f) for f in (append, attend, append, attend)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(cache) == 1600


Q = np.zeros((4, 3, 8), np.int8)
K = np.zeros((2, 5, 8), np.int8)


@pytest.mark.parametrize(
    ("error", "parts", "call"),
    [
        (ValueError, ["k and v, or caches"], lambda a: a(Q, K, rescale=(1, 0))),
        (ValueError, ["k and v, or caches"], lambda a: a(Q, rescale=(1, 0))),
        (ValueError, ["(4, 3, 8)", "(2, 5, 7)"], lambda a: a(Q, K[..., :7], K, rescale=(1, 0))),
        (TypeError, ["q", "float32"], lambda a: a(Q.astype(np.float32), K, K, rescale=(1, 0))),
        (ValueError, ["head"], lambda a: a(np.zeros((3, 3, 8), np.int8), K, K, rescale=(1, 0))),
        (ValueError, ["M", "0"], lambda a: a(Q, K, K, rescale=(0, 0))),
        (ValueError, ["(2,)", "(1, 3)"], lambda a: a(Q, K, K, rescale=(1, 0), lengths=[1, 2])),
        (ValueError, ["threads", "0"], lambda a: a(Q, K, K, rescale=(1, 0), threads=0)),
        (ValueError, ["out", "(4, 3, 7)"], lambda a: a(Q, K, K, rescale=(1, 0), out=np.empty((4, 3, 7), np.int8))),
        (TypeError, ["weights", "int8"], lambda a: a(Q, K, K, rescale=(1, 0), weights=np.empty((4, 3, 5), np.int8))),
        (ValueError, ["weights", "(4, 3, 4)"], lambda a: a(Q, K, K, rescale=(1, 0), weights=np.empty((4, 3, 4), np.uint8))),
        (ValueError, ["weight_sums", "(4, 2)"], lambda a: a(Q, K, K, rescale=(1, 0), weight_sums=np.empty((4, 2), "i4"))),
        (ValueError, ["0 caches", "1 text"], lambda a: a(Q, caches=[], rescale=(1, 0))),
        (ValueError, ["(2, 5, 8)", "(2, n, 4)"], lambda a: hccs.Cache(a, 2, 4, 8).append(K, K)),
        (ValueError, ["1", "0"], lambda a: hccs.Cache(a, 2, 4, 8).truncate(1)),
        (ValueError, ["thin"], lambda a: hccs.Attention(HEADS, "thin")),
    ],
)
def test_refusals(error, parts, call):
    with pytest.raises(error) as raised:
        call(hccs.Attention(HEADS))
    for part in parts:
        assert part in str(raised.value)
