# SPDX-License-Identifier: Apache-2.0
"""Head-Calibrated Clipped-Linear Softmax (HCCS): integer softmax for int8 transformers.

    heads = [hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)])]
    p = hccs.softmax(x, heads)                          # x int8 [heads, queries, keys]; p / 255 is the probability

    plan = hccs.Plan(heads)                             # once; then any number of calls and threads
    plan(x, out=p, causal_offset=0)

    samples = [hccs.RowSample() for head in range(12)]  # one a head; samples[h].add(id, logits)
    params = hccs.calibrate(samples, heads=12)
    params.save("params.json")

hccs.torch does this to any Hugging Face model whose attention goes through transformers' interface; hccs.onnx exports
what computes the same bits. Arrays are NumPy's, or any that speak DLPack.
"""

import os as _os
import warnings as _warnings

from . import _core, _progress
from ._core import (
    Attention,
    Cache,
    Cancelled,
    Encoder,
    HeadEntry,
    HeadEvaluation,
    HeadFit,
    HeadParams,
    Params,
    Plan,
    RowSample,
    __version__,
    attention_targets,
    compiled_targets,
    load_rows,
    quantise_logits,
    reference,
    save_rows,
    targets,
)

__all__ = [
    "__version__",
    "Attention",
    "Cache",
    "Cancelled",
    "Encoder",
    "HeadEntry",
    "HeadEvaluation",
    "HeadFit",
    "HeadParams",
    "Params",
    "Plan",
    "RowSample",
    "attention_targets",
    "calibrate",
    "compiled_targets",
    "evaluate",
    "load_rows",
    "quantise_logits",
    "reference",
    "save_rows",
    "softmax",
    "targets",
]

for _class in (
    Attention,
    Cache,
    Cancelled,
    Encoder,
    HeadEntry,
    HeadEvaluation,
    HeadFit,
    HeadParams,
    Params,
    Plan,
    RowSample,
):
    _class.__module__ = "hccs"
del _class


def __getattr__(name):
    """hccs.torch and hccs.onnx need packages of their own: they are imported when they are used."""
    if name in ("torch", "onnx"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'hccs' has no attribute '{name}'")


def softmax(x, heads, normalisation="scaled", output_type="uint8", mask=None, **arguments):
    """Integer softmax of the rows on x's last axis.

    x: int8 logits, or int32 sums with rescale=(M, R), of [batch, heads, queries, keys] or the last axes of these.
    heads: HeadParams, one for all rows or one a head. mask: bool that broadcasts to x, true where a position is valid.
    Other arguments are those of Plan's call: out, lengths, causal_offset, mask_bits, rescale. Returns uint8 (p / 255)
    or int16 (p / 32767) of x's shape. Make a Plan to use the same heads again. "div" and "clb" warn of rows that are
    too long for them (Plan.longest_row).
    """
    if isinstance(heads, (HeadParams, HeadEntry)):
        heads = [heads]
    heads = list(heads)
    shape = getattr(x, "shape", ())
    if len(heads) == 1 and len(shape) >= 3:
        heads = heads * shape[-3]
    return Plan(heads, normalisation, output_type)(x, mask=mask, **arguments)


def _threads(threads):
    return threads if threads is not None else len(_os.sched_getaffinity(0)) if hasattr(_os, "sched_getaffinity") else 1


def calibrate(
    samples,
    heads,
    *,
    knees=3,
    limits="native",
    length=0,
    step="real",
    share="head",
    on_unfit="stop",
    implausible="stop",
    threads=None,
    model="logits",
    head_dimension=0,
    weights_digest="",
    progress=None,
):
    """Fits the integers of every head to its rows of float logits, and returns Params.

    samples: a RowSample a head, layer by layer; heads: how many a layer has. knees: K, 1..4, the number of clipped
    lines. limits: "native", or "paper" with length=n and knees=1: the published ranges for rows of n. step: "real" or
    "power-of-two". share: which heads share a set: "head" (none), "layer" or "global". on_unfit, implausible: what to
    do about heads that cannot be fitted ("stop", "default") and rows that cannot be logits ("stop", "report"). threads:
    the result does not depend on it; by default one a processor. model, head_dimension (0: unknown), weights_digest:
    what the file says of the model. progress: called with (done, total); by default a tqdm bar on a terminal; False:
    none. A call that returns False raises hccs.Cancelled, and Ctrl-C stops calibration.

    Params.fits says what each head reached; warnings tell what is odd about rows. Other processes' rows:
    RowSample.merge.
    """
    with _progress.report(progress, f"calibrating, K = {knees}", "set") as show:
        params = _core.calibrate(
            list(samples),
            heads,
            knees=knees,
            limits=limits,
            length=length,
            step=step,
            share=share,
            on_unfit=on_unfit,
            implausible=implausible,
            threads=_threads(threads),
            model=model,
            head_dimension=head_dimension,
            weights_digest=weights_digest,
            progress=show,
        )
    found = {}
    for i, fit in enumerate(params.fits):
        for text in [fit.unfit_reason] if fit.unfit_reason else fit.findings:
            found.setdefault(text.split(":")[0], []).append((i, text))
    for told in found.values():
        i, text = told[0]
        more = f" and {len(told) - 1} more" if len(told) > 1 else ""
        _warnings.warn(f"layer {i // heads}, head {i % heads}{more}: {text}", stacklevel=2)
    return params


def evaluate(
    samples, params, *, normalisation="scaled", output_type="uint8", implausible="stop", threads=None, progress=None
):
    """Every head's integers against the float softmax of rows that they were not calibrated on.

    samples: a RowSample a head, as for calibrate(). Returns a list of HeadEvaluation: KL, top-1 agreement, errors.
    """
    with _progress.report(progress, "evaluating", "head") as show:
        return _core.evaluate(
            list(samples),
            params,
            normalisation=normalisation,
            output_type=output_type,
            implausible=implausible,
            threads=_threads(threads),
            progress=show,
        )
