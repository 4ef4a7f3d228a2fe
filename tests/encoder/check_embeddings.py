#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the encoder's embeddings of 64 texts of 1 to 200 tokens with an independent forward pass.

    check_embeddings.py EMBED_TEXTS MODEL

The forward pass below is NumPy in float64, written from the BERT paper; it reads config.json and model.safetensors itself.
Texts are WordNet glosses, run together to the length wanted. Exit code 77: something that the check needs is missing.
"""
import json
import math
import os
import random
import struct
import subprocess
import sys

SKIP = 77
TOLERANCE = 1e-5
SEED = 20260403
GLOSSES = "/usr/share/wordnet/data.noun"

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin, which is slow on a busy machine
try:
    import numpy as np
except ImportError:
    print("skipped: no numpy")
    sys.exit(SKIP)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    types = {"F32": np.float32, "F16": np.float16}
    return {
        name: np.frombuffer(body[slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"]).astype(np.float64)
        for name, t in header.items()
        if name != "__metadata__" and t["dtype"] in types
    }


ERF_GRID = 1024  # points a unit
ERF_TABLE = np.array([math.erf(i / ERF_GRID) for i in range(-6 * ERF_GRID, 6 * ERF_GRID + 1)])


def erf(x):
    """math.erf at the nearest grid point, then the Taylor series to third order: exact to 1e-13."""
    x = np.clip(x, -6, 6)
    index = np.rint(x * ERF_GRID).astype(np.int64)
    near = index / ERF_GRID
    h = x - near
    slope = 2 / math.sqrt(math.pi) * np.exp(-(near**2))
    return ERF_TABLE[index + 6 * ERF_GRID] + slope * h * (1 - near * h + (2 * near**2 - 1) / 3 * h**2)


def normalise(x, tensors, name, epsilon):
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * tensors[name + ".weight"] + tensors[name + ".bias"]


def linear(x, tensors, name):
    return x @ tensors[name + ".weight"].T + tensors[name + ".bias"]


def embed(ids, config, tensors):
    heads = config["num_attention_heads"]
    epsilon = config["layer_norm_eps"]
    n = len(ids)
    x = (
        tensors["embeddings.word_embeddings.weight"][ids]
        + tensors["embeddings.position_embeddings.weight"][:n]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    x = normalise(x, tensors, "embeddings.LayerNorm", epsilon)
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        q, k, v = (
            linear(x, tensors, f"{layer}attention.self.{part}").reshape(n, heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        logits = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[2])
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        context = (weights @ v).transpose(1, 0, 2).reshape(n, -1)
        x = normalise(
            x + linear(context, tensors, layer + "attention.output.dense"),
            tensors, layer + "attention.output.LayerNorm", epsilon,
        )  # fmt: skip
        inner = linear(x, tensors, layer + "intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = normalise(
            x + linear(inner, tensors, layer + "output.dense"), tensors, layer + "output.LayerNorm", epsilon
        )
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def make_lines():
    with open(GLOSSES, encoding="utf-8") as file:
        glosses = [line.split("|", 1)[1].split(";", 1)[0].strip() for line in file if not line.startswith("  ")]
    rng = random.Random(SEED)
    lengths = [1, 2, 3, 199, 200] + [rng.randint(1, 200) for _ in range(59)]
    lines = []
    for length in lengths:
        words = []
        while len(words) < length:
            words += rng.choice(glosses).split()
        lines.append(f"{length}\t{' '.join(words)}")
    return lengths, lines


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, model = sys.argv[1:]
    for needed in (model + "/config.json", GLOSSES):
        if not os.path.exists(needed):
            print("skipped: no", needed)
            sys.exit(SKIP)
    with open(model + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    for x in np.random.default_rng(SEED).normal(0, 3, 1000):
        assert abs(erf(x) - math.erf(x)) < 1e-13, x
    tensors = read_safetensors(model + "/model.safetensors")
    lengths, lines = make_lines()
    run = subprocess.run([program, model], input="\n".join(lines), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{program}: exit code {run.returncode}: {run.stderr}")
    results = [json.loads(line) for line in run.stdout.splitlines()]
    if [len(r["ids"]) for r in results] != lengths:
        sys.exit(f"token counts {[len(r['ids']) for r in results]}, but {lengths} were asked for")
    worst = max(np.abs(embed(r["ids"], config, tensors) - r["embedding"]).max() for r in results)
    print(f"{len(results)} texts of {min(lengths)} to {max(lengths)} tokens, seed {SEED}: "
          f"largest difference {worst:.2e}, allowed {TOLERANCE:g}")
    if not worst <= TOLERANCE:
        sys.exit(1)


main()
