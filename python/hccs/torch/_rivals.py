# SPDX-License-Identifier: Apache-2.0
"""Other integer softmaxes for comparison, each from its paper, on the int8 logits that HCCS gets. The forward is the
paper's integers, in plain PyTorch; the backward is that of the exponential that they stand for."""

import math

import torch


def _valid_rows(x, mask):
    valid = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    top = torch.where(valid, x, -128).amax(-1, keepdim=True)
    return valid, torch.where(valid, top - x, 0)  # distances, 0..255


def exact_int8(x, step, mask=None):
    """The exact exponential of int8 logits; p / 255, rounded to the nearest."""
    valid, d = _valid_rows(x.long(), mask)
    e = torch.where(valid, torch.exp(-d.double() * step), 0)
    return torch.round(255 * e / e.sum(-1, keepdim=True).clamp(min=1e-300)) / 255


def i_bert(x, step, mask=None):
    """I-BERT (Kim et al., ICML 2021, arXiv 2101.01321), algorithm 2 with the constants of its code: exp(p) on (-ln 2,
    0] is the polynomial .35815147 p^2 + .96963238 p + 1, powers of two by shifts (at most 30), an output of 8 bits (p /
    256)."""
    b, c = 0.96963238 / 0.35815147, 1 / 0.35815147  # the factor .35815147 scales all alike
    valid, d = _valid_rows(x.long(), mask)
    ln2 = torch.floor(-0.6931 / step)  # in steps, negative
    b_int, c_int = torch.floor(b / step), torch.floor(c / step**2)
    t = torch.maximum(-d.double(), 30 * ln2)
    q = torch.floor(t / ln2)
    r = t - ln2 * q
    e = torch.floor((r * (r + b_int) + c_int) * 2 ** (30 - q)).clamp(min=0)
    # Requantised to 16 bits, as the code does it before the sum: the largest, at distance 0, becomes 32767.
    e = torch.round(e * (32767 / (c_int * 2.0**30)))
    e = torch.where(valid, e.clamp(min=0, max=32767), 0)
    factor = torch.floor(2.0**32 / e.sum(-1, keepdim=True).clamp(min=1))
    return torch.floor(e * factor / 2.0**24) / 256


def softermax(x, step, mask=None):
    """Softermax (Stevens et al., DAC 2021, arXiv 2103.09301) on logits times log2 e, since no retraining to base 2
    precedes: logits in Q(6,2), an integer maximum, 2^f on [0, 1) by four line segments, UQ(1,15) powers, a UQ(10,6)
    sum, a UQ(1,7) reciprocal and UQ(1,7) results."""
    valid, d = _valid_rows(x.long(), mask)
    logits = torch.floor(x.double() * step * math.log2(math.e) * 4 + 0.5).clamp(-128, 127) / 4
    top = torch.ceil(torch.where(valid, logits, -32).amax(-1, keepdim=True))
    t = logits - top
    whole, part = torch.floor(t), t - torch.floor(t)
    segment = torch.floor(part * 4)
    left, right = 2 ** (segment / 4), 2 ** ((segment + 1) / 4)
    power = torch.floor((left + (right - left) * (part * 4 - segment)) * 2**whole * 2**15 + 0.5) / 2**15
    power = torch.where(valid, power, 0)
    total = (torch.floor(power.sum(-1, keepdim=True) * 64) / 64).clamp(min=1 / 64, max=1024 - 1 / 64)
    # The reciprocal has 7 bits behind its leading one: a mantissa and a shift.
    shift = torch.floor(torch.log2(total))
    reciprocal = torch.floor(2**7 / (total / 2**shift) + 0.5) / 2**7
    return torch.floor(power * reciprocal * 2.0**-shift * 2**7 + 0.5).clamp(max=255) / 2**7


def exp2_shift(x, step, mask=None):
    """Shiftmax of I-ViT (Li and Gu, ICCV 2023, arXiv 2207.01405): log2 e is 1.0111b by shifts, 2^-r on (0, 1] the line
    1 - r / 2, N = 15; an integer division to 8 bits (p / 128)."""
    valid, d = _valid_rows(x.long(), mask)
    t = -d
    t = t + torch.div(t, 2, rounding_mode="floor") - torch.div(t, 16, rounding_mode="floor")
    one = torch.floor(-1 / step).long()  # -1 in steps
    t = torch.maximum(t, 15 * one)
    q = torch.div(t, one, rounding_mode="floor")
    r = t - one * q
    e = torch.floor((r / 2 - one).double() * 2.0 ** (15 - q)).clamp(min=0)
    e = torch.where(valid, e, 0)
    total = e.sum(-1, keepdim=True).clamp(min=1, max=2**31 - 1)
    factor = torch.floor((2**31 - 1) / total)
    return torch.floor(e * factor / 2 ** (31 - 8 + 1)) / 2**7


def int_attention(x, step, mask=None):
    """IndexSoftmax of IntAttention (MLSys 2026): distances are clipped at 6.6 nats and index a table of 32 exponentials
    of 8 bits; p = round(255 e / sum e)."""
    valid, d = _valid_rows(x.long(), mask)
    clip = torch.round(6.6 / step).clamp(min=1)
    index = torch.floor(31 * torch.minimum(d.double(), clip) / clip + 0.5).long()
    table = torch.round(255 * torch.exp(-6.6 * torch.arange(32, dtype=torch.float64, device=x.device) / 31))
    table[31] = 0
    e = torch.where(valid, table[index], 0)
    total = e.sum(-1, keepdim=True).clamp(min=1)
    return torch.floor((2 * 255 * e + total) / (2 * total)) / 255


METHODS = {
    "exact-int8": exact_int8,
    "i-bert": i_bert,
    "softermax": softermax,
    "exp2-shift": exp2_shift,
    "int-attention": int_attention,
}


class _Straight(torch.autograd.Function):
    """The first argument's value, the second's derivative."""

    @staticmethod
    def forward(ctx, value, differentiable):
        return value.clone()

    @staticmethod
    def backward(ctx, g):
        return None, g


def probabilities(method, logits, step, mask=None):
    """float32 probabilities of float logits [..., heads, queries, keys] by a method, with a step a head."""
    from ._softmax import reference_quantise

    steps = step.double().reshape(-1, 1, 1)
    with torch.no_grad():
        p = METHODS[method](reference_quantise(logits.float(), step), steps, mask).float()
    t = logits.float() / steps.float()
    smooth = steps.float() * t.clamp(-128, 127)
    if mask is not None:
        smooth = smooth.masked_fill(~mask, torch.finfo(torch.float32).min)
    smooth = torch.softmax(smooth, -1)
    if mask is not None:
        smooth = smooth.masked_fill(~mask, 0)
    return _Straight.apply(p, smooth)
