# SPDX-License-Identifier: Apache-2.0
"""Models with HCCS as ONNX: hccs.onnx.export() is the door."""

import torch

from .. import onnx as hccs_onnx
from ._attention import softmaxes_of
from ._softmax import FULL_SCALE, Softmax, centred


def kinds(model):
    """(K, normalisation, output type) of the functions that a model's softmaxes need."""
    found = softmaxes_of(model)
    if not all(isinstance(s, Softmax) for s in found):
        raise ValueError('hccs: only method="hccs" can be exported')
    return sorted({(s.knees, s.normalisation, s.output_type) for s in found})


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


def export_onnx(model, example, opset=20, dynamic_shapes=None):
    """The model as onnx.ModelProto, without the function's definition."""
    kinds(model)
    if dynamic_shapes is None:
        size = torch.export.Dim.DYNAMIC
        dynamic_shapes = {
            n: {i: size for i in range(min(2, t.dim()))} if t.dim() >= 2 else {} for n, t in example.items()
        }
    training = model.training
    model.eval()
    try:
        made = torch.onnx.export(
            model, kwargs=dict(example), dynamo=True, opset_version=opset, dynamic_shapes=dynamic_shapes, verbose=False
        )
    finally:
        model.train(training)
    proto = made.model_proto
    kept = [f for f in proto.functions if f.domain != hccs_onnx.DOMAIN]
    del proto.functions[:]
    proto.functions.extend(kept)
    return proto
