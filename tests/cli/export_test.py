# SPDX-License-Identifier: Apache-2.0
"""hccs export --target iron, whole layers of attention, and nodes of an ONNX model, as a user meets them: export_test.py
PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
from cli_case import CliCase, hccs


def varint(number):
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx_model(*names):
    """An ONNX model of Softmax nodes."""
    return field(7, b"".join(field(1, field(3, name.encode()) + field(4, b"Softmax")) for name in names))


class Export(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-export-"))
        head = {"layer": 0, "step": 0.125, "kl": 0.1, "kl_continuous": 0.1, "rows": 1, "max_probability": 0.9, "default": False}
        knees = [(20000, [[100, 10], [3, 90]]), (300, [[4, 60]]), (255, [[3, 85]]), (400, [[5, 60]])]
        heads = [{**head, "head": i, "B": B, "knees": k} for i, (B, k) in enumerate(knees)]
        params = {"format": "hccs-params", "version": 1, "model": "four", "layers": 1, "heads": 4, "head_dimension": 32,
                  "sequence_length": 64, "knees": 2, "limits": "native", "share": "head", "seed": 1, "data_digest": "none",
                  "parameters": heads}
        cls.params = cls.root / "params.json"
        cls.params.write_text(json.dumps(params))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def export(self, target, *options):
        return ("export", "--target", target, "--params", self.params, "--length", 40, "-o", self.work / "out", *options)

    def test_designs_for_iron(self):
        export = self.export("iron", "--layer", 0, "--rows", 6)
        self.succeeds(*export, "--device", "npu2", "--head", 0, 1, 3)
        out = self.work / "out"
        for name in ("design.py", "project.py", "reference.py", "src/softmax.cc", "kernels/rows.h", "README.md"):
            self.assertTrue((out / name).is_file(), name)
        logits, expected = np.load(out / "data" / "logits.npy"), np.load(out / "data" / "expected.npy")
        self.assertEqual((logits.shape, logits.dtype), ((3, 24, 40), np.int8))
        self.assertEqual((expected.shape, expected.dtype), ((3, 24, 40), np.uint8))
        self.assertIn("layer 0, head 3: step = 0.125, factor = 1.41421, about 23170 * 2^-14", (out / "README.md").read_text())
        # The same logits, given: the same results, also by the program.
        given = self.work / "given"
        self.succeeds(*export[:8], given, *export[9:], "--device", "npu1", "--head", 3, "--logits", self.one_head(logits[2]))
        self.succeeds("softmax", "--in", self.one_head(logits[2]), "-o", self.work / "p.npy", "--params", self.params, "--layer", 0, "--head", 3)
        np.testing.assert_array_equal(np.load(given / "data" / "expected.npy")[0], expected[2])
        np.testing.assert_array_equal(np.load(self.work / "p.npy"), expected[2])

    def one_head(self, logits):
        np.save(self.work / "logits.npy", logits)
        return self.work / "logits.npy"

    def test_refusals_of_iron(self):
        export = self.export("iron", "--layer", 0, "--rows", 6)
        npu1 = ("--device", "npu1", "--head", 1)
        for options, parts in (
            (("--head", 1), ("--target iron needs --device: npu1 or npu2",)),
            (("--device", "npu3", "--head", 1), ("npu3", "npu1", "npu2")),
            (("--device", "vek385", "--head", 1), ("npu1 and npu2, not vek385",)),
            ((*npu1, "--memory-tile", "--tiles", 2), ("--memory-tile does not go with --target iron",)),
            ((*npu1, "--vitis", "2026.1"), ("--vitis does not go with --target iron",)),
            ((*npu1, "--nodes", "x"), ("--nodes goes with --target aie4ml",)),
        ):
            self.refused(hccs(*export, *options), *parts, code=2)
        for options, parts in (
            (("--device", "npu1", "--head", 2), ("layer 0, head 2", "255", "256")),
            (("--device", "npu1", "--head", 4), ("layer 0, head 4", "4 heads")),
            (("--device", "npu1", "--head", "all"), ("layer 0, head 2", "255", "256")),
            ((*npu1[:2], "--head", 1, "--kernel", "paper_rows", "--normalisation", "div"), ("length 40", "multiple of 32")),
            ((*npu1[:2], "--head", "all", "--heads-per-tile", 3), ("4 heads on tiles of 3",)),
        ):
            self.refused(hccs(*export, *options), *parts)
        self.refused(hccs(*self.export("iron", "--layer", 0, "--rows", 10, *npu1, "--tiles", 5)), "5 tiles", "npu1 has 4 columns of 4")
        self.refused(hccs(*self.export("aie", "--layer", 0, "--rows", 6, *npu1)), "vek280 and vek385, not npu1", code=2)
        self.assertFalse((self.work / "out").exists())

    def test_attention_of_a_layer(self):
        for target, device, q in (("aie", "vek385", "data/q_3.txt"), ("iron", "npu2", "data/q.npy")):
            options = ("--device", device, "--layer", 0, "--rows", 6, "--kernel", "attention", "--head", "all", "--heads-per-tile", 1)
            self.succeeds(*self.export(target, *options))
            out = self.work / "out"
            self.assertTrue((out / q).is_file())
            self.assertIn("kTiles = 4;", (out / "src" / "project.h").read_text())
            for head in range(4):
                self.assertIn(f"layer 0, head {head}: step = 0.125, factor = 1.41421", (out / "README.md").read_text())
            shutil.rmtree(out)

    def test_nodes_of_a_model(self):
        export = self.export("aie4ml", "--layer", 0, "--head", 1, 3, "--nodes", "l{layer}h{head}")
        model = self.work / "model.onnx"
        for names, parts in (
            (("l0h1", "l0h2"), ("layer 0, head 3", "l{layer}h{head}", "l0h3", "2 Softmax nodes", "model.onnx", "has 0")),
            (("l0h1", "l0h3", "l0h1"), ("layer 0, head 1", "l0h1", "3 Softmax nodes", "has 2")),
            ((), ("layer 0, head 1", "0 Softmax nodes")),
        ):
            model.write_bytes(onnx_model(*names))
            self.refused(hccs(*export, "--onnx", model), *parts)
        model.write_text("no model")
        self.refused(hccs(*export, "--onnx", model), "model.onnx", "no ONNX model")
        self.refused(hccs(*export, "--onnx", self.work / "none"), self.work / "none")
        self.assertFalse((self.work / "out").exists())
        model.write_bytes(onnx_model("l0h1", "other", "l0h3"))
        self.assertIn('1 other Softmax node(s)', self.succeeds(*export, "--onnx", model).stderr)


if __name__ == "__main__":
    unittest.main()
