# SPDX-License-Identifier: Apache-2.0
"""Inputs and options at the edge of what makes sense, by command: edge_test.py PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np

from cli_case import CliCase, hccs, needs_cycles
from tiny_model import write_dumps, write_model


class Edge(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-edge-"))
        cls.params = cls.root / "params.json"
        done = hccs("calibrate", "--logits", write_dumps(cls.root / "dumps"), "--knees", 1, "-o", cls.params)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def test_softmax_of_no_rows_and_of_no_positions(self):
        source, out = self.work / "x.npy", self.work / "p.npy"
        head = ["--params", self.params, "--layer", 0, "--head", 0]
        for dtype in ("int8", "float16", "float32", "float64"):
            with self.subTest(dtype=dtype):
                np.save(source, np.zeros((0, 8), dtype))
                self.succeeds("softmax", "--in", source, *head, "-o", out)
                self.assertEqual(np.load(out).shape, (0, 8))
                out.unlink()
                for rows in (0, 1, 5):
                    np.save(source, np.zeros((rows, 0), dtype))
                    self.refused(hccs("softmax", "--in", source, *head, "-o", out), source, f"{rows} rows of no position")
                self.assertFalse(out.exists())

    # ---- results and what is read ---------------------------------------------------------------------

    def check_stays(self, file, *arguments):
        before = file.read_bytes()
        self.refused(hccs(*arguments), file, "would")
        self.assertEqual(file.read_bytes(), before)

    def test_no_result_replaces_what_is_read(self):
        model = write_model(self.work / "model")
        dumps = write_dumps(self.work / "dumps")
        text, logits, params = self.work / "text.txt", self.work / "x.npy", self.work / "params.json"
        text.write_text("the animal eats\na plant grows\n" * 20)
        np.save(logits, np.zeros((4, 8), np.int8))
        shutil.copy(self.params, params)
        embed = ["embed", "--model", model, "--text", text]
        softmax = ["softmax", "--in", logits, "--offset", 4690, "--knee", "86:21"]
        for name in ("config.json", "model.safetensors", "vocab.txt"):
            self.check_stays(model / name, *embed, "-o", model / name)
            self.check_stays(model / name, *embed, "-o", self.work / "e.npy", f"--json={model / name}")
            self.check_stays(model / name, "calibrate", "--model", model, "--text", text, "-o", model / name)
        link = self.work / "link.txt"
        link.symlink_to("text.txt")
        for out in (text, self.work / "dumps" / ".." / "text.txt", link):
            self.check_stays(text, *embed[:-1], out, "-o", text)
            self.check_stays(out, *embed, "-o", out)
        self.check_stays(text, "calibrate", "--model", model, "--text", text, "-o", text)
        self.check_stays(text, "logits", "--model", model, "--text", text, "-o", self.work / "new", f"--json={text}")
        self.check_stays(logits, *softmax, "-o", logits)
        self.check_stays(logits, *softmax, "-o", self.work / "p.npy", f"--json={logits}")
        self.check_stays(params, *softmax[:3], "--params", params, "--layer", 0, "--head", 0, "-o", params)
        self.check_stays(params, "inspect", params, f"--json={params}")
        self.check_stays(params, "report", params, "-o", params)
        self.check_stays(params, "evaluate", "--logits", dumps, "--params", params, f"--json={params}")
        for name in ("layer0_head0.npy", "lengths.npy"):
            self.check_stays(dumps / name, "calibrate", "--logits", dumps, "-o", dumps / name)
            self.check_stays(dumps / name, "evaluate", "--logits", dumps, "--params", params, f"--json={dumps / name}")
        # What would be read the next time is no place for a result either; other names are.
        self.refused(hccs(*embed, "-o", model / "1_Pooling.safetensors"), "would be read")
        self.assertFalse((self.work / "e.npy").exists() or (self.work / "new").exists() or (self.work / "p.npy").exists())
        for _ in range(2):
            self.succeeds("calibrate", "--model", model, "--text", text, "--knees", 1, "-o", model / "params.json")
            self.succeeds("calibrate", "--logits", dumps, "--knees", 1, "-o", dumps / "params.json")

    def test_standard_output_is_no_file(self):
        source = self.work / "x.npy"
        np.save(source, np.zeros((4, 8), np.int8))
        result = hccs("softmax", "--in", source, "--offset", 4690, "--knee", "86:21", "-o", "-", cwd=self.work)
        self.refused(result, "-: results are written to files")
        self.assertFalse((self.work / "-").exists())

    # ---- options --------------------------------------------------------------------------------------

    def test_an_option_before_the_command(self):
        self.refused(hccs("--json", "inspect", self.params), "unknown option --json; it is one of", "Try: hccs --help", code=2)

    def check_number_is_out_of_range(self, *arguments):
        result = hccs(*arguments)
        self.refused(result, "not in range 0 to 999999", code=2)
        self.assertLess(len(result.stderr), 200)  # one line that can be read

    def test_seeds(self):
        arguments = ["calibrate", "--logits", self.root / "dumps", "--knees", 1, "-o", self.work / "p.json", "--seed"]
        for seed in ("-1", "18446744073709551616", "1e3", "0x10", "", " 1"):
            with self.subTest(seed=seed):
                self.refused(hccs(*arguments, seed), "--seed", code=2)
        self.succeeds(*arguments, 2**64 - 1)
        self.assertEqual(json.loads((self.work / "p.json").read_text())["seed"], 2**64 - 1)

    def test_names_out_of_files_are_no_commands_for_the_terminal(self):
        file = json.loads(self.params.read_text())
        file["model"], file["data_digest"] = "a\x1b[31mb\nc\td", "x\x1b[2Jy"
        params = self.work / "p.json"
        params.write_text(json.dumps(file))
        shown = self.succeeds("inspect", params, "--details").stdout
        self.assertNotIn("\x1b", shown)
        self.assertTrue(shown.startswith("a\\x1b[31mb\\x0ac\\x09d: "), shown[:40])
        self.assertIn("data x\\x1b[2Jy\n", shown)

    def test_heads_below_0(self):
        for option in ("--layer", "--head"):
            self.check_number_is_out_of_range("softmax", "--in", "x", "-o", "y", "--params", "p", option, -1)

    @needs_cycles
    def test_heads_below_0_of_cycles(self):
        self.check_number_is_out_of_range("cycles", "--params", "p", "--layer", -1)


if __name__ == "__main__":
    unittest.main()
