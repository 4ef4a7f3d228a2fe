# SPDX-License-Identifier: Apache-2.0
"""hccs classify, of folders and of integer models: classify_test.py PATH_OF_HCCS [unittest options]."""
import json
import os
import pathlib
import tempfile
import unittest

import numpy as np

import tiny_model
from cli_case import CliCase, hccs

LABELS = ["animal", "plant", "other"]


def write_classifier(folder):
    """The tiny model with a head that no training has made, but whose labels differ from text to text."""
    rng = np.random.default_rng(4)
    arrays = {"bert." + name: array for name, array in tiny_model.tensors(np.random.default_rng(3)).items()}
    size = tiny_model.HIDDEN
    arrays["bert.pooler.dense.weight"] = rng.normal(0, 0.5, (size, size)).astype(np.float32)
    arrays["bert.pooler.dense.bias"] = np.zeros(size, np.float32)
    arrays["classifier.weight"] = rng.normal(0, 1, (len(LABELS), size)).astype(np.float32)
    arrays["classifier.bias"] = np.zeros(len(LABELS), np.float32)
    tiny_model.write_model(folder, "classifier", architectures=["BertForSequenceClassification"],
                           id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)})
    (folder / "model.safetensors").write_bytes(tiny_model.safetensors_bytes(arrays))
    return folder


class Classify(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.temporary.name)
        cls.model = write_classifier(cls.root / "model")
        cls.text = cls.root / "texts.txt"
        cls.text.write_text("\n".join(tiny_model.sentences(200)) + "\n")
        cls.integers = cls.root / "classifier.hccs"
        cls.made = hccs("quantise", "--model", cls.model, "--text", cls.text, "-o", cls.integers)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        super().setUp()
        self.assertEqual(self.made.returncode, 0, self.made.stderr)

    def labels(self, model, *arguments, text=None, **options):
        out = self.work / "labels.tsv"
        run = self.succeeds("classify", "--model", model, "--text", text or self.text, "-o", out, *arguments, **options)
        lines = [line.split("\t") for line in out.read_text().splitlines()]
        for label, probability in lines:
            self.assertIn(label, LABELS)
            self.assertTrue(1 / len(LABELS) - 1e-4 <= float(probability) <= 1, probability)
        return [label for label, _ in lines], run

    def test_integers_agree_with_the_folder(self):
        exact, _ = self.labels(self.model)
        rounded, _ = self.labels(self.integers)
        self.assertEqual(len(exact), 200)
        self.assertGreater(len(set(exact)), 1)
        # Few of the random head's decisions are clear.
        self.assertGreater(np.mean(np.array(exact) == np.array(rounded)), 0.9)

    def test_neither_threads_nor_the_target_matter(self):
        self.labels(self.integers)
        expected = (self.work / "labels.tsv").read_bytes()
        for threads, target in ((1, ""), (3, ""), (2, "portable")):
            self.labels(self.integers, "--threads", threads, env=os.environ | {"HCCS_TARGET": target})
            self.assertEqual((self.work / "labels.tsv").read_bytes(), expected)
        self.refused(hccs("classify", "--model", self.integers, "--text", self.text, "-o", self.work / "x",
                          env=os.environ | {"HCCS_TARGET": "abacus"}), "HCCS_TARGET", "abacus")
        self.assertFalse((self.work / "x").exists())

    def test_json_counts_the_labels(self):
        for model, softmax in ((self.model, "exact"), (self.integers, "integers")):
            labels, run = self.labels(model, "--json")
            said = json.loads(run.stdout)
            self.assertEqual(said["labels"], {name: labels.count(name) for name in LABELS})
            self.assertEqual((said["texts"], said["softmax"]), (200, softmax))

    def test_a_tab_makes_a_pair(self):
        pairs = self.work / "pairs.txt"
        pairs.write_text("the animal eats\ta plant\nthe animal eats a plant\n")
        for model in (self.model, self.integers):
            self.labels(model, text=pairs)
            first, second = (self.work / "labels.tsv").read_text().splitlines()
            self.assertNotEqual(first, second)
            self.refused(hccs("classify", "--model", model, "--text", pairs, "--max-length", 2, "-o", self.work / "x"),
                         "pair", "2")

    def test_refusals(self):
        out = ["--text", self.text, "-o", self.work / "x"]
        no_classifier = tiny_model.write_model(self.work / "embeds")
        integers = self.work / "embeds.hccs"
        self.succeeds("quantise", "--model", no_classifier, "--text", self.text, "-o", integers)
        for model in (no_classifier, integers):
            self.refused(hccs("classify", "--model", model, *out), model)
        for model in (self.model, self.integers):
            self.refused(hccs("classify", "--model", model, "--max-length", 33, *out), "33", "32")
        self.refused(hccs("classify", "--model", self.integers, "--params", "p", *out), "--params", code=2)
        self.refused(hccs("classify", "--model", self.integers, "--text", self.text, "-o", self.integers), self.integers)
        self.assertFalse((self.work / "x").exists())


if __name__ == "__main__":
    unittest.main()
