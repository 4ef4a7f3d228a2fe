# SPDX-License-Identifier: Apache-2.0
"""hccs calibrate --save-rows and --rows FILE...: parts of one calibration. rows_test.py PATH_OF_HCCS [unittest
options]."""

import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np

import tiny_model
from cli_case import CliCase, hccs


class Rows(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-rows-"))
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.texts = tiny_model.sentences(60)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def text(self, name, texts):
        path = self.work / name
        path.write_text("".join(t + "\n" for t in texts))
        return path

    def part(self, name, texts, first, *options):
        out = self.work / (name + ".rows")
        self.succeeds(
            "calibrate",
            "--model",
            self.model,
            "--text",
            self.text(name, texts),
            "--first",
            first,
            "--save-rows",
            out,
            *options,
        )
        return out

    def test_parts_are_one_calibration_byte_for_byte(self):
        options = ("--seed", 5, "--rows", 64, "--max-length", 8)
        whole = self.text("whole.txt", self.texts)
        self.succeeds(
            "calibrate",
            "--model",
            self.model,
            "--text",
            whole,
            *options,
            "--knees",
            2,
            "-o",
            self.work / "whole.json",
            "--save-rows",
            self.work / "whole.rows",
        )
        cuts = [0, 13, 14, 45, 60]
        parts = [self.part(f"p{a}", self.texts[a:b], a, *options) for a, b in zip(cuts, cuts[1:])]
        for order in (parts, parts[::-1], [self.work / "whole.rows"]):
            out = self.work / "merged.json"
            self.succeeds("calibrate", "--rows", *order, "--knees", 2, "-o", out, "--threads", 1)
            self.assertEqual(out.read_bytes(), (self.work / "whole.json").read_bytes())
        self.assertEqual(json.loads(out.read_text())["seed"], 5)
        # Merged files may be saved and merged again; what is the same is the same file.
        self.succeeds("calibrate", "--rows", *parts[:2], "--save-rows", self.work / "two.rows")
        self.succeeds(
            "calibrate", "--rows", *parts[:1:-1], self.work / "two.rows", "--save-rows", self.work / "all.rows"
        )
        self.succeeds("calibrate", "--rows", self.work / "all.rows", "--knees", 2, "-o", out)
        self.assertEqual(out.read_bytes(), (self.work / "whole.json").read_bytes())

    def test_dumps(self):
        rng = np.random.default_rng(2)
        logits = rng.normal(0, 2, (2, 300, 12)).astype(np.float32)
        parts = []
        for name, rows in (("all", slice(None)), ("a", slice(0, 120)), ("b", slice(120, 300))):
            folder = self.work / name
            folder.mkdir()
            for head in range(2):
                np.save(folder / f"layer0_head{head}.npy", logits[head, rows])
            out = self.work / (name + ".rows")
            self.succeeds(
                "calibrate",
                "--logits",
                folder,
                "--name",
                "m",
                "--first",
                rows.start or 0,
                "--save-rows",
                out,
                "--rows",
                100,
            )
            parts.append(out)
        for name, files in (("one", parts[:1]), ("two", parts[1:])):
            self.succeeds("calibrate", "--rows", *files, "-o", self.work / (name + ".json"))
        one, two = (json.loads((self.work / (n + ".json")).read_text()) for n in ("one", "two"))
        self.assertNotEqual(one.pop("data_digest"), two.pop("data_digest"))  # a dump's digest is of its files
        self.assertEqual(one, two)

    def test_what_does_not_belong_together(self):
        a = self.part("a", self.texts[:30], 0)
        refused = {
            "same": ([self.part("same", self.texts[30:], 0)], ["number 0", "0..29", "--first 30"]),
            "overlap": ([self.part("overlap", self.texts[30:], 29)], ["number 29", "--first 30"]),
            "twice": ([a], ["number 0"]),
            "seed": ([self.part("seed", self.texts[30:], 30, "--seed", 1)], ["seed 1", "0"]),
            "rows": ([self.part("rows", self.texts[30:], 30, "--rows", 9)], ["rows kept a head 9", "4096"]),
            "length": ([self.part("length", self.texts[30:], 30, "--max-length", 9)], ["texts cut to 9", "32"]),
            "absent": ([self.work / "absent"], ["absent"]),
            "none": ([self.text("none", ["no file of rows"])], ["none"]),
            "model": ([self.model / "model.safetensors"], ['"format" is missing', "hccs-rows"]),
        }
        for name, (more, parts) in refused.items():
            with self.subTest(name):
                out = self.work / f"{name}.json"
                self.refused(hccs("calibrate", "--rows", a, *more, "-o", out), *parts)
                self.assertFalse(out.exists())

    def test_damaged_files(self):
        good = self.part("a", self.texts[:30], 0).read_bytes()
        size = int.from_bytes(good[:8], "little")
        header = json.loads(good[8 : 8 + size])

        def changed(edit, data=None):
            copy = json.loads(json.dumps(header))
            edit(copy)
            text = json.dumps(copy).encode()
            return len(text).to_bytes(8, "little") + text + (good[8 + size :] if data is None else data)

        def field(name, value):
            return changed(lambda h: h["__metadata__"].update({name: value}))

        def number_in(tensor, index, value, kind):
            data = bytearray(good[8 + size :])
            at = header[tensor]["data_offsets"][0] + index * np.dtype(kind).itemsize
            data[at : at + np.dtype(kind).itemsize] = np.array(value, kind).tobytes()
            return changed(lambda h: None, bytes(data))

        cases = {
            "version": (field("version", "2"), ["version 2", "knows version 1"]),
            "heads": (field("heads", "3"), ["heads"]),
            "no heads": (field("heads", "0"), ['"heads" is "0"']),
            "words": (field("layers", "two"), ["layers", "two"]),
            "capacity": (field("capacity", "3"), ["rows"]),
            "seed": (field("seed", "-1"), ["seed", "-1"]),
            "data": (field("data", "dreams"), ["data"]),
            "missing": (changed(lambda h: h["__metadata__"].pop("model")), ["model", "missing"]),
            "type": (changed(lambda h: h["ids"].update(dtype="I64")), ["ids", "I64", "U64"]),
            "kept": (number_in("kept", 0, 10**9, np.int64), ["1000000000"]),
            "kept below": (number_in("kept", 0, -1, np.int64), ["-1"]),
            "lengths": (number_in("lengths", 0, 0, np.int32), ["0 logits"]),
            "nan": (number_in("logits", 0, np.nan, np.float32), ["finite"]),
            "twice": (
                number_in(
                    "ids",
                    0,
                    int(np.frombuffer(good[8 + size :], np.uint64, 2, header["ids"]["data_offsets"][0])[1]),
                    np.uint64,
                ),
                ["twice"],
            ),
            "counts": (number_in("counts", 0, 0, np.int64), ["contradict"]),
            "parts": (number_in("parts", 1, 2**60, np.int64), ["part 0"]),
            "text": (number_in("text_lengths", 0, 2**50, np.int64), ["text 0"]),
            "cut": (good[:-1], []),
        }
        for name, (content, parts) in cases.items():
            with self.subTest(name):
                path = self.work / "damaged.rows"
                path.write_bytes(content)
                self.refused(hccs("calibrate", "--rows", path, "-o", self.work / "p.json"), path.name, *parts)

    def test_usage(self):
        a = self.part("a", self.texts[:30], 0)
        out = ("-o", self.work / "p.json")
        text = ("--text", self.work / "a")
        for arguments, part in (
            (("--rows", a, "--model", self.model, *text, *out), "without --model"),
            (("--rows", a, "--seed", 3, *out), "--seed"),
            (("--rows", a, "--first", 3, *out), "--first"),
            (("--rows", a, "--max-length", 9, *out), "--max-length"),
            (("--rows", a, "--name", "x", *out), "--name"),
            (("--rows", a, *text, *out), "--text"),
            (("--rows", a), "--output"),
            (("--rows", 0, "--model", self.model, *text, *out), "not in range"),
            (("--rows", 10**30, "--model", self.model, *text, *out), "not in range"),
            (("--rows", 5, *out), "exactly one of"),
            (("--model", self.model, *text), "--output"),
            (("--model", self.model, *text, "--save-rows", self.work / "r", "--json"), "--json"),
            (("--model", self.model, *text, "--first", -1, *out), "--first"),
        ):
            with self.subTest(arguments=arguments):
                self.refused(hccs("calibrate", *arguments), part, code=2)
        same = self.work / "same"
        for source, save in (
            (("--rows", a), same),
            (("--model", self.model, *text), self.model / "config.json"),
            (("--rows", a), a),
        ):
            self.refused(hccs("calibrate", *source, "--save-rows", save, "-o", same), save.name)
        self.assertFalse(same.exists())

    def test_paper_limits_and_rows_that_are_too_long(self):
        a = self.part("a", self.texts[:30], 0)
        paper = ("--limits", "paper", "--knees", 1, "-o", self.work / "p.json")
        self.refused(hccs("calibrate", "--rows", a, *paper, "--length", 5), "layer 0, head 0", "at most 5")
        self.succeeds("calibrate", "--rows", a, *paper, "--length", 32)


if __name__ == "__main__":
    unittest.main()
