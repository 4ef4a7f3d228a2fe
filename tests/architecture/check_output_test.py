# SPDX-License-Identifier: Apache-2.0
"""check_output.py on lines that break a rule each, and on lines that do not."""
import pathlib
import tempfile
import unittest

import check_output


class CheckOutput(unittest.TestCase):
    def problems(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(text)
            return check_output.problems_of(pathlib.Path(folder))[0]

    def test_code_that_prints_is_found(self):
        for line in ("std::cerr << x;", "fmt::print(\"a\");", "fmt::print(stderr, \"a\");", "std::fprintf(stderr, \"a\");", "printf(\"a\");",
                     "std::perror(\"a\");", "puts(\"a\");", "write(STDERR_FILENO, a, 1);", "std::cout << x;"):
            for path in ("tools/hccs/a.cc", "src/formats/a.cc", "training/a.h"):
                self.assertEqual(len(self.problems(path, "int a;\n" + line + "\n")), 1, line)

    def test_other_code_passes(self):
        for line in ("std::snprintf(a, 3, b);", "print(\"a\");", "message(\"stderr\");", "// stderr", "x.printf_like(a);"):
            self.assertEqual(self.problems("tools/hccs/a.cc", line + "\n"), [], line)
        self.assertEqual(self.problems("tools/hccs/console.cc", "write(STDERR_FILENO, a, 1);\n"), [])
        self.assertEqual(self.problems("bench/a.cc", "std::fputs(a, stderr);\n"), [])

    def test_programs_do_not_throw_where_they_print(self):
        self.assertEqual(len(self.problems("bench/a.cc", "fmt::print(stderr, a);\n")), 1)
        self.assertEqual(len(self.problems("tools/hccs/console.cc", "fmt::print(stderr, a);\n")), 1)


if __name__ == "__main__":
    unittest.main()
