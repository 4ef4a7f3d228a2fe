# SPDX-License-Identifier: Apache-2.0
"""transformers' Trainer on a model with HCCS beside `hccs train`, on the same texts from the same start: WordNet's
glosses, whose label is what kind of thing they describe, and the first two layers of all-MiniLM-L6-v2."""

import json
import math
import os
import pathlib
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_real_models import MINILM, WORDNET

import hccs.torch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
PROGRAM = pathlib.Path(os.environ.get("HCCS_PROGRAM") or ROOT / "build/hccs")
KINDS = {"05": 0, "06": 1, "18": 2, "20": 3}  # animals, artefacts, persons, plants: WordNet's file numbers
SIZES = {"train": 3200, "dev": 320, "test": 1200}
LEARNING_RATE = 3e-4


@pytest.fixture(scope="module")
def texts():
    for path, how in ((WORDNET, "Debian: wordnet-base"), (MINILM / "model.safetensors", "`make model` gets it")):
        if not path.is_file():
            pytest.skip(f"{path} is not there ({how})")
    lines = [line for line in WORDNET.read_text().splitlines() if not line.startswith("  ")]
    found = {kind: [] for kind in KINDS.values()}
    for line in lines:
        kind = KINDS.get(line.split(" ", 2)[1])
        if kind is not None:
            found[kind].append((kind, line.split("|", 1)[1].strip().split(";")[0]))
    rng = np.random.default_rng(0)
    each = sum(SIZES.values()) // len(KINDS)
    drawn = [of_kind[i] for of_kind in found.values() for i in rng.permutation(len(of_kind))[:each]]
    drawn = [drawn[i] for i in rng.permutation(len(drawn))]
    parts, at = {}, 0
    for name, size in SIZES.items():
        parts[name], at = drawn[at : at + size], at + size
    return parts


def interval(right, of):
    """Wilson's, 95 %."""
    z, p = 1.96, right / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def accuracy_of_the_program(texts, folder):
    for name, part in texts.items():
        (folder / f"{name}.tsv").write_text("".join(f"{label}\t{text}\n" for label, text in part))
    files = [argument for name in texts for argument in (f"--{name}", folder / f"{name}.tsv")]
    how = "--take-layers 2 --freeze-embeddings --softmax hccs --knees 1 --epochs 1 --batch 32 --threads 2"
    command = [PROGRAM, "train", *files, "--model", MINILM, *how.split(), "--learning-rate", LEARNING_RATE]
    done = subprocess.run(
        [*map(str, command), "-o", str(folder / "made"), f"--json={folder / 'made.json'}"],
        capture_output=True,
        text=True,
    )
    if "libtorch" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    said = json.loads((folder / "made.json").read_text())["accuracies"]
    return next(s["accuracy"] for s in said if s["set"] == "test")


def accuracy_of_trainer(texts, folder):
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    config = BertConfig.from_pretrained(MINILM, num_hidden_layers=2, num_labels=len(KINDS))
    model = BertForSequenceClassification.from_pretrained(MINILM, config=config)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)

    def inputs(part):
        return tokenizer([t for _, t in part], padding=True, truncation=True, max_length=128, return_tensors="pt")

    def collate(part):
        return {**inputs(part), "labels": torch.tensor([label for label, _ in part])}

    batches = [inputs(texts["train"][i : i + 32]) for i in range(0, 640, 32)]
    params = hccs.torch.calibrate(model, batches, knees=1, rows=512, progress=False, threads=2, implausible="report")
    hccs.torch.apply(model, params)
    arguments = TrainingArguments(
        str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=LEARNING_RATE,
        warmup_steps=10,
        weight_decay=0.01,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        seed=1,
    )
    Trainer(model=model, args=arguments, train_dataset=texts["train"], data_collator=collate).train()
    model.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(texts["test"]), 64):
            part = collate(texts["test"][i : i + 64])
            right += int((model(**part).logits.argmax(-1) == part["labels"]).sum())
    return right


def test_trainer_reaches_what_the_program_reaches(texts, tmp_path):
    if not PROGRAM.is_file():
        pytest.skip(f"{PROGRAM} is not there: `make build` makes it")
    count = SIZES["test"]
    theirs = round(accuracy_of_the_program(texts, tmp_path) * count)
    mine = accuracy_of_trainer(texts, tmp_path)
    low, high = interval(theirs, count)
    print(f"hccs train {theirs / count:.4f} ({low:.4f} to {high:.4f}), Trainer {mine / count:.4f}")
    assert theirs > 0.6 * count
    assert mine / count >= low
