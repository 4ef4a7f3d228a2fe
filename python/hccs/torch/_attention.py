# SPDX-License-Identifier: Apache-2.0
"""HCCS in models of transformers: through their attention and mask functions, which are registered as "hccs"."""

import contextlib
import inspect
import json
import os
import warnings

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from .. import HeadEntry, Params, RowSample, _core
from .. import calibrate as calibrate_samples
from . import _rivals
from ._softmax import Softmax, centred

NAME = "hccs"
MASKED = -1000.0  # what an additive mask has at most where a position is invalid
ROWS_PER_TEXT = 4
_ATTRIBUTE = "hccs_softmax"  # of an attention module
_PREVIOUS = "_hccs_previous"  # of a model


class Rival(torch.nn.Module):
    """Another integer softmax at the same places, with the same int8 logits (_rivals.METHODS)."""

    def __init__(self, entries, method, centre):
        super().__init__()
        self.method, self.centre = method, centre
        self.start = list(entries)
        self.register_buffer("step", torch.tensor([e.step for e in self.start], dtype=torch.float64), persistent=False)

    def forward(self, logits, mask=None):
        logits = centred(logits, mask) if self.centre else logits
        return _rivals.probabilities(self.method, logits, self.step, mask)


# ---- What stands in for a softmax while rows are sampled -------------------------------------------------------------


class Recorder(torch.nn.Module):
    """The exact softmax, which keeps rows of valid logits of each head."""

    def __init__(self, rows, seed, rank, world, number, centre):
        super().__init__()
        self.centre = centre
        self.rows, self.seed, self.rank, self.world, self.layer = rows, seed, rank, world, number
        self.samples = []
        self.head_dimension = 0
        self.seen = 0

    def forward(self, logits, mask=None, queries=None):
        """queries: bool [batch, queries], those that are no padding; None: all."""
        with torch.no_grad():
            self.record(centred(logits, mask) if self.centre else logits, mask, queries)
        if mask is None:
            return torch.softmax(logits.float(), -1)
        p = torch.softmax(logits.float().masked_fill(~mask, float("-inf")), -1)
        return torch.nan_to_num(p, nan=0.0)  # of rows without a valid position

    def record(self, logits, mask, queries):
        batch, heads, count, _ = logits.shape
        if not self.samples:
            self.samples = [RowSample(self.rows, self.seed) for _ in range(heads)]
        valid = None if mask is None else mask.expand(batch, mask.shape[1], *logits.shape[2:]).cpu()
        for b in range(batch):
            text = self.rank + self.world * self.seen
            self.seen += 1
            places = np.arange(count) if queries is None else np.flatnonzero(queries[b].cpu().numpy())
            chosen = min(ROWS_PER_TEXT, len(places))
            for head in range(heads if chosen else 0):
                first = self.seed + text * heads + head + self.layer
                at = places[[(first + i * len(places) // chosen) % len(places) for i in range(chosen)]]
                rows = logits[b, head, torch.from_numpy(at).to(logits.device)].float().cpu().numpy()
                of_head = None if valid is None else valid[b, head if valid.shape[1] > 1 else 0].numpy()
                for row, query in zip(rows, at.tolist()):
                    self.samples[head].add((text << 16) + query, row, mask=None if of_head is None else of_head[query])


# ---- The functions that transformers call ----------------------------------------------------------------------------


def _repeat(t, times):
    """Keys or values of grouped queries, one for each query head."""
    if times == 1:
        return t
    return t[:, :, None].expand(*t.shape[:2], times, *t.shape[2:]).reshape(t.shape[0], -1, *t.shape[2:])


def _refuse(softmax, what):
    raise ValueError(f"hccs: {getattr(softmax, 'where', 'a module')}: {what} is not supported")


def _valid_mask(module, softmax, mask, query, key, is_causal):
    """bool [batch or 1, heads or 1, queries or 1, keys], or None where everything is valid."""
    queries, keys = query.shape[2], key.shape[2]
    if mask is None:
        causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
        if not causal or queries == 1:
            return None
        return torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)[None, None]
    mask = mask[..., :keys]
    if mask.dtype == torch.bool:
        return mask
    if not mask.dtype.is_floating_point:
        return mask != 0
    if not torch.compiler.is_compiling() and not bool(((mask == 0) | (mask <= MASKED)).all()):
        _refuse(softmax, "a position bias (a mask that is added, with values other than 0 and those below -1000)")
    return mask > MASKED


def _query_is_text(softmax, mask, queries, keys):
    """Which queries are no padding: in self attention those that are valid as keys."""
    if mask is None or getattr(softmax, "cross", False) or queries > keys:
        return None
    return mask.any(dim=1).any(dim=1)[:, keys - queries :]


def attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, is_causal=None, **others):
    """What transformers call as attention function "hccs"."""
    softmax = getattr(module, _ATTRIBUTE, None)
    if softmax is None:
        raise ValueError(f"hccs: {type(module).__name__} has no parameters: call hccs.torch.apply(model, params)")
    if others.get("softcap") is not None:
        _refuse(softmax, "softcap of attention logits")
    if others.get("s_aux") is not None:
        _refuse(softmax, "attention sinks")
    if others.get("position_bias") is not None:
        _refuse(softmax, "a position bias")
    groups = query.shape[1] // key.shape[1]
    key, value = _repeat(key, groups), _repeat(value, groups)
    logits = (query @ key.transpose(2, 3)) * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    mask = _valid_mask(module, softmax, attention_mask, query, key, is_causal)
    if isinstance(softmax, Recorder):
        softmax.head_dimension = query.shape[-1]
        whole = mask if mask is None else mask.expand(query.shape[0], *mask.shape[1:])
        p = softmax(logits, mask, _query_is_text(softmax, whole, query.shape[2], key.shape[2]))
    elif torch.onnx.is_in_onnx_export() and isinstance(softmax, Softmax):
        from ._onnx_nodes import symbolic_softmax

        p = symbolic_softmax(softmax, logits, mask)
    else:
        p = softmax(logits, mask)
    p = torch.nn.functional.dropout(p.to(value.dtype), dropout, module.training)
    return (p @ value).transpose(1, 2).contiguous(), p


def attention_mask(*arguments, **named):
    """What transformers call as mask function "hccs": always a bool mask, never None."""
    return sdpa_mask(*arguments, **{**named, "allow_is_causal_skip": False, "allow_is_bidirectional_skip": False})


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, attention_mask)


# ---- Modules of a model ---------------------------------------------------------------------------------------------


def _calls_the_interface(module):
    try:
        return "ALL_ATTENTION_FUNCTIONS" in inspect.getsource(type(module).forward)
    except (OSError, TypeError):
        return False


def attention_modules(model):
    """The modules of a model whose attention goes through transformers' interface: [(name, module)], in the model's
    order, which is that of the layers in a parameter file. ValueError if there is none."""
    found = [(name, module) for name, module in model.named_modules() if _calls_the_interface(module)]
    if not found or not hasattr(model, "set_attn_implementation"):
        raise ValueError(
            f"hccs: {type(model).__name__}: its attention does not go through transformers' attention interface "
            "(AttentionInterface); hccs.torch.Softmax serves models of one's own"
        )
    return found


def _configs(model):
    seen = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation"):
            seen[id(config)] = config
    return list(seen.values())


def _attach(model, softmaxes):
    """Puts a softmax into each attention module and turns the interface on."""
    found = attention_modules(model)
    if not hasattr(model, _PREVIOUS):
        setattr(model, _PREVIOUS, [(c, c._attn_implementation) for c in _configs(model)])
    for (name, module), softmax in zip(found, softmaxes):
        softmax.where = name
        softmax.cross = "cross" in name.lower() or "encoder_attn" in name.lower()
        softmax.train(module.training)
        setattr(module, _ATTRIBUTE, softmax)
    model.set_attn_implementation(NAME)
    for config in _configs(model):
        if config._attn_implementation != NAME:
            remove(model)
            raise ValueError(
                f"hccs: {type(model).__name__}: {type(config).__name__} does not take another attention function"
            )


def remove(model):
    """Undoes apply(): the model computes attention as before."""
    for module in list(model.modules()):
        if isinstance(getattr(module, _ATTRIBUTE, None), torch.nn.Module):
            delattr(module, _ATTRIBUTE)
    for config, before in getattr(model, _PREVIOUS, []):
        config._attn_implementation_internal = before
    if hasattr(model, _PREVIOUS):
        delattr(model, _PREVIOUS)


@contextlib.contextmanager
def recording(model, rows, seed, centre):
    """Within it the model's attention is exact and its rows are sampled: the Recorder of each module, in order."""
    if hasattr(model, _PREVIOUS):
        raise ValueError("hccs: the model has HCCS already: call hccs.torch.remove(model) first")
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
    recorders = [Recorder(rows, seed, rank, world, i, centre) for i, _ in enumerate(attention_modules(model))]
    training = model.training
    try:
        _attach(model, recorders)
        model.eval()
        yield recorders
    finally:
        model.train(training)
        remove(model)


def _call(model, batch):
    if isinstance(batch, dict) or hasattr(batch, "keys"):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


def sample(model, batches, rows=4096, seed=0, *, centre=False):
    """Runs the model over batches with exact attention and samples each head's rows: (a RowSample a head, layer by
    layer; heads a layer; the head dimension). Of each text and head 4 rows are taken, evenly spaced, of queries that
    are no padding; masked positions do not enter. Under torch.distributed each process gets its own batches, text i of
    the whole being number i // processes of process i % processes, and all processes get the samples of all. centre:
    the maximum of each row is taken off it."""
    with recording(model, rows, seed, centre) as recorders, torch.no_grad():
        for batch in batches:
            _call(model, batch)
        names = [r.where for r in recorders]
    _gather(recorders)
    silent = [name for name, r in zip(names, recorders) if not r.samples]
    if silent:
        raise ValueError(
            f"hccs: {silent[0]}: attention was never computed by this module; {len(silent)} of {len(names)} such"
        )
    heads, dimension = len(recorders[0].samples), recorders[0].head_dimension
    for name, r in zip(names, recorders):
        if len(r.samples) != heads:
            raise ValueError(
                f"hccs: {name}: {len(r.samples)} heads, but {names[0]} has {heads}: "
                "a parameter file has as many in each layer"
            )
    return [s for r in recorders for s in r.samples], heads, dimension


def _gather(recorders):
    """Under torch.distributed: every process' samples into those of all."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    for recorder in recorders:  # layer by layer, as all rows of a model are many
        of_all = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(of_all, recorder.samples)
        whole = [samples for samples in of_all if samples]
        recorder.samples = whole[0] if whole else []
        for others in whole[1:]:
            for mine, other in zip(recorder.samples, others):
                mine.merge(other)


def name_of(model):
    """As the C++ program calls the model of a folder: what its config.json says, or the folder's own name."""
    path = getattr(model.config, "_name_or_path", "") if hasattr(model, "config") else ""
    if not path or not os.path.isdir(path):
        return path or type(model).__name__
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            said = json.load(file).get("_name_or_path")
        if isinstance(said, str) and said:
            return said
    return os.path.basename(os.path.normpath(path))


def calibrate(model, batches, *, knees=3, rows=4096, seed=0, model_name=None, centre=False, **how):
    """Finds the integers of every attention head of a transformers model, and returns hccs.Params.

    batches: what the model is called with, dictionaries or tensors, padded or not. The model runs in eval mode with the
    exact softmax, and is afterwards as before. rows: kept a head. `how`: as for hccs.calibrate (limits, share, threads,
    progress, ...). Under torch.distributed all processes' rows become one calibration (sample()), which the first
    makes.

    centre=True takes its maximum off each row of logits first. Softmax does not see that; int8 logits do, where biases
    of queries and keys put rows far from 0, and a step that reaches them cannot tell their logits apart (a warning says
    so). The parameters are then for apply() and report() with centre=True, or for an engine that takes distances from
    sums (hccs.Plan with rescale): the file does not say it.

    ValueError, with the module's name, for what HCCS cannot compute: softcap, sinks, position bias, other interfaces.
    """
    samples, heads, dimension = sample(model, batches, rows, seed, centre=centre)
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    made = [None]
    if not distributed or torch.distributed.get_rank() == 0:
        name = model_name or name_of(model)
        try:
            made = [calibrate_samples(samples, heads, knees=knees, model=name, head_dimension=dimension, **how)]
        except ValueError as error:
            if not distributed:
                raise
            made = [error]
    if distributed:
        torch.distributed.broadcast_object_list(made, src=0)
        if isinstance(made[0], Exception):
            raise made[0]
    if not centre and any("shifted-rows" in fit.finding_kinds for fit in made[0].fits):
        warnings.warn(
            "rows lie far from 0 or from each other: calibrate, apply and report with centre=True take that away",
            stacklevel=2,
        )
    return made[0]


def apply(
    model, params, *, method="hccs", normalisation="scaled", output_type="uint8", learnable=False, centre=False
):
    """Makes a transformers model compute its attention with these integers, until remove(model). Returns the model.

    Forward and generate() compute the contract's integers; backward is the derivative of the surrogate
    (docs/training.md). learnable=True makes B, S, D and steps parameters of the model, which params_of(model) reads.
    method: "hccs", or for comparison at the same steps "exact-int8", "i-bert", "softermax", "exp2-shift" (I-ViT),
    "int-attention". centre: for parameters that were calibrated with centre=True, and only for these.
    """
    found = attention_modules(model)
    if not isinstance(params, Params):
        raise TypeError(f"params must be hccs.Params, not {type(params).__name__}")
    if len(found) != params.layers:
        raise ValueError(
            f"hccs: {type(model).__name__} has {len(found)} attention modules, but params have {params.layers} layers"
        )
    if method != "hccs" and method not in _rivals.METHODS:
        raise ValueError(f'method "{method}", but there are "hccs", ' + ", ".join(f'"{m}"' for m in _rivals.METHODS))
    if method != "hccs" and learnable:
        raise ValueError(f'method "{method}" has nothing to learn')
    if method == "hccs":
        _core.warn_of_range(params, normalisation, output_type)
    softmaxes = []
    for layer in range(params.layers):
        entries = [params[layer, h] for h in range(params.heads)]
        softmaxes.append(
            Softmax(
                entries, normalisation=normalisation, output_type=output_type, learnable=learnable, centre=centre
            )
            if method == "hccs"
            else Rival(entries, method, centre)
        )
    for (_, module), softmax in zip(found, softmaxes):
        weight = next(module.parameters(), None)
        if weight is not None:
            softmax.to(weight.device)
    _attach(model, softmaxes)
    setattr(model, "_hccs_params", params)
    return model


def softmaxes_of(model):
    found = [getattr(m, _ATTRIBUTE, None) for _, m in attention_modules(model)]
    if not all(isinstance(s, (Softmax, Rival)) for s in found):
        raise ValueError("hccs: the model has no HCCS: call hccs.torch.apply(model, params)")
    return found


def params_of(model):
    """The Params that a model computes with: those of apply(), or what training has made of them."""
    softmaxes = softmaxes_of(model)
    start = model._hccs_params
    if not any(getattr(s, "learnable", False) for s in softmaxes):
        return start
    entries = []
    for layer, softmax in enumerate(softmaxes):
        for h, entry in enumerate(softmax.entries()):
            old = start[layer, h]
            entries.append(
                HeadEntry(
                    entry.params,
                    entry.step,
                    kl=old.kl,
                    kl_continuous=old.kl_continuous,
                    rows=old.rows,
                    max_probability=old.max_probability,
                    is_default=old.is_default,
                )
            )
    return Params(
        start.model,
        start.layers,
        start.heads,
        entries,
        head_dimension=start.head_dimension,
        sequence_length=start.sequence_length,
        limits=start.limits,
        share=start.share,
        seed=start.seed,
        data_digest=start.data_digest,
        weights_digest=start.weights_digest,
        knees=start.knees,
    )
