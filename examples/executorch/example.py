# SPDX-License-Identifier: Apache-2.0
"""A model with HCCS in ExecuTorch: exported from PyTorch, run by the operator of softmax_operator.cc.

    pip install executorch
    cmake -S examples/executorch -B build/executorch -D CMAKE_BUILD_TYPE=Release \\
      -D EXECUTORCH="$(python -c 'import executorch; print(executorch.__path__[0])')"
    cmake --build build/executorch
    python examples/executorch/example.py build/executorch/libhccs_executorch.so
"""

import ctypes
import sys

import torch
from executorch.exir import EdgeCompileConfig, to_edge

import hccs
import hccs.torch

# ExecuTorch calls operators that write to a tensor which it has made.
SCHEMA = (
    "probabilities.out(Tensor logits, Tensor? mask, Tensor B, Tensor S, Tensor D, Tensor step, str normalisation, "
    "str output_type, *, Tensor(a!) out) -> Tensor(a!)"
)
library = torch.library.Library("hccs", "FRAGMENT")
library.define(SCHEMA)


@torch.library.impl(library, "probabilities.out", "CompositeExplicitAutograd")
def probabilities_out(logits, mask, B, S, D, step, normalisation, output_type, *, out):
    return out.copy_(torch.ops.hccs.probabilities(logits, mask, B, S, D, step, normalisation, output_type))


class Attention(torch.nn.Module):
    """q . k, HCCS, v: a model of one's own with hccs.torch.Softmax."""

    def __init__(self, heads):
        super().__init__()
        self.softmax = hccs.torch.Softmax(heads)

    def forward(self, q, k, v, mask):
        logits = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
        p = self.softmax(logits, mask)
        return p @ v, p, logits


def program(model, inputs):
    """The bytes of a .pte file."""
    exported = torch.export.export(model, inputs)
    return to_edge(exported, compile_config=EdgeCompileConfig(_check_ir_validity=False)).to_executorch().buffer


def main():
    ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)  # registers the operator
    from executorch.runtime import Runtime

    torch.manual_seed(0)
    head = hccs.HeadEntry(hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]), 0.07)
    model = Attention([head] * 4).eval()
    inputs = (*(torch.randn(2, 4, 24, 16) * 2 for _ in range(3)), torch.rand(2, 1, 24, 24) > 0.2)
    # Both stay: what is loaded reads the bytes, and results lie in the program's memory.
    saved = program(model, inputs)
    loaded = Runtime.get().load_program(saved)
    attended, p, logits = (t.clone() for t in loaded.load_method("forward").execute(inputs))
    # Matrix products may differ in their last bits; from the logits on all is the same.
    assert torch.equal(p, model.softmax(logits, inputs[3])), "probabilities differ"
    assert torch.allclose(logits, model(*inputs)[2], atol=1e-4), "logits differ"
    difference = float((attended - model(*inputs)[0]).abs().max())
    print(f"ExecuTorch and PyTorch give the same {p.numel()} probabilities of the same logits; largest difference of")
    print(f"attention {difference:.1e}")


if __name__ == "__main__":
    main()
