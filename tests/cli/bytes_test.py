# SPDX-License-Identifier: Apache-2.0
"""What enters as bytes: encodings, labels, dumps. bytes_test.py PATH_OF_HCCS [unittest options]. Needs NumPy."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

import tiny_model
from cli_case import HCCS, CliCase, hccs, needs_trainer

CP1252 = "Café très bon\nça va\n".encode("cp1252")
BOM = b"\xef\xbb\xbf"


def task_lines(count=40):
    return "".join(f"{'yes' if i % 2 else 'no'}\tthe {'large' if i % 2 else 'small'} animal {i}\n" for i in range(count))


class Bytes(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-bytes-"))
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.lines = cls.root / "lines.txt"
        cls.lines.write_text("\n".join(tiny_model.sentences(60)) + "\n")
        cls.dumps = tiny_model.write_dumps(cls.root / "dumps")
        cls.params = cls.root / "params.json"
        done = hccs("calibrate", "--logits", cls.dumps, "-o", cls.params)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def put(self, name, content):
        path = self.work / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    # ---- encodings -------------------------------------------------------------------------------

    def test_every_command_that_reads_texts_refuses_another_encoding(self):
        text = self.put("cp1252.txt", CP1252)
        out = self.work / "out"
        for command in (["embed"], ["calibrate"], ["logits"]):
            with self.subTest(command=command):
                self.refused(hccs(*command, "--model", self.model, "--text", text, "-o", out), text, "line 1", "byte 0xE9",
                             "offset 3", '"Caf\\xE9 tr\\xE8s bon"', "Windows-1252", "Café")
        utf16 = self.put("utf16.txt", "the cat\n".encode("utf-16"))
        self.refused(hccs("embed", "--model", self.model, "--text", utf16, "-o", out), utf16, "UTF-16", "iconv")
        utf16 = self.put("utf16le.txt", "the cat\n".encode("utf-16-le"))
        self.refused(hccs("embed", "--model", self.model, "--text", utf16, "-o", out), utf16, "UTF-16LE")
        cut = self.put("cut.txt", "the café".encode()[:-1] + b"\n")
        self.refused(hccs("embed", "--model", self.model, "--text", cut, "-o", out), cut, "line 1", "0xC3")
        self.assertFalse(out.exists())

    def test_wordnet_vocabulary_and_json_too(self):
        tiny_model.write_wordnet(self.work / "data.noun")
        content = (self.work / "data.noun").read_bytes()
        wordnet = self.put("data.noun", content.replace(b"word7 ", b"w\xf6rd7 "))
        self.refused(hccs("calibrate", "--model", self.model, "--task", "wordnet", "--wordnet", wordnet, "-o",
                          self.work / "p.json"), wordnet, "line 9", "0xF6")
        model = self.work / "model"
        shutil.copytree(self.model, model)
        vocabulary = (model / "vocab.txt").read_bytes()
        (model / "vocab.txt").write_bytes(vocabulary.replace(b"animal", b"anim\xe4l"))
        embed = ["embed", "--model", model, "--text", self.lines, "-o", self.work / "e.npy"]
        self.refused(hccs(*embed), model / "vocab.txt", "line 12", "0xE4")
        (model / "vocab.txt").write_bytes(BOM + vocabulary)
        self.succeeds(*embed)
        config = (model / "config.json").read_bytes()
        (model / "config.json").write_bytes(config.decode().encode("utf-16"))
        self.refused(hccs(*embed), model / "config.json", "UTF-16")
        (model / "config.json").write_bytes(BOM + config)
        self.succeeds(*embed)
        params = self.put("p.json", self.params.read_text().replace('"dumps"', '"dümps"').encode("latin1"))
        self.refused(hccs("inspect", params), params, "line 4", "0xFC")

    def test_a_byte_order_mark_is_no_text_and_line_ends_may_be_any(self):
        texts = "the large animal\nthe small plant\n"
        plain = self.put("plain.txt", texts)
        expected = None
        for name, content in (("plain", texts.encode()), ("bom", BOM + texts.encode()), ("crlf", texts.replace("\n", "\r\n").encode()),
                              ("cr", texts.replace("\n", "\r").encode())):
            with self.subTest(name=name):
                text = self.put(f"{name}.txt", content)
                self.succeeds("embed", "--model", self.model, "--text", text, "-o", self.work / f"{name}.npy")
                got = np.load(self.work / f"{name}.npy")
                self.assertEqual(got.shape, (2, tiny_model.HIDDEN))
                expected = got if expected is None else expected
                self.assertTrue((got == expected).all())
        with open(plain, "rb") as stdin:
            run = subprocess.run([HCCS, "embed", "--model", self.model, "--text", "-", "-o", self.work / "stdin.npy"],
                                 stdin=stdin, capture_output=True, text=True, timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue((np.load(self.work / "stdin.npy") == expected).all())
        run = subprocess.run([HCCS, "embed", "--model", self.model, "--text", "-", "-o", self.work / "stdin.npy"],
                             input=CP1252, capture_output=True, timeout=300)
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"standard input: line 1: byte 0xE9", run.stderr)

    # ---- labels ----------------------------------------------------------------------------------

    def train(self, content, *arguments, dev=None):
        train = self.put("train.tsv", content)
        dev = self.put("dev.tsv", dev if dev is not None else task_lines())
        out = self.work / "trained"
        return hccs("train", "--train", train, "--dev", dev, "--model", self.model, "--epochs", 1, "--batch", 8,
                    "--threads", 1, "-o", out, *arguments)

    def classes(self):
        return list(json.loads((self.work / "trained" / "config.json").read_text())["id2label"].values())

    @needs_trainer
    def test_labels_of_a_training_file(self):
        done = self.train(BOM + task_lines().encode())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.classes(), ["no", "yes"])
        self.assertIn('train: 40 examples; classes: "no" 20, "yes" 20', done.stderr)
        self.assertIn('dev: 40 examples; classes: "no" 20, "yes" 20', done.stderr)
        self.assertNotIn("warning", done.stderr)
        shutil.rmtree(self.work / "trained")

        lines = task_lines()
        for bad, parts in (
                (lines.replace("yes\tthe large animal 31", "yes \tthe large animal 31"), ['"yes "', '"yes"', "look the same"]),
                ("label\ttext\n" + lines, ["line 1", "header", "tail -n +2"]),
                (lines.replace("yes", "très").encode("latin1"), ["line 2", "0xE8", "Windows-1252"])):
            with self.subTest(parts=parts):
                self.refused(self.train(bad), self.work / "train.tsv", *parts)
                self.assertFalse((self.work / "trained").exists())

        done = self.train("mood\tthe animal\n" + lines + "maybe \tthe plant\n", "--max-length", 4)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('warning: train: class "mood" has one example, line 1: is that line a header?', done.stderr)
        self.assertIn('warning: train: class "maybe " has one example, line 42', done.stderr)
        self.assertIn('class "maybe ": there are blanks', done.stderr)
        self.assertRegex(done.stderr, r"warning: \d+ of 42 texts of train truncated to 4 tokens")
        self.assertRegex(done.stderr, r"warning: \d+ of 40 texts of dev truncated to 4 tokens")

    @needs_trainer
    def test_labels_of_an_evaluated_file(self):
        done = self.train(task_lines())
        self.assertEqual(done.returncode, 0, done.stderr)
        evaluate = ["evaluate", "--model", self.work / "trained", "--task"]
        marked = self.put("marked.tsv", BOM + task_lines().encode())
        done = self.succeeds(*evaluate, marked, "--max-length", 4)
        self.assertIn('marked: 40 examples; classes: "no" 20, "yes" 20', done.stderr)
        self.assertRegex(done.stderr, r"warning: \d+ of 40 texts of marked truncated to 4 tokens")
        for content, parts in (("yes\u00a0\tthe animal\n", ['"yes\\u00a0"', '"yes" looks like it']),
                               ("label\ttext\n" + task_lines(), ["line 1", '"label"', "header"])):
            task = self.put("task.tsv", content)
            self.refused(hccs(*evaluate, task), task, *parts)

    # ---- dumps -----------------------------------------------------------------------------------

    def dump(self, name, logits, lengths=None):
        folder = self.work / name
        folder.mkdir()
        np.save(folder / "layer0_head0.npy", logits)
        if lengths is not None:
            np.save(folder / "lengths.npy", lengths)
        return folder

    def test_types_of_dumps(self):
        rng = np.random.default_rng(3)
        logits = np.round(rng.normal(0, 2, (200, 16)) * 64).astype(np.float32) / 64  # exact as float16
        lengths = rng.integers(4, 17, 200)
        expected = None
        for name, x, l in (("f4", logits, lengths.astype(np.int32)), ("i8", logits, lengths), ("f2", logits.astype(np.float16), lengths),
                           ("f8", logits.astype(np.float64), lengths.astype(np.uint8)), ("be", logits.astype(">f4"), lengths.astype(">i2")),
                           ("fortran", np.asfortranarray(logits), lengths)):
            with self.subTest(name=name):
                out = self.work / f"{name}.json"
                self.succeeds("calibrate", "--logits", self.dump(name, x, l), "--name", "same", "--knees", 1, "-o", out)
                expected = expected or out.read_bytes()
                self.assertEqual(out.read_bytes(), expected)
        full = self.work / "full.json"
        done = self.succeeds("calibrate", "--logits", self.dump("absent", logits), "--name", "same", "--knees", 1, "-o", full)
        self.assertIn("no lengths.npy", done.stderr)
        self.succeeds("calibrate", "--logits", self.dump("all", logits, np.full(200, 16)), "--name", "same", "--knees", 1, "-o",
                      self.work / "all.json")
        self.assertEqual(full.read_bytes(), (self.work / "all.json").read_bytes())

    def test_a_missing_dump_is_named(self):
        folder = tiny_model.write_dumps(self.work / "dumps", layers=2, heads=2)
        (folder / "layer0_head1.npy").unlink()
        for command in (["calibrate", "-o", self.work / "p.json"], ["evaluate", "--params", self.params]):
            self.refused(hccs(*command, "--logits", folder), "layer0_head1.npy is missing")
        (folder / "layer0_head1.npy").symlink_to("../blobs/0123")
        self.refused(hccs("calibrate", "-o", self.work / "p.json", "--logits", folder), "layer0_head1.npy")

    def masked(self, name, fill):
        """Rows of 32 logits of which `fill` makes all but the first 6 to 24."""
        rng = np.random.default_rng(1)
        logits = rng.normal(0, 2, (150, 32)).astype(np.float32)
        lengths = rng.integers(6, 25, 150)
        for row, length in zip(logits, lengths):
            row[length:] = fill(row[length:])
        return self.dump(name, logits), lengths

    def test_masks_padding_and_probabilities_are_no_logits(self):
        fills = {"minus100": lambda x: -100, "minus10000": lambda x: -1e4, "lowest": lambda x: np.finfo(np.float32).min,
                 "added": lambda x: x - 1e4, "padding": lambda x: 0, "half": lambda x: -65504, "minus20": lambda x: -20}
        for name, fill in fills.items():
            with self.subTest(name=name):
                folder, lengths = self.masked(name, fill)
                out = self.work / f"{name}.json"
                self.refused(hccs("calibrate", "--logits", folder, "-o", out), "layer 0, head 0", "lengths.npy")
                self.assertFalse(out.exists())
                self.refused(hccs("evaluate", "--logits", folder, "--params", self.params), "1 layers of 2 heads")
                if name not in ("minus100", "padding"):
                    continue
                done = self.succeeds("calibrate", "--logits", folder, "--knees", 1, "--implausible", "report", "-o", out)
                self.assertIn("warning: layer 0, head 0", done.stderr)
                self.refused(hccs("evaluate", "--logits", folder, "--params", out), "layer0_head0.npy", "lengths.npy")
                np.save(folder / "lengths.npy", lengths)  # the advice helps
                self.assertNotIn("warning", self.succeeds("calibrate", "--logits", folder, "--knees", 1, "-o", out).stderr)
        folder, _ = self.masked("inf", lambda x: -np.inf)
        self.refused(hccs("calibrate", "--logits", folder, "-o", self.work / "p.json"), "150 of 150 rows", "-inf", "lengths.npy")
        exponentials = np.exp(np.random.default_rng(2).normal(0, 2, (300, 16)))
        folder = self.dump("probabilities", exponentials / exponentials.sum(1, keepdims=True))
        self.refused(hccs("calibrate", "--logits", folder, "-o", self.work / "p.json"), "sums to 1", "probabilities")

    def test_few_and_shifted_rows_are_pointed_out(self):
        rng = np.random.default_rng(5)
        logits = (rng.normal(0, 1, (400, 48)) * rng.gamma(2, 1.5, (400, 1))).astype(np.float32)
        for count, parts in ((1, ["1 row, fewer than 128"]), (4, ["4 rows, fewer than 128", "halves of them that were held out"])):
            done = self.succeeds("calibrate", "--logits", self.dump(f"few{count}", logits[:count]), "--knees", 1, "-o", self.work / "p.json")
            for part in parts:
                self.assertIn(part, done.stderr)
        report = json.loads(self.succeeds("calibrate", "--logits", self.work / "few4", "--knees", 1, "--json", "-o", self.work / "p.json").stdout)
        self.assertGreater(report["fits"][0]["kl_held_out"], report["fits"][0]["kl"])
        self.assertEqual(report["fits"][0]["findings"][0]["kind"], "few-rows")
        done = self.succeeds("calibrate", "--logits", self.dump("all", logits), "--knees", 1, "-o", self.work / "p.json")
        self.assertNotIn("warning", done.stderr)
        shifted = self.dump("shifted", (logits + rng.normal(0, 300, (400, 1))).astype(np.float32))
        done = self.succeeds("calibrate", "--logits", shifted, "--knees", 1, "-o", self.work / "p.json")
        self.assertIn("maxima spread", done.stderr)
        self.assertIn("centre the keys", done.stderr)

    # ---- evaluate --logits -----------------------------------------------------------------------

    def test_evaluate_dumps(self):
        held_out = tiny_model.write_dumps(self.work / "held-out", seed=9)
        out = self.work / "e.json"
        done = self.succeeds("evaluate", "--logits", held_out, "--params", self.params, "--json", out)
        self.assertNotIn("warning", done.stderr)
        report = json.loads(out.read_text())["files"][0]
        self.assertTrue(report["held_out"])
        entries = json.loads(self.params.read_text())["parameters"]
        lengths = np.load(held_out / "lengths.npy")
        for head, entry in zip(report["heads"], entries):
            logits = np.load(held_out / f"layer0_head{head['head']}.npy").astype(float)
            kl, agree, error = [], [], 0
            for row, length in zip(logits, lengths):
                x = row[:length]
                q = np.clip(np.rint(x / entry["step"]), -128, 127).astype(int)
                s = np.array([entry["B"] - sum(S * min(d, D) for S, D in entry["knees"]) for d in q.max() - q])
                charged = s if s.min() > 0 else s + entry["B"] / 65536
                z = int(s.sum())
                k = z.bit_length() - 1
                p = (s * ((32640 << k) // z) + (1 << (k + 6))) >> (k + 7)
                exact = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
                kl.append((exact * np.log(exact / (charged / charged.sum()))).sum())
                agree.append(p.argmax() == x.argmax())
                error = max(error, abs(p / 255 - exact).max())
            self.assertAlmostEqual(head["kl_mean"], np.mean(kl), places=9)
            self.assertAlmostEqual(head["top1_agreement"], np.mean(agree), places=12)
            self.assertAlmostEqual(head["largest_error"], error, places=9)
            self.assertEqual(head["rows"], 200)
        self.assertAlmostEqual(report["kl_mean"], np.mean([h["kl_mean"] for h in report["heads"]]), places=12)
        self.assertEqual(report["largest_error"], max(h["largest_error"] for h in report["heads"]))
        self.assertIn(f"mean KL {report['kl_mean']:.5f} nat", done.stdout)

        done = self.succeeds("evaluate", "--logits", self.dumps, "--params", self.params, self.params)
        self.assertIn("calibrated on, so nothing is held out", done.stderr)
        self.assertEqual(done.stdout.count("top-1 agreement"), 2)

    def test_wrong_usage_of_evaluate(self):
        for arguments in (["--logits", self.dumps], ["--params", self.params], ["--model", self.model],
                          ["--model", self.model, "--logits", self.dumps, "--params", self.params],
                          ["--logits", self.dumps, "--params", self.params, "--task", "wordnet"],
                          ["--model", self.model, "--task", "wordnet", "--params", self.params, "--implausible", "report"]):
            with self.subTest(arguments=arguments):
                self.refused(hccs("evaluate", *arguments), "--help", code=2)

    # ---- softmax of floats -----------------------------------------------------------------------

    def softmax(self, logits, *arguments):
        np.save(self.work / "x.npy", logits)
        return hccs("softmax", "--in", self.work / "x.npy", "-o", self.work / "p.npy", *arguments)

    def test_softmax_of_float_logits(self):
        by_file = ["--params", self.params, "--layer", 0, "--head", 1]
        step = json.loads(self.params.read_text())["parameters"][1]["step"]
        rng = np.random.default_rng(4)
        logits = rng.normal(0, 3, (40, 32))
        logits[0, :4] = np.array([0.5, 1.5, -0.5, 300]) * step  # ties go to even, and int8 ends
        self.assertEqual(self.softmax(np.clip(np.rint(logits / step), -128, 127).astype(np.int8), *by_file).returncode, 0)
        expected = np.load(self.work / "p.npy")
        for kind in (np.float64, np.float32, np.float16, ">f8"):
            with self.subTest(kind=kind):
                x = logits.astype(kind)
                self.assertEqual(self.softmax(np.clip(np.rint(x.astype(float) / step), -128, 127).astype(np.int8), *by_file).returncode, 0)
                expected = np.load(self.work / "p.npy")
                done = self.softmax(x, *by_file)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue((np.load(self.work / "p.npy") == expected).all())
        done = self.softmax(logits, "--exact-step", step)
        self.assertEqual(done.returncode, 0, done.stderr)

        self.refused(self.softmax(logits, "--offset", 9, "--knee", "1:5"), "float64", "int8", "--params")
        lengths = np.full(40, 20)  # int64
        np.save(self.work / "l.npy", lengths)
        np.save(self.work / "m.npy", np.arange(32) < np.full((40, 1), 20))  # bool
        masked = logits.copy()
        masked[:, 20:] = -np.inf
        self.refused(self.softmax(masked, *by_file), "row 0, position 20", "-inf", "--valid-lengths")
        expected = None
        for mask in (["--valid-lengths", self.work / "l.npy"], ["--mask", self.work / "m.npy"]):
            done = self.softmax(masked, *by_file, *mask)
            self.assertEqual(done.returncode, 0, done.stderr)
            got = np.load(self.work / "p.npy")
            self.assertTrue((got[:, 20:] == 0).all())
            expected = got if expected is None else expected
            self.assertTrue((got == expected).all())
        masked[:, 20:] = -1e4
        self.refused(self.softmax(masked, *by_file), "-10000", "--valid-lengths")
        self.assertIn("warning", self.softmax(masked, *by_file, "--implausible", "report").stderr)
        masked[3, 3] = np.nan
        self.refused(self.softmax(masked, *by_file, "--valid-lengths", self.work / "l.npy"), "row 3, position 3", "nan")


if __name__ == "__main__":
    unittest.main()
