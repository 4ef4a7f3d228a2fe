# SPDX-License-Identifier: Apache-2.0
"""HCCS as operators of PyTorch: forward the contract's integers, backward the derivative of the smooth surrogate."""

import functools

import numpy as np
import torch

from .. import HeadEntry, HeadParams, Plan, quantise_logits

FULL_SCALE = {"uint8": 255, "int16": 32767}
_TYPES = {"uint8": torch.uint8, "int16": torch.int16}


def _per_head(values):
    """[heads] as it multiplies [..., heads, queries, keys]."""
    return values.reshape(-1, 1, 1)


def _check(x, B, mask):
    if x.dim() < 3 or x.shape[-3] != B.shape[0]:
        raise ValueError(
            f"hccs: logits have shape {tuple(x.shape)}, but [..., heads, queries, keys] with {B.shape[0]} "
            "heads is needed"
        )
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(f"hccs: mask must be bool, true where a position is valid, not {mask.dtype}")


def reference_softmax(x, B, S, D, mask=None, normalisation="scaled", output_type="uint8"):
    """The contract in plain PyTorch, on any device: the same bits as the operator, slower.

    x: int8 [..., heads, queries, keys]. B [heads], S and D [K, heads]: the heads' integers. mask: bool that broadcasts
    to x, true where a position is valid. Returns uint8 (p / 255) or int16 (p / 32767).
    """
    _check(x, B, mask)
    full = FULL_SCALE[output_type]
    x = x.to(torch.int64)
    B, S, D = (t.to(torch.int64) for t in (B, S, D))
    valid = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    d = torch.where(valid, x, -128).amax(-1, keepdim=True) - x
    s = _per_head(B) - sum(_per_head(S[k]) * torch.minimum(d, _per_head(D[k])) for k in range(S.shape[0]))
    s = torch.where(valid, s, 0)
    z = s.sum(-1, keepdim=True).clamp(min=1)
    k = torch.zeros_like(z)
    for i in range(1, 31):
        k += z >= 1 << i
    if normalisation == "scaled":
        numerator, shift = (32767, k) if full == 32767 else (32640, k + 7)
        r = torch.div(numerator << k, z, rounding_mode="floor")
        p = (s * r + (1 << shift >> 1)) >> shift
    else:
        if normalisation not in ("div", "clb"):
            raise ValueError(f'normalisation "{normalisation}", but there are "div", "clb" and "scaled"')
        numerator = 32767 if full == 32767 else 255 << 15
        r = torch.div(numerator, z, rounding_mode="floor") if normalisation == "div" else numerator >> k
        p = (s * r if full == 32767 else (s * r) >> 15).clamp(max=full)
    return p.to(_TYPES[output_type])


def centred(logits, mask=None):
    """Float logits less the maximum of their row's valid positions, which softmax does not see: float32, on any device.
    mask: bool that broadcasts to them, true where a position is valid; None: everything is."""
    logits = logits.float()
    valid = logits.detach() if mask is None else logits.detach().masked_fill(~mask, float("-inf"))
    top = valid.amax(-1, keepdim=True)
    return logits - torch.where(torch.isfinite(top), top, 0)  # 0: of a row without a valid position


def reference_quantise(logits, step):
    """int8 logits of float logits [..., heads, queries, keys], a step a head: as hccs.quantise_logits, on any
    device."""
    t = torch.nan_to_num(logits.double() / _per_head(step.double()), nan=0.0)
    return t.round().clamp(-128, 127).to(torch.int8)


@functools.lru_cache(maxsize=1024)
def _plan(B, S, D, heads, normalisation, output_type):
    B = np.frombuffer(B, np.int64).tolist()
    S, D = (np.frombuffer(t, np.int64).reshape(-1, heads).tolist() for t in (S, D))
    # Knees of slope 0, which fill up heads of fewer knees, change nothing.
    knees = [[(S[k][h], D[k][h]) for k in range(len(S)) if S[k][h]] or [(0, D[0][h])] for h in range(heads)]
    return Plan([HeadParams(B[h], knees[h]) for h in range(heads)], normalisation, output_type)


def plan_of(B, S, D, normalisation, output_type):
    key = (t.detach().to(torch.int64).contiguous().numpy().tobytes() for t in (B, S, D))
    return _plan(*key, B.shape[0], normalisation, output_type)


def _run(x, mask, B, S, D, normalisation, output_type):
    """x int8, contiguous; on the CPU by the library."""
    if x.device.type != "cpu":
        return reference_softmax(x, B, S, D, mask, normalisation, output_type)
    out = torch.empty(x.shape, dtype=_TYPES[output_type])
    if x.numel() == 0:
        return out
    four = (-1, *x.shape[-3:])
    valid = None if mask is None else mask.numpy()
    if valid is not None and x.dim() != 4:
        valid = np.broadcast_to(valid, tuple(x.shape)).reshape(x.reshape(four).shape)
    plan_of(B, S, D, normalisation, output_type)(x.reshape(four).numpy(), out.view(four).numpy(), mask=valid)
    return out


@torch.library.custom_op("hccs::softmax", mutates_args=())
def _softmax_op(
    x: torch.Tensor,
    mask: torch.Tensor | None,
    B: torch.Tensor,
    S: torch.Tensor,
    D: torch.Tensor,
    normalisation: str,
    output_type: str,
) -> torch.Tensor:
    _check(x, B, mask)
    return _run(x.contiguous(), mask, B, S, D, normalisation, output_type)


@_softmax_op.register_fake
def _(x, mask, B, S, D, normalisation, output_type):
    return torch.empty(x.shape, dtype=_TYPES[output_type], device=x.device)


def softmax(x, B, S, D, mask=None, normalisation="scaled", output_type="uint8"):
    """torch.ops.hccs.softmax: integers of int8 logits, as reference_softmax(); on the CPU at the library's speed."""
    return _softmax_op(x, mask, B, S, D, normalisation, output_type)


@torch.library.custom_op("hccs::probabilities", mutates_args=())
def _probabilities_op(
    logits: torch.Tensor,
    mask: torch.Tensor | None,
    B: torch.Tensor,
    S: torch.Tensor,
    D: torch.Tensor,
    step: torch.Tensor,
    normalisation: str,
    output_type: str,
) -> torch.Tensor:
    _check(logits, B, mask)
    if logits.device.type == "cpu":
        flat = logits.detach().float().contiguous()
        x = torch.from_numpy(quantise_logits(flat.numpy(), step.detach().double().numpy()))
    else:
        x = reference_quantise(logits.float(), step)
    return _run(x, mask, B, S, D, normalisation, output_type).to(torch.float32) / FULL_SCALE[output_type]


@_probabilities_op.register_fake
def _(logits, mask, B, S, D, step, normalisation, output_type):
    return torch.empty(logits.shape, dtype=torch.float32, device=logits.device)


def surrogate_gradients(logits, mask, B, S, D, step, g):
    """The derivative by logits, B, S, D and step of the surrogate (docs/training.md), for g = dL/dp."""
    l, g = logits.float(), g.float()
    x = reference_quantise(l, step).to(torch.int32)
    valid = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    shown = torch.where(valid, x, -129)
    first = shown.argmax(-1, keepdim=True)
    d = (shown.gather(-1, first) - x).clamp(min=0)
    b, s, p = (t.float() for t in (B, S, D))
    score = _per_head(b) - sum(_per_head(s[k]) * torch.minimum(d, _per_head(p[k])) for k in range(S.shape[0]))
    score = torch.where(valid, score, 0)
    z = score.sum(-1, keepdim=True).clamp(min=1)
    h = torch.where(valid, (g - (g * score).sum(-1, keepdim=True) / z) / z, 0)
    dx = h * sum(_per_head(s[k]) * (d < _per_head(p[k])) for k in range(S.shape[0]))
    dx = dx.scatter_add(-1, first, -dx.sum(-1, keepdim=True))
    t = l.double() / _per_head(step.double())
    # An empty row has a place for its maximum, but nothing in it.
    inside = (t >= -128) & (t <= 127) & valid
    dl = torch.where(inside, dx / _per_head(step.float()), 0)
    heads = [i for i in range(h.dim()) if i != h.dim() - 3]
    dB = h.sum(heads)
    dS = torch.stack([-(h * torch.minimum(d, _per_head(p[k]))).sum(heads) for k in range(S.shape[0])])
    dD = torch.stack([-s[k] * (h * (d > _per_head(p[k]))).sum(heads) for k in range(S.shape[0])])
    dstep = -(torch.where(inside, dl * l, 0).sum(heads)) / step.float()
    return dl.to(logits.dtype), dB.to(B.dtype), dS.to(S.dtype), dD.to(D.dtype), dstep.to(step.dtype)


def _save(ctx, inputs, output):
    logits, mask, B, S, D, step, _, _ = inputs
    ctx.save_for_backward(logits, mask, B, S, D, step)


def _backward(ctx, g):
    logits, mask, B, S, D, step = ctx.saved_tensors
    dl, dB, dS, dD, dstep = surrogate_gradients(logits, mask, B, S, D, step, g)
    needed = ctx.needs_input_grad
    return (dl, None, *(d if n else None for d, n in zip((dB, dS, dD, dstep), needed[2:6])), None, None)


_probabilities_op.register_autograd(_backward, setup_context=_save)


def probabilities(logits, B, S, D, step, mask=None, normalisation="scaled", output_type="uint8"):
    """Probabilities (float32, integers over their full scale) of float logits [..., heads, queries, keys]; a row
    without a valid position gives zeros. Differentiable by logits, and by B, S, D and step where these are of a
    floating type."""
    return _probabilities_op(logits, mask, B, S, D, step, normalisation, output_type)


# ---- Heads ----------------------------------------------------------------------------------------------------------


class Softmax(torch.nn.Module):
    """HCCS in place of torch.nn.Softmax(-1) in a model of one's own.

        softmax = hccs.torch.Softmax(params, layer=0)       # or Softmax([HeadEntry(HeadParams(...), step), ...])
        p = softmax(logits, mask)                           # float32 [..., heads, queries, keys]; mask true where valid

    centre=True takes each row's maximum off the logits before they become int8: for parameters that were calibrated so.
    learnable=True makes B, S, D and the step parameters: real numbers that are rounded to the contract's integers for
    every forward. entries() has the integers. The module's buffers are not part of its state_dict(): the parameter file
    keeps them; learnable parameters are.
    """

    def __init__(self, heads, layer=0, normalisation="scaled", output_type="uint8", learnable=False, centre=False):
        super().__init__()
        if hasattr(heads, "entries") and hasattr(heads, "layers"):
            heads = [heads[layer, h] for h in range(heads.heads)]
        heads = list(heads)
        if not heads or not all(isinstance(h, HeadEntry) for h in heads):
            raise TypeError("heads must be hccs.Params or a sequence of hccs.HeadEntry, one a head")
        if output_type not in FULL_SCALE:
            raise ValueError(f'output_type "{output_type}", but there are "uint8" and "int16"')
        self.normalisation, self.output_type, self.learnable = normalisation, output_type, learnable
        self.centre = centre
        self.start = heads
        self.knees = max(len(h.params.knees) for h in heads)
        if learnable and any(len(h.params.knees) != self.knees for h in heads):
            raise ValueError("learnable heads need the same number of knees")
        knees = [[*h.params.knees, *[(0, 127)] * (self.knees - len(h.params.knees))] for h in heads]
        start = {
            "B": torch.tensor([float(h.params.offset) for h in heads]),
            "S": torch.tensor([[float(of[k][0]) for of in knees] for k in range(self.knees)]),
            "D": torch.tensor([[float(of[k][1]) for of in knees] for k in range(self.knees)]),
            "step": torch.tensor([h.step for h in heads], dtype=torch.float64),
        }
        for name, value in start.items():
            self.register_buffer(name, value, persistent=False)
        if learnable:
            # In the units that the start suggests, so that one learning rate serves all.
            self.b = torch.nn.Parameter(torch.ones(len(heads)))
            self.slope_unit = start["S"].amax(0).clamp(min=1)
            self.s = torch.nn.Parameter(start["S"] / self.slope_unit)
            self.d = torch.nn.Parameter(start["D"] / 32)
            self.log_step = torch.nn.Parameter(torch.zeros(len(heads)))

    def _apply(self, fn, recurse=True):
        """The integers and steps stay as they are where a model becomes half precision."""
        kept = {name: getattr(self, name) for name in ("B", "S", "D", "step")}
        super()._apply(fn, recurse)
        for name, value in kept.items():
            setattr(self, name, value.to(getattr(self, name).device))
        if self.learnable:
            self.slope_unit = self.slope_unit.to(self.B.device)
        return self

    def tensors(self):
        """B [heads], S, D [K, heads] and step [heads]: what the operators take. Integers, also of learnable heads,
        whose rounding passes derivatives."""
        if not self.learnable:
            return self.B, self.S, self.D, self.step

        def straight(real, rounded):
            return real + (rounded - real).detach()

        B, S, D = (self.b * self.B).float(), (self.s * self.slope_unit).float(), (self.d * 32).float()
        with torch.no_grad():
            b = B.round().clamp(1, 32767)
            least, rounded_s, rounded_d = torch.zeros_like(b), [], []
            for k in range(self.knees):
                least = torch.maximum(D[k].round(), least + 1).clamp(max=127 - (self.knees - 1 - k))
                rounded_d.append(least)
            left = b.clone()  # F >= 0: the last knees give way first
            for k in range(self.knees):
                slope = torch.minimum(S[k].round().clamp(0, 127), torch.floor(left / rounded_d[k]))
                left = left - slope * rounded_d[k]
                rounded_s.append(slope)
        step = self.step * torch.exp(self.log_step.double())
        return straight(B, b), straight(S, torch.stack(rounded_s)), straight(D, torch.stack(rounded_d)), step

    def entries(self):
        """The integers and steps as a list of hccs.HeadEntry."""
        if not self.learnable:
            return list(self.start)
        B, S, D, step = (t.detach().cpu() for t in self.tensors())
        return [
            HeadEntry(
                HeadParams(
                    int(B[h].round()), [(int(S[k, h].round()), int(D[k, h].round())) for k in range(self.knees)]
                ),
                float(step[h]),
            )
            for h in range(B.shape[0])
        ]

    def forward(self, logits, mask=None):
        B, S, D, step = self.tensors()
        if self.centre:
            logits = centred(logits, mask)
        return probabilities(logits, B, S, D, step, mask, self.normalisation, self.output_type)
