# SPDX-License-Identifier: Apache-2.0
"""The Python of projects for IRON: iron_test.py HCCS HOST_INCLUDE, at the repository's root, by a Python that has NumPy. Designs
run over the stand-in for mlir-aie in iron/, with the kernels compiled by CXX for this machine's AIE API."""
import json
import os
import pathlib
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

STAND_IN = pathlib.Path(__file__).resolve().parent / "iron"
HOST_INCLUDE = os.path.abspath(sys.argv.pop(2))
HCCS = os.path.abspath(sys.argv.pop(1))
KNEES = [(20000, [[100, 10], [50, 30], [3, 90]]), (300, [[4, 60]]), (400, [[5, 60]]), (32767, [[127, 20], [60, 40], [30, 100], [2, 127]])]


class Design(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.work)
        head = {"layer": 0, "step": 0.1, "kl": 0.1, "kl_continuous": 0.1, "rows": 1, "max_probability": 0.9, "default": False}
        heads = [{**head, "head": i, "B": B, "knees": knees} for i, (B, knees) in enumerate(KNEES)]
        params = {"format": "hccs-params", "version": 1, "model": "four", "layers": 1, "heads": 4, "head_dimension": 32,
                  "sequence_length": 64, "knees": 4, "limits": "native", "share": "head", "seed": 1, "data_digest": "none",
                  "parameters": heads}  # fmt: skip
        (cls.work / "params.json").write_text(json.dumps(params))

    def run_python(self, project, program):
        environment = {**os.environ, "HCCS_AIE_HOST": HOST_INCLUDE, "PYTHONPATH": str(STAND_IN), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, project / program], capture_output=True, text=True, env=environment)

    def exported(self, name, *options):
        project = self.work / name
        done = subprocess.run([HCCS, "export", "--target", "iron", "--params", self.work / "params.json", "--layer", "0", "-o", project,
                               *map(str, options)], capture_output=True, text=True)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return project

    def assert_right(self, name, *options):
        """Every file of Python compiles; the definition in NumPy, and the design with the kernel, give the expected results."""
        project = self.exported(name, *options)
        for file in sorted(project.glob("*.py")):
            py_compile.compile(str(file), cfile=str(self.work / "compiled.pyc"), doraise=True)
        for program in ("reference.py", "design.py"):
            done = self.run_python(project, program)
            self.assertEqual((done.returncode, done.stdout), (0, "all results are as expected\n"), f"{program}: {done.stderr}")
        return project

    def test_heads_on_columns_of_npu2(self):
        project = self.assert_right("rows", "--device", "npu2", "--head", "all", "--heads-per-tile", 1, "--length", 77, "--rows", 9,
                                    "--masks", "length", "--blocks", 5)  # fmt: skip
        self.assertIn("COLUMNS = 4 ", (project / "project.py").read_text())

    def test_rows_on_all_cores_of_npu1(self):
        project = self.assert_right("tiles", "--device", "npu1", "--head", 0, 3, "--tiles", 16, "--length", 45, "--rows", 80, "--kernel",
                                    "tiles", "--normalisation", "clb", "--output", "int16", "--blocks", 3)  # fmt: skip
        self.assertIn("COLUMNS = 4 ", (project / "project.py").read_text())
        self.assertIn("CORES = 4 ", (project / "project.py").read_text())

    def test_tiles_of_npu2(self):
        self.assert_right("tiles2", "--device", "npu2", "--head", 1, "--tiles", 2, "--length", 21, "--rows", 10, "--kernel", "tiles")

    def test_paper_rows(self):
        self.assert_right("paper", "--device", "npu1", "--head", 2, "--length", 64, "--rows", 5, "--kernel", "paper_rows",
                          "--normalisation", "div")  # fmt: skip

    def test_attention(self):
        self.assert_right("attention", "--device", "npu1", "--head", "all", "--heads-per-tile", 2, "--length", 45, "--rows", 11,
                          "--kernel", "attention")  # fmt: skip

    def test_one_wrong_value_is_reported(self):
        project = self.exported("wrong", "--device", "npu2", "--head", 1, 3, "--tiles", 2, "--length", 20, "--rows", 6, "--blocks", 3)
        expected = np.load(project / "data" / "expected.npy")
        expected[1, 6 + 4, 7] ^= 1
        np.save(project / "data" / "expected.npy", expected)
        for program in ("reference.py", "design.py"):
            done = self.run_python(project, program)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stdout, re.escape("block 1, head 3, row 4, position 7: expected ") + r"\d+, got \d+\n1 values differ\n")


if __name__ == "__main__":
    unittest.main()
