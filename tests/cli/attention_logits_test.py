# SPDX-License-Identifier: Apache-2.0
"""hccs export --kernel attention --logits, as a user meets it: attention_logits_test.py PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
from cli_case import CliCase, hccs

ROWS, LENGTH, DIMENSION = 40, 12, 32


class AttentionLogits(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-attention-"))
        head = {"layer": 0, "step": 0.125, "kl": 0.1, "kl_continuous": 0.1, "rows": 1, "max_probability": 0.9, "default": False}
        knees = [(20000, [[100, 10], [3, 90]]), (4690, [[86, 21], [34, 47]])]
        heads = [{**head, "head": i, "B": B, "knees": k} for i, (B, k) in enumerate(knees)]
        params = {"format": "hccs-params", "version": 1, "model": "two", "layers": 1, "heads": 2, "head_dimension": DIMENSION,
                  "sequence_length": 64, "knees": 2, "limits": "native", "share": "head", "seed": 1, "data_digest": "none",
                  "parameters": heads}
        cls.params = cls.root / "params.json"
        cls.params.write_text(json.dumps(params))
        random = np.random.default_rng(3)
        cls.logits = random.integers(-128, 128, (2, ROWS, LENGTH), dtype=np.int8)
        cls.values = random.integers(-128, 128, (2, LENGTH, DIMENSION), dtype=np.int8)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def npy(self, name, array):
        np.save(self.work / name, array)
        return self.work / name

    def export(self, target, rows, length, *options):
        return ("export", "--target", target, "--params", self.params, "--layer", 0, "--kernel", "attention", "--rows", rows,
                "--length", length, "-o", self.work / "out", *options)

    def result(self, rows):
        """o of the first block, whose masks show all, in a design for IRON: [heads, rows, head dimension]."""
        blocks = ROWS // rows
        self.succeeds(*self.export("iron", rows, LENGTH, "--device", "npu2", "--head", "all", "--logits", self.npy("x.npy", self.logits),
                                   "--value", self.npy("v.npy", np.tile(self.values, (1, blocks, 1)))))
        out = np.load(self.work / "out" / "data" / "expected.npy")
        readme = (self.work / "out" / "README.md").read_text()
        shutil.rmtree(self.work / "out")
        self.assertEqual(out.shape, (2, ROWS, DIMENSION))
        for head in range(2):
            self.assertIn(f"layer 0, head {head}: step = 0.125, factor = 1.41421, about 23170 * 2^-14", readme)
        self.assertIn("x.npy by q of " + ("the logits" if rows > DIMENSION else "64 times unit vectors"), readme)
        self.assertIn("v.npy", readme)
        return out

    def test_the_rows_are_the_logits(self):
        by_queries, by_keys = self.result(20), self.result(40)  # up to 32 rows unit vectors are q, else k
        np.testing.assert_array_equal(by_queries[:, :20], by_keys[:, :20])
        for head in range(2):
            self.succeeds("softmax", "--in", self.npy("one.npy", self.logits[head]), "-o", self.work / "p.npy", "--params", self.params,
                          "--layer", 0, "--head", head, "--output", "int16")
            p = np.load(self.work / "p.npy").astype(float) / 32768
            exact = p @ self.values[head]
            self.assertLess(np.abs(by_keys[head] - exact).max(), 2)  # weights have 8 bits
            self.assertGreater(np.abs(exact).max(), 20)

    def test_rows_of_any_length_for_vitis(self):
        logits = self.npy("x.npy", np.random.default_rng(4).integers(-128, 128, (16, 100), dtype=np.int8))
        self.succeeds(*self.export("aie", 8, 100, "--head", 1, "--logits", logits))
        readme = (self.work / "out" / "README.md").read_text()
        self.assertIn("2 blocks; data: x.npy by q of 64 times unit vectors, k of the logits, M 16384 and R 20, values and masks drawn with seed 1",
                      readme)
        self.assertIn("layer 0, head 1: step = 0.125, factor = 1.41421, about 23170 * 2^-14", readme)
        q = np.array((self.work / "out" / "data" / "q.txt").read_text().split(), dtype=int)
        self.assertEqual(sorted(set(q.tolist())), [0, 64])

    def test_refusals(self):
        logits = self.npy("x.npy", np.zeros((40, 33), dtype=np.int8))
        self.refused(hccs(*self.export("aie", 40, 33, "--head", 1, "--logits", logits)), "x.npy", "head dimension 32", "40 rows of 33 logits",
                     "--query, --key and --value")
        self.refused(hccs(*self.export("aie", 7, 33, "--head", 1, "--logits", logits)), "x.npy", "int8 [40, 33]", "multiple of 7")
        self.refused(hccs(*self.export("aie", 8, 33, "--head", 1, "--logits", self.work / "none.npy")), "none.npy")
        self.refused(hccs(*self.export("aie", 8, 33, "--head", "all", "--logits", logits)), "x.npy", "int8 [2, rows, 33]")
        self.refused(hccs(*self.export("aie", 8, 33, "--head", 1, "--logits", logits, "--value", logits)), "x.npy", "but v is int8")
        for option, value in (("--query", logits), ("--key", logits), ("--product-scale", 1)):
            self.refused(hccs(*self.export("aie", 8, 33, "--head", 1, "--logits", logits, option, value)), f"{option} does not go with --logits",
                         code=2)
        self.assertFalse((self.work / "out").exists())


if __name__ == "__main__":
    unittest.main()
