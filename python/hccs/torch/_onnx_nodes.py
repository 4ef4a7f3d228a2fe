# SPDX-License-Identifier: Apache-2.0
"""What attention becomes where a model is exported to ONNX."""

import torch

from .. import onnx as hccs_onnx
from ._softmax import FULL_SCALE, centred


def symbolic_softmax(softmax, logits, mask):
    """QuantizeLinear, the function and its full scale, as nodes of the exported graph."""
    make = torch.onnx.ops.symbolic
    B, S, D, step = (t.detach() for t in softmax.tensors())
    zero = torch.zeros(step.shape, dtype=torch.int8)
    logits = centred(logits, mask) if softmax.centre else logits.float()
    x = make("QuantizeLinear", (logits, step.float(), zero), {"axis": 1}, dtype=torch.int8, shape=logits.shape)
    if mask is None:
        mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    heads = [B, *(t[k] for k in range(softmax.knees) for t in (S, D))]
    name = hccs_onnx.name(softmax.knees, softmax.normalisation, softmax.output_type)
    wide = torch.uint8 if softmax.output_type == "uint8" else torch.int16
    p = make(
        f"{hccs_onnx.DOMAIN}::{name}",
        (x, mask, *(t.to(torch.int32).view(-1, 1, 1) for t in heads)),
        dtype=wide,
        shape=logits.shape,
        version=1,
    )
    return p.to(torch.float32) * (1 / FULL_SCALE[softmax.output_type])
