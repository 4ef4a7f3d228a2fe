# SPDX-License-Identifier: Apache-2.0
"""Which output hccs inspect advises by row length: inspect_test.py PATH_OF_HCCS [unittest options]."""
import json
import pathlib
import shutil
import tempfile
import unittest

from cli_case import HCCS, CliCase, hccs  # noqa: F401

PARAMS = {
    "format": "hccs-params", "version": 1, "model": "m", "layers": 1, "heads": 1, "head_dimension": 64, "sequence_length": 100, "knees": 1,
    "limits": "native", "share": "head", "seed": 0, "data_digest": "xxh3-128:0", "parameters": [
        {"layer": 0, "head": 0, "B": 4690, "knees": [[86, 40]], "step": 0.1, "kl": 0.01, "kl_continuous": 0.01, "rows": 10,
         "max_probability": 0.5, "default": False}]}


class Inspect(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-inspect-"))
        cls.params = cls.root / "params.json"
        cls.params.write_text(json.dumps(PARAMS))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def advice(self, *length):
        text = self.succeeds("inspect", self.params, *length).stdout
        lines = [line for line in text.splitlines() if line.startswith("output: ")]
        self.assertEqual(len(lines), 1, text)
        return lines[0], json.loads(self.succeeds("inspect", self.params, "--json", *length).stdout)["output"]

    def test_short_rows_take_uint8(self):
        for n in (1, 16, 64):
            line, fields = self.advice("--length", n)
            self.assertTrue(line.startswith("output: uint8: rounding to uint8 moves at most "), line)
            self.assertEqual((fields["length"], fields["advised"]), (n, "uint8"))
            self.assertAlmostEqual(fields["uint8_rounding"], 0.52 * n / 510)

    def test_long_rows_take_int16_or_deferred_normalisation(self):
        for n in (65, 128, 256, 512, 65536):
            line, fields = self.advice("--length", n)
            self.assertTrue(line.startswith("output: int16, or attention with deferred normalisation: "), line)
            self.assertEqual((fields["length"], fields["advised"]), (n, "int16"))
            self.assertAlmostEqual(fields["uint8_rounding"], min(1, 0.52 * n / 510))
        self.assertIn("at most 13 % of a row's mass", self.advice("--length", 128)[0])

    def test_normalisations_by_row_length(self):
        """B = 4690: int16 `div` and `clb` serve n*B <= 32767, uint8 what the definition gives 1 or more of equal logits."""
        def flat(normalisation, bits, n):
            z = n * 4690
            if bits == 16:
                return 4690 * (32767 // z if normalisation == "div" else 32767 >> (z.bit_length() - 1))
            return 4690 * (8355840 // z if normalisation == "div" else 8355840 >> (z.bit_length() - 1)) >> 15

        longest = {f"{m} to {t}": max(n for n in range(1, 600) if flat(m, bits, n) > 0)
                   for t, bits in (("int16", 16), ("uint8", 8)) for m in ("div", "clb")}
        self.assertEqual(longest["div to int16"], 6)
        for n in (1, 6, 7, 128, max(longest.values()), 65536):
            lines = self.succeeds("inspect", self.params, "--length", n).stdout.splitlines()
            told = [line for line in lines if line.startswith("normalisation: ")]
            broken = [f"{name} beyond n = {most}" for name, most in longest.items() if n > most]
            expected = "scaled; rows may get 0 everywhere by " + ", ".join(broken) if broken else "any"
            self.assertEqual(told, ["normalisation: " + expected])
        fields = json.loads(self.succeeds("inspect", self.params, "--json", "--length", 7).stdout)["normalisation"]
        self.assertEqual((fields["length"], fields["longest_row"]["div"]["int16"]), (7, 6))
        self.assertEqual(fields["longest_row"]["scaled"], {"int16": 65536, "uint8": 65536})
        self.assertEqual(fields["longest_row"]["clb"]["uint8"], longest["clb to uint8"])

    def test_the_default_is_the_longest_calibrated_row(self):
        self.assertEqual(self.advice()[1]["length"], 100)


if __name__ == "__main__":
    unittest.main(argv=["inspect_test.py", *__import__("sys").argv[2:]])
