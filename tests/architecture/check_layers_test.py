# SPDX-License-Identifier: Apache-2.0
"""check_layers.py on small trees that break one rule each."""
import pathlib
import tempfile
import unittest

import check_layers


class CheckLayers(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {"include/hccs/softmax.h": "", "include/hccs/params.h": "", **files}.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_layers.problems_of(pathlib.Path(folder))[0]

    def test_downward_includes_pass(self):
        self.assertEqual(self.problems({"src/softmax/a.cc": '#include "hccs/params.h"\n#include <vector>\n'}), [])

    def test_upward_includes_are_found_however_they_are_written(self):
        for include in ('#include "hccs/softmax.h"', "#include <hccs/softmax.h>", '  #  include "../../include/hccs/softmax.h"'):
            self.assertIn("src/contract/a.cc: includes include/hccs/softmax.h", self.problems({"src/contract/a.cc": include})[0])

    def test_kernels_know_no_contract(self):
        self.assertEqual(len(self.problems({"aie/kernels/a.h": '#include "hccs/params.h"\n'})), 1)

    def test_headers_and_folders_have_an_owner(self):
        self.assertIn("no folder owns", self.problems({"include/hccs/stranger.h": ""})[0])
        self.assertIn("MAY_INCLUDE", self.problems({"src/stranger/a.cc": ""})[0])

    def test_long_files_are_found(self):
        self.assertIn("601 lines", self.problems({"src/contract/a.cc": "\n" * 601})[0])
        self.assertEqual(self.problems({"src/contract/a.cc": "\n" * 600}), [])


if __name__ == "__main__":
    unittest.main()
