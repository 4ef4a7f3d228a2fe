# SPDX-License-Identifier: Apache-2.0
"""Writes a small random BertModel folder, and WordNet-like and .npy files, for the command-line tests."""
import json
import pathlib
import struct

import numpy as np

WORDS = "the a of to in is animal plant small large that which eats grows house person act state time".split()
LAYERS, HEADS, HIDDEN, INTERMEDIATE, POSITIONS = 2, 2, 16, 24, 32


def tensors(rng):
    def normal(*shape, scale=0.5):
        return rng.normal(0, scale, shape).astype(np.float32)

    vocabulary = 5 + len(WORDS)
    out = {
        "embeddings.word_embeddings.weight": normal(vocabulary, HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }

    def norm(name):
        out[name + ".weight"] = np.ones(HIDDEN, np.float32)
        out[name + ".bias"] = np.zeros(HIDDEN, np.float32)

    def linear(name, n_in, n_out):
        out[name + ".weight"] = normal(n_out, n_in)
        out[name + ".bias"] = normal(n_out, scale=0.1)

    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        p = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            linear(p + "attention.self." + part, HIDDEN, HIDDEN)
        linear(p + "attention.output.dense", HIDDEN, HIDDEN)
        norm(p + "attention.output.LayerNorm")
        linear(p + "intermediate.dense", HIDDEN, INTERMEDIATE)
        linear(p + "output.dense", INTERMEDIATE, HIDDEN)
        norm(p + "output.LayerNorm")
    return out


def safetensors_bytes(arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        dtype = {"float32": "F32", "float64": "F64"}[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_model(folder, name="tiny", **config):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors(np.random.default_rng(3))))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS) + "\n")
    settings = dict(
        _name_or_path=name, architectures=["BertModel"], model_type="bert", vocab_size=5 + len(WORDS), hidden_size=HIDDEN,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INTERMEDIATE,
        max_position_embeddings=POSITIONS, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
        position_embedding_type="absolute")
    settings.update(config)
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def sentences(count, seed=5):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 12))) for _ in range(count)]


def write_wordnet(path, count=9000):
    """data.noun as man 5WN wndb describes it; labels 3..28 follow the first word, so that they can be learnt."""
    lines = ["  1 This line is part of the licence  "]
    for i, text in enumerate(sentences(count)):
        label = 3 + WORDS.index(text.split()[0]) % 26
        lines.append(f"{i:08d} {label:02d} n 01 word{i} 0 000 | {text} number{i}; an example  ")
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


def write_dumps(folder, layers=1, heads=2, rows=200, n=12, seed=1):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for layer in range(layers):
        for head in range(heads):
            np.save(folder / f"layer{layer}_head{head}.npy", rng.normal(0, 2, (rows, n)).astype(np.float32))
    np.save(folder / "lengths.npy", rng.integers(1, n + 1, rows).astype(np.int32))
    return folder
