# SPDX-License-Identifier: Apache-2.0
"""Models with HCCS as ONNX: what ONNX Runtime computes is what PyTorch computes."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from test_models import HOW, bert, far_bert, llama, padded, tokens

import hccs
import hccs.onnx
import hccs.torch

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("output_type", ["uint8", "int16"])
@pytest.mark.parametrize("kind", ["bert", "far bert", "llama"])
def test_round_trip(kind, output_type, tmp_path):
    model = bert() if kind == "bert" else far_bert() if kind == "far bert" else llama(use_cache=False)
    batches = [{"input_ids": tokens(seed=s)} if kind == "llama" else padded(s) for s in range(8)]
    centre = kind == "far bert"
    params = hccs.torch.calibrate(model, batches, knees=2, centre=centre, **HOW)
    hccs.torch.apply(model, params, output_type=output_type, centre=centre)
    example = {k: v[:, :12] for k, v in batches[0].items()}
    hccs.onnx.export(model, example, tmp_path / "m.onnx")
    made = onnx.load(tmp_path / "m.onnx")
    name = hccs.onnx.name(2, "scaled", output_type)
    assert sum(n.op_type == name for n in made.graph.node) == 2 and [
        f.name for f in made.functions if f.domain == "hccs"
    ] == [name]
    batch = {"input_ids": tokens(3, 17, seed=20)} if kind == "llama" else padded(20)
    ran = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {k: v.numpy() for k, v in batch.items()})[0]
    with torch.no_grad():
        expected = model(**batch)[0].numpy()
    # Logits differ in their last bits, so that a few round to the next step; nearly all agree closely.
    assert np.median(np.abs(ran - expected)) < 2e-3 * np.abs(expected).max()
    assert np.linalg.norm(ran - expected) < 0.05 * np.linalg.norm(expected)


def test_only_hccs_is_exported(tmp_path):
    model = bert()
    params = hccs.torch.calibrate(model, [padded(s) for s in range(4)], **HOW)
    hccs.torch.apply(model, params, method="i-bert")
    with pytest.raises(ValueError, match="method"):
        hccs.onnx.export(model, padded(0), tmp_path / "m.onnx")
    hccs.torch.remove(model)
    with pytest.raises(ValueError, match="no HCCS"):
        hccs.onnx.export(model, padded(0), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
