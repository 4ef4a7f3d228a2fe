# SPDX-License-Identifier: Apache-2.0
"""hccs.torch's operators and modules: bits against the contract, derivatives against a surrogate written once more."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT

import hccs
import hccs.torch
from hccs.torch import _rivals

HEADS = [
    hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]),
    hccs.HeadParams(32767, [(127, 30), (90, 64), (60, 127)]),
    hccs.HeadParams(300, [(3, 10), (2, 60), (1, 120)]),
    hccs.HeadParams(9, [(0, 1), (0, 2), (0, 3)]),
]
STEPS = [0.07, 0.2, 0.03, 0.1]
ENTRIES = [hccs.HeadEntry(h, s) for h, s in zip(HEADS, STEPS)]
MODES = [(n, o) for n in ("div", "clb", "scaled") for o in ("uint8", "int16")]


def tensors():
    return hccs.torch.Softmax(ENTRIES).tensors()


def drawn(rng, n=40):
    x = torch.from_numpy(rng.integers(-128, 128, (2, 4, 5, n)).astype(np.int8))
    mask = torch.from_numpy(
        rng.random([(2, 1, 5, n), (2, 1, 1, n), (2, 4, 5, n)][rng.integers(3)]) < rng.choice([0.1, 0.8, 1])
    )
    return x, mask


@pytest.mark.parametrize("mode", MODES)
def test_operators_are_the_contract(mode, rng):
    B, S, D, step = tensors()
    plan = hccs.Plan(HEADS, *mode)
    for n in (1, 2, 7, 64, 300):
        x, mask = drawn(rng, n)
        expected = plan(x, mask=mask.numpy())
        for found in (
            hccs.torch.softmax(x, B, S, D, mask, *mode),
            hccs.torch.reference_softmax(x, B, S, D, mask, *mode),
        ):
            np.testing.assert_array_equal(found.numpy(), expected)
        np.testing.assert_array_equal(hccs.torch.softmax(x[0], B, S, D, mask[0], *mode).numpy(), expected[0])
        np.testing.assert_array_equal(
            hccs.torch.softmax(x.transpose(2, 3), B, S, D, None, *mode).numpy(),
            plan(np.ascontiguousarray(x.numpy().swapaxes(2, 3))),
        )
        logits = torch.from_numpy(rng.normal(0, 4, x.shape).astype(np.float32))
        p = hccs.torch.Softmax(ENTRIES, 0, *mode)(logits, mask)
        q = plan(hccs.quantise_logits(logits.numpy(), STEPS), mask=mask.numpy())
        np.testing.assert_array_equal((p * (255 if mode[1] == "uint8" else 32767)).round().numpy(), q)


def test_centred_rows(rng):
    """A constant on a row changes nothing, and derivatives are those of the logits less their maximum."""
    centred = hccs.torch.Softmax(ENTRIES, centre=True)
    x, mask = drawn(rng)
    mask[0, :, 0] = False  # rows without a valid position
    logits = torch.from_numpy(rng.integers(-2000, 2000, x.shape) / 256).float()  # exact, also with what is added
    logits[:, :, 1:2] = torch.where(mask, logits, 1e6)[:, :, 1:2]  # what is masked is not seen
    shift = torch.from_numpy(rng.integers(-300, 300, (2, 4, 5, 1))).float()
    p = centred(logits, mask)
    assert torch.equal(centred(logits + shift, mask), p)
    assert not p[0, :, 0].any() and not p[~mask.expand(p.shape)].any()
    whole = centred(logits.clamp(-20, 20))
    top = logits.clamp(-20, 20).amax(-1, keepdim=True)
    assert torch.equal(whole, hccs.torch.Softmax(ENTRIES)(logits.clamp(-20, 20) - top))
    weights = torch.from_numpy(rng.normal(size=x.shape)).float()
    grads = []
    for softmax, less in ((centred, 0), (hccs.torch.Softmax(ENTRIES), top)):
        leaf = logits.clamp(-20, 20).requires_grad_()
        (softmax(leaf - less) * weights).sum().backward()
        grads.append(leaf.grad)
    assert torch.equal(*grads) and grads[0].any()
    half = centred(logits.half(), mask)
    assert half.dtype == torch.float32 and torch.equal(half, centred(logits.half().float(), mask))


def test_quantisation_is_the_contract(rng):
    from hccs.torch._softmax import reference_quantise

    logits = torch.from_numpy(rng.normal(0, 9, (2, 4, 6, 50)).astype(np.float32))
    logits[0, 0, 0, :4] = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.035])
    step = torch.tensor(STEPS, dtype=torch.float64)
    np.testing.assert_array_equal(reference_quantise(logits, step).numpy(), hccs.quantise_logits(logits.numpy(), STEPS))


def test_operators_are_operators(rng):
    B, S, D, step = tensors()
    x, mask = drawn(rng)
    torch.library.opcheck(torch.ops.hccs.softmax.default, (x, mask, B, S, D, "scaled", "uint8"))
    logits = torch.from_numpy(rng.normal(0, 4, x.shape).astype(np.float32)).requires_grad_()
    torch.library.opcheck(
        torch.ops.hccs.probabilities.default,
        (logits, mask, B, S, D, step, "scaled", "uint8"),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


def test_compile(rng):
    softmax = hccs.torch.Softmax(ENTRIES)
    x, mask = drawn(rng)
    logits = torch.from_numpy(rng.normal(0, 4, x.shape).astype(np.float32))
    compiled = torch.compile(lambda l, m: softmax(l * 2, m) + 1, fullgraph=True, backend="aot_eager")
    a, b = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    torch.testing.assert_close(compiled(a, mask), softmax(b * 2, mask) + 1, rtol=0, atol=0)
    compiled(a, mask).square().sum().backward()
    (softmax(b * 2, mask) + 1).square().sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)


# ---- Derivatives ----------------------------------------------------------------------------------------------------


def surrogate(t, top, mask, B, S, D):
    """p of real t = logit / step in double, with the maximum at a given place: smooth where nothing changes sides."""
    d = torch.gather(t, -1, top) - t
    v = lambda a: a.reshape(-1, 1, 1)  # noqa: E731
    s = v(B) - sum(v(S[k]) * torch.minimum(d, v(D[k])) for k in range(S.shape[0]))
    s = torch.where(mask, s, 0)
    return s / s.sum(-1, keepdim=True).clamp(min=1e-300)


def test_backward_is_the_surrogates_derivative(rng):
    """Against automatic differentiation in double, which itself agrees with finite differences."""
    B, S, D, step = (t.double() for t in tensors())
    for _ in range(10):
        x, mask = drawn(rng, 12)
        x = x.clamp(-127, 126)  # inside the range, whatever float32 makes of x * step
        mask[..., 0] = True
        logits = (x.double() * step.reshape(-1, 1, 1)).float()  # on the grid: rounding moves nothing
        g = torch.from_numpy(rng.normal(size=x.shape))
        top = torch.where(mask, x.int(), -129).argmax(-1, keepdim=True)
        leaves = [t.clone().requires_grad_() for t in (logits.double(), B, S, D, step)]
        # A derivative at the edge of a knee is the one beyond it for d, the one before it for D: ties are avoided by
        # differentiating at x exactly, where min(d, D) has d < D or takes D.
        l, b, s, d, u = leaves
        dist = torch.gather(l / u.reshape(-1, 1, 1), -1, top) - l / u.reshape(-1, 1, 1)
        v = lambda a: a.reshape(-1, 1, 1)  # noqa: E731
        xi = x.double()
        dist_int = torch.gather(xi, -1, top) - xi
        score = v(b) - sum(
            v(s[k]) * torch.where(dist_int < v(D[k]), dist, torch.where(dist_int > v(D[k]), v(d[k]), v(D[k])))
            for k in range(3)
        )
        score = torch.where(mask, score, 0)
        p = score / score.sum(-1, keepdim=True)
        (p * g).sum().backward()
        mine = [t.clone().requires_grad_() for t in (logits, *(t.float() for t in (B, S, D)), step)]
        hccs.torch.probabilities(*mine, mask).backward(g.float())
        for name, a, e in zip(("logits", "B", "S", "D", "step"), mine, leaves):
            torch.testing.assert_close(
                a.grad.double(),
                e.grad,
                rtol=2e-3,
                atol=2e-5 * max(1, float(e.grad.abs().max())),
                msg=lambda m: f"{name}: {m}",
            )


def test_finite_differences(rng):
    B, S, D, step = (t.double() for t in tensors())
    x, mask = drawn(rng, 9)
    mask = torch.ones_like(mask)
    t = x.double() + 0.37 * torch.from_numpy(rng.random(x.shape))  # no distance is at a knee
    top = t.argmax(-1, keepdim=True)
    g = torch.from_numpy(rng.normal(size=x.shape))
    leaf = t.clone().requires_grad_()
    (surrogate(leaf, top, mask, B, S, D) * g).sum().backward()
    for _ in range(20):
        at = tuple(int(rng.integers(n)) for n in t.shape)
        e = torch.zeros_like(t)
        e[at] = 1e-4
        slope = ((surrogate(t + e, top, mask, B, S, D) - surrogate(t - e, top, mask, B, S, D)) * g).sum() / 2e-4
        torch.testing.assert_close(leaf.grad[at], slope, rtol=1e-3, atol=1e-7)


def test_backward_is_the_trainers():
    """The rows that tests/training compares the C++ TrainingSoftmax with."""
    lines = (ROOT / "tests/training/golden/surrogate.jsonl").read_text().splitlines()
    assert len(lines) == 64
    for number, row in enumerate(map(json.loads, lines)):
        entry = hccs.HeadEntry(hccs.HeadParams(row["B"], row["knees"]), row["step"])
        leaves = [t.clone().requires_grad_() for t in hccs.torch.Softmax([entry]).tensors()]
        logits = torch.tensor(row["logits"]).reshape(1, 1, -1).requires_grad_()
        mask = torch.tensor(row["valid"], dtype=torch.bool).reshape(1, 1, -1)
        p = hccs.torch.probabilities(logits, *leaves, mask)
        assert (p * 255).round().int().flatten().tolist() == row["p"], number
        p.backward(torch.tensor(row["g"]).reshape(1, 1, -1))
        found = [logits.grad, *(t.grad for t in leaves)]
        said = [row[name] for name in ("d_logits", "d_B", "d_S", "d_D", "d_step")]
        # Sums of float, whose terms cancel, in another order.
        for name, a, e, least in zip(("logits", "B", "S", "D", "step"), found, said, (0, 1e-3, 1e-2, 1e-2, 1)):
            e = np.atleast_1d(np.array(e, np.float64))
            np.testing.assert_allclose(
                a.double().numpy().ravel(),
                e,
                rtol=1e-5,
                atol=1e-5 * max(least, float(np.abs(e).max()), 1e-6),
                err_msg=f"row {number}: {name}",
            )


def test_edges_of_the_derivative():
    softmax = hccs.torch.Softmax(ENTRIES[:1])
    logits = torch.tensor([[[[100.0, -100.0, 0.0, float("nan")]]]]).requires_grad_()
    softmax(logits).sum().backward()
    assert logits.grad[0, 0, 0, 0] == 0 and logits.grad[0, 0, 0, 1] == 0 and torch.isfinite(logits.grad).all()
    one = torch.zeros(1, 1, 3, 5, requires_grad=True)
    mask = torch.zeros(1, 1, 3, 5, dtype=torch.bool)
    mask[0, 0, 1, 2] = True
    p = softmax(one, mask)
    assert p.sum() == 1 and p[0, 0, 1, 2] == 1
    p.square().sum().backward()
    assert not one.grad.any()


def test_learnable_heads():
    softmax = hccs.torch.Softmax(ENTRIES, learnable=True)
    assert [e.params for e in softmax.entries()] == HEADS and sum(p.numel() for p in softmax.parameters()) == 4 * 8
    optimiser = torch.optim.Adam(softmax.parameters(), lr=0.05)
    torch.manual_seed(0)
    logits = torch.randn(8, 4, 4, 16) * 2
    losses = []
    for _ in range(60):
        p = softmax(logits).clamp(min=1e-3)
        loss = torch.nn.functional.kl_div(p.log(), torch.softmax(logits, -1), reduction="sum") / 128
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        for entry in softmax.entries():  # always within the contract, else HeadParams refuses them
            assert entry.step > 0
    assert min(losses[-10:]) < losses[0]
    before = [e.step for e in softmax.entries()]
    softmax.half()
    assert softmax.B.dtype == torch.float32 and softmax.step.dtype == torch.float64 and len(before) == 4


def test_refusals():
    softmax = hccs.torch.Softmax(ENTRIES)
    with pytest.raises(ValueError, match="4 heads"):
        softmax(torch.zeros(1, 3, 2, 5))
    with pytest.raises(TypeError, match="bool"):
        softmax(torch.zeros(1, 4, 2, 5), torch.ones(1, 4, 2, 5))
    with pytest.raises(TypeError, match="HeadEntry"):
        hccs.torch.Softmax(HEADS)
    with pytest.raises(ValueError, match="float"):
        hccs.torch.Softmax(ENTRIES, output_type="float")


# ---- Rivals: each again, on one row, in Python's numbers ------------------------------------------------------------


def plain_i_bert(d, step):
    from math import floor

    b, c = floor(0.96963238 / 0.35815147 / step), floor(1 / 0.35815147 / step**2)
    x0 = floor(-0.6931 / step)
    e = []
    for distance in d:
        t = max(-distance, 30 * x0)
        q = t // x0
        r = t - x0 * q
        e.append(max(0, floor((r * (r + b) + c) * 2 ** (30 - q))))
    e = [min(32767, max(0, round(x * (32767 / (c * 2.0**30))))) for x in e]
    factor = 2**32 // sum(e)
    return [x * factor // 2**24 / 256 for x in e]


def plain_exp2_shift(d, step):
    from fractions import Fraction
    from math import floor

    one = floor(-1 / step)
    e = []
    for distance in d:
        t = -distance
        t = t + t // 2 - t // 16
        t = max(t, 15 * one)
        q = t // one
        r = t - one * q
        e.append(max(0, floor((Fraction(r, 2) - one) * 2 ** (15 - q) if q <= 15 else 0)))
    factor = (2**31 - 1) // min(sum(e), 2**31 - 1)
    return [x * factor // 2**24 / 128 for x in e]


def plain_int_attention(d, step):
    from math import exp, floor

    clip = max(1, round(6.6 / step))
    table = [round(255 * exp(-6.6 * i / 31)) for i in range(31)] + [0]
    e = [table[floor(31 * min(x, clip) / clip + 0.5)] for x in d]
    return [floor((2 * 255 * x + sum(e)) / (2 * sum(e))) / 255 for x in e]


def plain_exact(d, step):
    from math import exp

    e = [exp(-x * step) for x in d]
    return [round(255 * x / sum(e)) / 255 for x in e]


def plain_softermax(d, step, x):
    from math import ceil, floor, log2

    logits = [min(127, max(-128, floor(v * step * 1.4426950408889634 * 4 + 0.5))) / 4 for v in x]
    top = ceil(max(logits))
    powers = []
    for v in logits:
        whole, part = floor(v - top), (v - top) - floor(v - top)
        k = floor(part * 4)
        left, right = 2 ** (k / 4), 2 ** ((k + 1) / 4)
        powers.append(floor((left + (right - left) * (part * 4 - k)) * 2.0**whole * 2**15 + 0.5) / 2**15)
    total = min(1024 - 1 / 64, max(1 / 64, floor(sum(powers) * 64) / 64))
    shift = floor(log2(total))
    reciprocal = floor(2**7 / (total / 2**shift) + 0.5) / 2**7
    return [min(255, floor(p * reciprocal / 2**shift * 2**7 + 0.5)) / 2**7 for p in powers]


@pytest.mark.parametrize("method", [m for m in hccs.torch.METHODS if m != "hccs"])
def test_rivals_are_their_papers(method, rng):
    plain = {
        "i-bert": plain_i_bert,
        "exp2-shift": plain_exp2_shift,
        "int-attention": plain_int_attention,
        "exact-int8": plain_exact,
    }
    step = 0.06
    for _ in range(50):
        n = int(rng.integers(1, 60))
        x = (
            rng.integers(-128, 128, n)
            if rng.random() < 0.5
            else np.clip(np.rint(rng.normal(0, 30, n)), -128, 127).astype(int)
        )
        d = (x.max() - x).tolist()
        expected = plain_softermax(d, step, x.tolist()) if method == "softermax" else plain[method](d, step)
        found = _rivals.METHODS[method](
            torch.tensor(x, dtype=torch.int8).reshape(1, 1, n), torch.tensor([[[step]]], dtype=torch.float64)
        )
        np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-12)
    x = torch.from_numpy(rng.integers(-128, 128, (2, 1, 3, 20)).astype(np.int8))
    mask = torch.from_numpy(rng.random((2, 1, 3, 20)) < 0.6)
    mask[..., 0] = True
    p = _rivals.METHODS[method](x, torch.tensor([[[step]]], dtype=torch.float64), mask)
    assert not p[~mask].any()
    rows = [(i, j) for i in range(2) for j in range(3)]
    for i, j in rows:
        alone = _rivals.METHODS[method](
            x[i : i + 1, :, j : j + 1][..., mask[i, 0, j]], torch.tensor([[[step]]], dtype=torch.float64)
        )
        torch.testing.assert_close(p[i, 0, j][mask[i, 0, j]], alone.flatten(), rtol=0, atol=0)
    logits = torch.randn(2, 1, 3, 20, requires_grad=True)
    _rivals.probabilities(method, logits, torch.tensor([0.05]), mask).square().sum().backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.any() and not logits.grad[~mask].any()
