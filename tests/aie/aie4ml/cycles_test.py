# SPDX-License-Identifier: Apache-2.0
"""aie4ml's tiled softmax kernel on the cycle model: cycles_test.py LIBRARIES... at the repository's root, by a Python that has
requirements.txt. CXX is the C++ compiler; LIBRARIES are the cycle model, the contract and fmt.

The kernel comes from the package. Its loops over bands and blocks are marked for the observer, as our own kernels mark theirs;
every statement stays. The table of docs/cycle-model.md has what aie4ml states and what the model says: both are held to it here.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import aie4ml

LIBRARIES = [sys.argv.pop(1) for _ in range(len(sys.argv) - 1)]
PACKAGE = pathlib.Path(aie4ml.__file__).parent
HERE = pathlib.Path("tests/aie/aie4ml")


def marked(source):
    """The source with its loops over bands (bm) and blocks (bn) marked."""
    loop = r"for \(int (b[mn]) = 0; \1 < ([^;]+); \+\+\1\)"
    return "\n".join(
        re.sub(loop, lambda m: f'HCCS_MARKED({m[1]}, {m[2]}, "{"bands" if m[1] == "bm" else f"blocks, line {number}"}")', line)
        for number, line in enumerate(source.splitlines(), 1)) + "\n"


class Cycles(unittest.TestCase):
    def modelled(self):
        """(rows, n, normalisation): cycles, of results that equal the definition."""
        work = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, work)
        kernels = PACKAGE / "templates" / "nnet_utils" / "softmax"
        source = marked((kernels / "softmax.cpp").read_text())
        self.assertEqual(source.count("HCCS_MARKED"), 8)
        (work / "marked_softmax.cpp").write_text(source)
        includes = [HERE / "include", ".", "include", "aie/host/include", work, kernels]
        compiled = subprocess.run(
            [os.environ.get("CXX", "c++"), "-std=c++20", "-O0", "-w", "-pthread", "-D__AIE_ARCH__=20",
             *(f"-I{folder}" for folder in includes), HERE / "cycles.cc", *LIBRARIES, "-o", work / "cycles"],
            capture_output=True, text=True)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)
        ran = subprocess.run([work / "cycles"], capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        cells = [line.split() for line in ran.stdout.splitlines()]
        return {(int(rows), int(n), mode): int(cycles) for rows, n, mode, cycles in cells}

    def test_the_table_of_the_documentation(self):
        page = pathlib.Path("docs/cycle-model.md").read_text()
        row = r"^\| (\d+) x (\d+), `(clb|div)`[^|]*\| ([\d,]+) \| ([\d,]+) \| ([+-]\d+) % \|"
        table = {(int(r), int(n), mode): (stated, int(model.replace(",", "")), int(error))
                 for r, n, mode, stated, model, error in re.findall(row, page, re.MULTILINE)}
        modelled = self.modelled()
        self.assertEqual(sorted(table), sorted(modelled))
        package = (PACKAGE / "op_impls" / "families" / "softmax" / "softmax.py").read_text()
        for cell, (stated, model, error) in table.items():
            with self.subTest(cell):
                stated = int(stated.replace(",", ""))
                self.assertEqual(model, modelled[cell])
                self.assertEqual(error, round(100 * (model / stated - 1)))
                self.assertRegex(package, rf"{cell[0]}x{cell[1]}: {stated}\b")


if __name__ == "__main__":
    unittest.main()
