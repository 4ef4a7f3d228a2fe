# SPDX-License-Identifier: Apache-2.0
"""Models with HCCS as ONNX: hccs.onnx.export() is the door."""

import torch

from .. import onnx as hccs_onnx
from ._attention import softmaxes_of
from ._softmax import Softmax


def kinds(model):
    """(K, normalisation, output type) of the functions that a model's softmaxes need."""
    found = softmaxes_of(model)
    if not all(isinstance(s, Softmax) for s in found):
        raise ValueError('hccs: only method="hccs" can be exported')
    return sorted({(s.knees, s.normalisation, s.output_type) for s in found})


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
