# SPDX-License-Identifier: Apache-2.0
"""hccs export --target header as a user meets it: export_header_test.py PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cli_case import CliCase, hccs


class ExportHeader(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-header-"))
        rest = {"kl": 0.1, "kl_continuous": 0.1, "rows": 1, "max_probability": 0.9, "default": False}
        heads = [{"layer": i // 2, "head": i % 2, "B": 300 + i, "knees": [[1, 20 + i], [2, 90]], "step": 0.1 / (i + 3), **rest}
                 for i in range(6)]
        cls.heads = heads
        cls.params = cls.root / "params.json"
        cls.params.write_text(json.dumps({
            "format": "hccs-params", "version": 1, "model": "six", "layers": 3, "heads": 2, "head_dimension": 32,
            "sequence_length": 64, "knees": 2, "limits": "native", "share": "head", "seed": 1, "data_digest": "none",
            "parameters": heads}))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def export(self, *options):
        return ("export", "--target", "header", "--params", self.params, *options)

    def lines(self, path):
        return re.findall(r"^    \{.*\},$", path.read_text(), re.M)

    def line(self, index):
        h = self.heads[index]
        (s0, d0), (s1, d1) = h["knees"]
        return f'    {{{h["layer"]}, {h["head"]}, {h["B"]}, 2, {{{s0}, {s1}}}, {{{d0}, {d1}}}, {h["step"]!r}}},'

    def test_all_heads_and_some(self):
        out = self.work / "hccs_params.h"
        result = self.succeeds(*self.export("-o", out, "--json"))
        self.assertEqual(json.loads(result.stdout), {"output": str(out), "target": "header", "name": "hccs_params", "heads": 6})
        self.assertEqual(self.lines(out), [self.line(i) for i in range(6)])
        self.succeeds(*self.export("-o", out, "--layer", 2))
        self.assertEqual(self.lines(out), [self.line(4), self.line(5)])
        self.succeeds(*self.export("-o", out, "--head", "all"))
        self.assertEqual(len(self.lines(out)), 6)
        self.succeeds(*self.export("-o", self.work, "--layer", 1, "--head", 1, 0, "--name", "Mine2"))
        text = (self.work / "Mine2.h").read_text()
        self.assertEqual(self.lines(self.work / "Mine2.h"), [self.line(3), self.line(2)])
        self.assertIn("Mine2_heads[2]", text)

    def test_compiles_alone(self):
        out = self.work / "hccs_params.h"
        self.succeeds(*self.export("-o", out))
        for compiler in filter(shutil.which, ("gcc", "clang")):
            for language, standard in (("c", "c99"), ("c++", "c++20")):
                subprocess.run([compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror",
                                "-fsyntax-only", out], check=True)

    def test_refusals(self):
        out = self.work / "out.h"
        out.write_text("earlier")
        for options, parts in (
            (("--layer", 3), ("layer 3", "3 layers of 2 heads")),
            (("--layer", 1, "--head", 2), ("layer 1, head 2", "3 layers of 2 heads")),
            (("--head", 1, 1), ("head 1 is named twice",)),
            (("--name", "a-b"), ('"a-b"', "letters, digits")),
        ):
            self.refused(hccs(*self.export("-o", out, *options)), *parts)
        for options, parts in (
            (("--length", 64), ("--length does not go with --target header",)),
            (("--device", "npu1"), ("--device does not go with --target header",)),
            (("--head", "all", 1), ("--head all goes with no other head",)),
        ):
            self.refused(hccs(*self.export("-o", out, *options)), *parts, code=2)
        self.assertEqual(out.read_text(), "earlier")
        before = self.params.read_bytes()
        self.refused(hccs(*self.export("-o", self.params)), "params.json", "would replace")
        self.assertEqual(self.params.read_bytes(), before)
        self.refused(hccs(*self.export("-o", out, f"--json={out}")), "same file")
        self.refused(hccs(*self.export("-o", self.work / "none" / "out.h")), "none")
        self.refused(hccs("export", "--target", "header", "--params", self.work / "none.json", "-o", out), "none.json")
        for target in ("aie", "iron", "aie4ml"):
            self.refused(hccs("export", "--target", target, "--params", self.params, "-o", self.work / "p"), "needs --length", code=2)
            self.refused(hccs("export", "--target", target, "--params", self.params, "-o", self.work / "p", "--length", 8, "--name", "x"),
                         "--name goes with --target header", code=2)


if __name__ == "__main__":
    unittest.main()
