# SPDX-License-Identifier: Apache-2.0
"""Integer models, from a folder to embeddings and accuracy: integer_test.py PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import tempfile
import unittest

import numpy as np

import tiny_model
from cli_case import CliCase, hccs


class IntegerModel(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.temporary.name)
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.text = cls.root / "texts.txt"
        cls.text.write_text("\n".join(tiny_model.sentences(200)) + "\n")
        cls.integers = cls.root / "tiny.hccs"
        cls.made = hccs("quantise", "--model", cls.model, "--text", cls.text, "--report", "-o", cls.integers)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def setUp(self):
        super().setUp()
        self.assertEqual(self.made.returncode, 0, self.made.stderr)

    def embeddings(self, model, *arguments):
        self.succeeds("embed", "--model", model, "--text", self.text, "-o", self.work / "e.npy", *arguments)
        return np.load(self.work / "e.npy")

    def test_report_has_a_line_for_the_embeddings_and_each_layer(self):
        lines = self.made.stdout.splitlines()
        self.assertEqual(len(lines), 2 + tiny_model.LAYERS)
        self.assertTrue(lines[1].startswith("embeddings"))
        for line in lines[1:]:
            self.assertGreater(float(line.split()[-2]), 0.98, line)

    def test_embeddings_are_near_those_of_the_folder(self):
        exact = self.embeddings(self.model)
        rounded = self.embeddings(self.integers)
        self.assertEqual(rounded.dtype, np.float32)
        self.assertEqual(rounded.shape, exact.shape)
        self.assertGreater((exact * rounded).sum(1).mean(), 0.99)
        self.assertTrue(np.array_equal(rounded * 32768, np.round(rounded * 32768)))
        for threads in (1, 3):
            self.assertTrue(np.array_equal(self.embeddings(self.integers, "--threads", threads), rounded))

    def test_twice_gives_the_same_bytes(self):
        for name, extra in (("a", ["--threads", 1]), ("b", ["--threads", 2])):
            self.succeeds("quantise", "--model", self.model, "--text", self.text, "-o", self.work / name, *extra)
            self.assertEqual((self.work / name).read_bytes(), self.integers.read_bytes())

    def test_options_reach_the_file(self):
        self.succeeds("calibrate", "--model", self.model, "--text", self.text, "--knees", 2, "-o", self.work / "p.json")
        for extra, expected in ((["--knees", 1], {"knees": 1}), (["--params", self.work / "p.json"], {"knees": 2}),
                                (["--params", self.work / "p.json", "--trained-heads"], {"knees": 2}),
                                (["--precise"], {"attention_weights": "wide"}),
                                (["--rounding", "nearest"], {"rounding": "nearest"})):
            run = self.succeeds("quantise", "--model", self.model, "--text", self.text, "-o", self.work / "m", "--json",
                                *extra)
            for key, value in expected.items():
                self.assertEqual(json.loads(run.stdout)[key], value)
            self.assertNotEqual((self.work / "m").read_bytes(), self.integers.read_bytes(), extra)
        self.refused(hccs("quantise", "--model", self.model, "--text", self.text, "--params", self.work / "p.json",
                          "--knees", 2, "-o", self.work / "m"), "--knees", code=2)
        self.refused(hccs("quantise", "--model", self.model, "-o", self.work / "m"), "--text", "--task", code=2)
        self.refused(hccs("quantise", "--model", self.model, "--text", self.text, "--trained-heads", "-o",
                          self.work / "m"), "--trained-heads", "--params", code=2)

    def test_evaluate_compares_with_the_folder(self):
        wordnet = self.root / "data.noun"
        tiny_model.write_wordnet(wordnet)
        run = self.succeeds("evaluate", "--model", self.integers, "--float", self.model, "--task", "wordnet",
                            "--wordnet", wordnet, "--json")
        exact, integers = json.loads(run.stdout)["rows"]
        self.assertEqual(exact["cosine_mean"], 1)
        self.assertEqual(integers["knees"], 3)
        self.assertGreater(integers["cosine_mean"], 0.98)
        self.assertGreaterEqual(integers["cosine_mean"], integers["cosine_p1"])
        self.assertGreaterEqual(integers["cosine_p1"], integers["cosine_min"])

    def test_evaluate_compares_embeddings_of_texts(self):
        both = ["evaluate", "--model", self.integers, "--float", self.model]
        run = self.succeeds(*both, "--text", self.text, "--json")
        result = json.loads(run.stdout)
        exact, integers = result["rows"]
        lines = [line for line in self.text.read_text().splitlines() if line]
        self.assertEqual((result["texts"], result["task"]), (len(lines), None))
        self.assertNotIn("accuracy", integers)
        self.assertEqual((exact["cosine_mean"], exact["same_nearest"]), (1, 1))
        # The same from the two commands' embeddings.
        found = {}
        for name, model in (("float", self.model), ("integers", self.integers)):
            self.succeeds("embed", "--model", model, "--text", self.text, "-o", self.work / "e.npy")
            found[name] = np.load(self.work / "e.npy").astype(np.float64)
        a, b = found["float"], found["integers"]
        cosines = np.sort(np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
        nearest = []
        for e in (a, b):
            similar = e @ e.T
            np.fill_diagonal(similar, -np.inf)
            nearest.append(similar.argmax(axis=1))
        self.assertAlmostEqual(integers["cosine_mean"], cosines.mean(), places=6)
        self.assertAlmostEqual(integers["cosine_min"], cosines[0], places=6)
        self.assertAlmostEqual(integers["cosine_p1"], cosines[len(cosines) // 100], places=6)
        self.assertAlmostEqual(integers["same_nearest"], np.mean(nearest[0] == nearest[1]), delta=2 / len(lines))
        table = self.succeeds(*both, "--text", self.text).stdout
        self.assertNotIn("accuracy", table)
        self.assertIn(f"{integers['cosine_mean']:.5f}", table)
        one = self.work / "one.txt"
        one.write_text(lines[0] + "\n")
        self.refused(hccs(*both, "--text", one), "1 text", "2 or more")
        self.refused(hccs(*both, "--text", self.text, "--task", "wordnet"), "exactly one of --task and --text", code=2)
        self.refused(hccs(*both), "exactly one of --task and --text", code=2)
        self.refused(hccs("evaluate", "--model", self.integers, "--text", self.text), "--float", code=2)
        self.refused(hccs("evaluate", "--model", self.model, "--text", self.text), "--text goes with an integer model", code=2)
        self.refused(hccs("evaluate", "--logits", "x", "--params", "p", "--text", self.text), "go with --model", code=2)

    def test_evaluate_of_the_folder_has_a_row_of_integers(self):
        wordnet = self.root / "data.noun"
        tiny_model.write_wordnet(wordnet)
        params = self.work / "p.json"
        self.succeeds("calibrate", "--model", self.model, "--text", self.text, "-o", params)
        task = ["--task", "wordnet", "--wordnet", wordnet]
        run = self.succeeds("evaluate", "--model", self.model, "--params", params, "--integers", self.integers, *task,
                            "--json")
        rows = json.loads(run.stdout)["rows"]
        exact, integers = rows[0], rows[-1]
        self.assertEqual((integers["name"], integers["knees"], integers["normalisation"]), ("integers", 3, "deferred"))
        self.assertNotIn("head_kl_mean", integers)
        self.assertIn("head_kl_mean", exact)
        self.assertGreater(integers["cosine_mean"], 0.98)
        for row in (exact, integers):
            self.assertGreater(row["texts_per_second"], 0)
        text = self.succeeds("evaluate", "--model", self.model, "--params", params, "--integers", self.integers, *task)
        self.assertIn("integers", text.stdout.splitlines()[-2])
        self.assertIn("texts a second", text.stdout.splitlines()[-1])
        alone = self.succeeds("evaluate", "--model", self.integers, "--float", self.model, *task, "--json")
        self.assertEqual(json.loads(alone.stdout)["rows"][1]["accuracy"], integers["accuracy"])
        for wrong in (["--model", self.integers, "--float", self.model], ["--logits", self.work, "--params", params],
                      ["--model", self.model, "--params", params, "--task", self.text]):
            self.refused(hccs("evaluate", "--integers", self.integers, *(task if "--task" not in wrong else []), *wrong),
                         "--integers", code=2)
        other = tiny_model.write_model(self.work / "other")
        (other / "model.safetensors").write_bytes(tiny_model.safetensors_bytes(
            tiny_model.tensors(np.random.default_rng(9))))
        self.succeeds("calibrate", "--model", other, "--text", self.text, "-o", self.work / "o.json")
        self.refused(hccs("evaluate", "--model", other, "--params", self.work / "o.json", "--integers", self.integers,
                          *task), "other weights")

    def test_refusals(self):
        task = ["--task", "wordnet"]
        self.refused(hccs("evaluate", "--model", self.integers, *task), "--float", code=2)
        self.refused(hccs("evaluate", "--model", self.model, "--float", self.model, *task), "--float", code=2)
        self.refused(hccs("evaluate", "--model", self.integers, "--float", self.model, "--params", "p", *task),
                     "--params", code=2)
        self.refused(hccs("embed", "--model", self.integers, "--params", "p", "--text", self.text, "-o",
                          self.work / "e.npy"), "--params", code=2)
        self.refused(hccs("evaluate", "--model", self.integers, "--task", self.text), "no classifier")
        self.refused(hccs("embed", "--model", self.integers, "--text", self.text, "--max-length", 33, "-o",
                          self.work / "e.npy"), "33", "32")
        damaged = self.work / "damaged.hccs"
        content = bytearray(self.integers.read_bytes())
        content[-5] ^= 1
        damaged.write_bytes(content)
        self.refused(hccs("embed", "--model", damaged, "--text", self.text, "-o", self.work / "e.npy"),
                     "damaged.hccs", "digest")
        self.assertFalse((self.work / "e.npy").exists())
        other = tiny_model.write_model(self.work / "other", layer_norm_eps=1e-5)
        (other / "model.safetensors").write_bytes(tiny_model.safetensors_bytes(
            tiny_model.tensors(np.random.default_rng(9))))
        wordnet = self.work / "data.noun"
        tiny_model.write_wordnet(wordnet)
        self.refused(hccs("evaluate", "--model", self.integers, "--float", other, "--wordnet", wordnet, *task),
                     "other weights")


if __name__ == "__main__":
    unittest.main()
