# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program share: running it, and what a clean success or refusal is."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HCCS = os.path.abspath(sys.argv.pop(1))  # every test file is run as FILE PATH_OF_HCCS [unittest options]


def hccs(*arguments, **options):
    return subprocess.run([HCCS, *map(str, arguments)], capture_output=True, text=True, timeout=1200, **options)


CYCLES = "--kernel" in hccs("cycles", "--help").stdout
HAS_TRAINER = "training: yes" in hccs("--version").stdout
needs_cycles = unittest.skipUnless(CYCLES, "this hccs was built without HCCS_AIE_TRACES")
needs_trainer = unittest.skipUnless(HAS_TRAINER, "this hccs was built without libtorch")


class CliCase(unittest.TestCase):
    """Each test has an empty folder `work`, in the `root` that setUpClass makes."""

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(dir=self.root))

    def refused(self, result, *parts, code=1):
        """The run failed cleanly: its exit code, one message on stderr with these parts, nothing on stdout."""
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        for part in parts:
            self.assertIn(str(part), result.stderr)

    def succeeds(self, *arguments, **options):
        result = hccs(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result
