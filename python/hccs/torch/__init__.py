# SPDX-License-Identifier: Apache-2.0
"""HCCS for PyTorch.

    params = hccs.torch.calibrate(model, batches, knees=3)  # attention goes through transformers' interface
    hccs.torch.apply(model, params)                         # generate(), Trainer, torch.compile as before
    hccs.torch.remove(model)                                # undoes it
    params.save("params.json")

Softmax is a module for models of one's own and needs PyTorch alone; softmax and probabilities are operators, and
reference_softmax is the contract in plain PyTorch, for any device. The first two functions need transformers 5.
"""

from ._softmax import Softmax, probabilities, reference_softmax, softmax

_LAZY = {
    **dict.fromkeys(("apply", "attention_modules", "calibrate", "params_of", "remove", "sample"), "_attention"),
    **dict.fromkeys(("Report", "report"), "_report"),
    **dict.fromkeys(("export_onnx", "kinds"), "_export"),
}
METHODS = ("hccs", "exact-int8", "i-bert", "softermax", "exp2-shift", "int-attention")

__all__ = ["METHODS", "Softmax", "probabilities", "reference_softmax", "softmax", *_LAZY]


def __getattr__(name):
    """What needs transformers or onnx is imported when it is used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'hccs.torch' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


def __dir__():
    return sorted(__all__)
