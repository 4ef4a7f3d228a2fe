# SPDX-License-Identifier: Apache-2.0
"""hccs train and hccs evaluate --task FILE as a user meets them: train_test.py PATH_OF_HCCS [unittest options]."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from cli_case import HAS_TRAINER, HCCS, CliCase, hccs

WORDS = "good fine bad poor film plot the and".split()


def examples(count, seed, pairs=False):
    """label<TAB>text lines: yes where good and fine outnumber bad and poor."""
    rng = random.Random(seed)
    lines = []
    while len(lines) < count:
        words = [rng.choice(WORDS) for _ in range(rng.randint(2, 10))]
        score = sum((w in WORDS[:2]) - (w in WORDS[2:4]) for w in words)
        if score == 0:
            continue
        cut = rng.randint(1, len(words) - 1)
        text = " ".join(words[:cut]) + "\t" + " ".join(words[cut:]) if pairs else " ".join(words)
        lines.append(("yes" if score > 0 else "no") + "\t" + text)
    return "\n".join(lines) + "\n"


class Train(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-train-"))
        cls.vocabulary = cls.root / "vocab.txt"
        cls.vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + WORDS) + "\n")
        for name, count, seed in (("train", 200, 1), ("dev", 80, 2), ("test", 120, 3)):
            (cls.root / f"{name}.tsv").write_text(examples(count, seed))
            (cls.root / f"{name}-pairs.tsv").write_text(examples(count, seed, True))
        cls.scratch = ["--vocabulary", cls.vocabulary, "--hidden", 16, "--positions", 24]
        cls.float = cls.root / "float"
        done = hccs("train", *cls.files(), *cls.scratch, *cls.options(epochs=6), "-o", cls.float)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    @classmethod
    def files(cls, suffix=""):
        return ["--train", cls.root / f"train{suffix}.tsv", "--dev", cls.root / f"dev{suffix}.tsv", "--test",
                cls.root / f"test{suffix}.tsv"]

    @staticmethod
    def options(**changes):
        values = dict({"epochs": 2, "batch": 16, "learning-rate": 0.01, "threads": 2}, **changes)
        return [x for name, value in values.items() for x in (f"--{name.replace('_', '-')}", value)]

    def report(self, folder):
        return json.loads((folder / "training.json").read_text())

    def evaluated(self, folder, name, softmax, *arguments):
        out = self.work / "evaluation.json"
        self.succeeds("evaluate", "--model", folder, "--task", self.root / name, "--json", out, *arguments)
        return {r["softmax"]: r["accuracy"] for r in json.loads(out.read_text())["rows"]}[softmax]

    def test_the_folder_evaluates_to_the_trainers_accuracy(self):
        self.assertGreater(self.report(self.float)["accuracy"]["test"], 0.85)
        self.assertEqual(self.report(self.float)["accuracy"]["test"], self.evaluated(self.float, "test.tsv", "float"))
        paper = ["--limits", "paper", "--length", 24]
        for softmax, row, extra, chosen in (
            ("hccs", "hccs-k1", [], []),
            ("hccs", "hccs-k1-u8-clb", ["--normalisation", "clb"], ["--normalisation", "clb"]),
            ("hccs", "hccs-k1-i16-scaled", ["--output-type", "int16"], ["--output-type", "int16"]),
            ("hccs", "paper-i16-div", [*paper, "--normalisation", "div", "--output-type", "int16"], []),
            ("hccs", "paper-u8-scaled", paper, ["--normalisation", "scaled", "--output-type", "uint8"]),
            ("int8-exact", "int8-exact", ["--quantise", "all"], []),
            ("hccs", "hccs-k1", ["--quantise", "all", "--learnable"], []),
        ):
            with self.subTest(softmax=softmax, extra=extra):
                out = self.work / f"m{len(list(self.work.iterdir()))}"
                stderr = self.succeeds("train", *self.files(), "--model", self.float, "--softmax", softmax, *extra,
                                       *self.options(epochs=1), "-o", out).stderr
                report = self.report(out)
                for name in ("dev", "test"):
                    accuracy = self.evaluated(out, f"{name}.tsv", row, "--params", out / "params.json", *chosen)
                    self.assertEqual(report["dev_accuracy"] if name == "dev" else report["accuracy"]["test"], accuracy)
                # The command that it prints for that.
                commands = [line.split() for line in stderr.splitlines() if line.startswith("  hccs evaluate")]
                self.assertEqual(len(commands), 2 if "all" in extra and softmax == "hccs" else 1)
                command = commands[0]
                self.succeeds(*command[1:], "--json", self.work / "printed.json")
                rows = json.loads((self.work / "printed.json").read_text())["rows"]
                self.assertIn(report["accuracy"]["test"], [r["accuracy"] for r in rows if r["softmax"].startswith(row)])
        self.refused(hccs("evaluate", "--model", self.float, "--task", self.root / "test.tsv", "--normalisation", "clb"),
                     "need --params", code=2)

    def test_the_integer_model_evaluates_to_the_trainers_accuracy(self):
        for suffix, epochs in (("", 1), ("-pairs", 1), ("", 0)):
            with self.subTest(suffix=suffix, epochs=epochs):
                start = self.float
                if suffix:
                    start = self.work / "float-pairs"
                    self.succeeds("train", *self.files(suffix), *self.scratch, *self.options(epochs=3), "-o", start)
                out = self.work / f"integers{suffix}{epochs}"
                done = self.succeeds("train", *self.files(suffix), "--model", start, "--softmax", "hccs", "--quantise", "all",
                                     *self.options(**{"epochs": epochs, "learning-rate": 0.001}), "--json", self.work / "result.json", "-o", out)
                command = done.stderr.splitlines()[-1].split()
                self.assertEqual(command[:5], ["hccs", "evaluate", "--model", str(out / "model.hccs"), "--task"])
                self.succeeds(*command[1:], "--json", self.work / "integers.json")
                (row,) = json.loads((self.work / "integers.json").read_text())["rows"]
                report = self.report(out)
                if epochs == 0:
                    self.assertNotIn("integer_accuracy", report)
                    continue
                self.assertEqual(report["integer_accuracy"], {"test": row["accuracy"]})
                accuracies = json.loads((self.work / "result.json").read_text())["accuracies"]
                self.assertEqual([a.get("integer_accuracy") for a in accuracies], [None, row["accuracy"]])
                self.assertIn(f"{row['accuracy']:.4f}", done.stdout.splitlines()[-1].split()[-1])
                self.assertLess(abs(row["accuracy"] - report["accuracy"]["test"]), 0.05)
        # It is part of a model, which the next run does not overwrite.
        for path in out.iterdir():
            if path.name != "model.hccs":
                path.unlink()
        self.refused(hccs("train", *self.files(), *self.scratch, *self.options(), "-o", out), "model.hccs")
        # Where there can be none, the run says so and is no failure.
        modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                   {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
        start = self.work / "max"
        shutil.copytree(self.float, start)
        (start / "1_Pooling").mkdir()
        (start / "modules.json").write_text(json.dumps(modules))
        (start / "1_Pooling" / "config.json").write_text(json.dumps(
            {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}))
        out = self.work / "without"
        done = self.succeeds("train", *self.files(), "--model", start, "--softmax", "hccs", "--quantise", "all",
                             *self.options(epochs=1), "-o", out)
        self.assertIn("no model.hccs: ", done.stderr)
        self.assertIn("pooling", done.stderr)
        self.assertFalse((out / "model.hccs").exists())
        self.assertNotIn("integer_accuracy", self.report(out))

    def test_a_classifier_of_pairs_in_integers(self):
        """hccs calibrate and hccs quantise read pairs as hccs classify does."""
        model = self.work / "pairs"
        self.succeeds("train", *self.files("-pairs"), *self.scratch, *self.options(epochs=3), "-o", model)
        lines = [line.split("\t") for line in (self.root / "train-pairs.tsv").read_text().splitlines()]
        pairs, joined = self.work / "pairs.txt", self.work / "joined.txt"
        pairs.write_text("".join(f"{a}\t{b}\n" for _, a, b in lines))
        joined.write_text("".join(f"{a} {b}\n" for _, a, b in lines))
        digests = []
        for text in (pairs, joined):
            self.succeeds("calibrate", "--model", model, "--text", text, "--knees", 2, "-o", self.work / "p.json")
            params = json.loads((self.work / "p.json").read_text())
            digests.append(params["parameters"])
            self.succeeds("quantise", "--model", model, "--text", text, "--params", self.work / "p.json", "-o", self.work / "m.hccs")
            digests.append((self.work / "m.hccs").read_bytes())
        self.assertNotEqual(digests[0], digests[2])
        self.assertNotEqual(digests[1], digests[3])
        self.refused(hccs("calibrate", "--model", model, "--text", pairs, "--max-length", 2, "-o", self.work / "x.json"),
                     "a pair of texts has 3 tokens")

    def test_progress(self):
        result = self.succeeds("train", *self.files(), *self.scratch, *self.options(epochs=2), "-o", self.work / "m")
        lines = [l for l in result.stderr.splitlines() if l.startswith("step ")]
        last = re.fullmatch(r"step 26/26, loss (\d+\.\d{4}), dev accuracy (0\.\d{4}) \(best (0\.\d{4})\), (\d+) tokens/s, 0 s left", lines[-1])
        self.assertIsNotNone(last, lines)
        self.assertTrue(0 < float(last[1]) < 2 and float(last[2]) <= float(last[3]) and int(last[4]) > 0, last[0])
        self.assertRegex(lines[0], r"^step 1/26, loss 0\.\d{4}, \d+ tokens/s, \d+ s left$")
        self.assertEqual(self.report(self.work / "m")["history"][-1]["dev_accuracy"], float(last[2]))

    def test_chosen_softmaxes_alone(self):
        out, params = self.work / "m", self.work / "m" / "params.json"
        self.succeeds("train", *self.files(), "--model", self.float, "--softmax", "hccs", *self.options(epochs=0), "-o", out)

        def rows(*chosen):
            self.succeeds("evaluate", "--model", out, "--params", params, "--task", self.root / "test.tsv", *chosen, "--json", self.work / "e.json")
            return json.loads((self.work / "e.json").read_text())["rows"]

        every = {r["softmax"]: r for r in rows()}
        self.assertEqual(list(every), ["float", "int8-exact", "hccs-k1"])
        self.assertEqual(rows("--softmax", "hccs", "--softmax", "float"), [every["float"], every["hccs-k1"]])
        for softmax, name in (("hccs", "hccs-k1"), ("int8-exact", "int8-exact")):
            (row,) = rows("--softmax", softmax)
            self.assertEqual(row, {k: v for k, v in every[name].items() if not k.startswith("difference_")})
        evaluate = ["evaluate", "--model", out, "--task", self.root / "test.tsv"]
        self.refused(hccs(*evaluate, "--softmax", "hccs"), "--softmax hccs needs --params", code=2)
        self.refused(hccs(*evaluate, "--params", params, "--softmax", "exact"), "exact not in", code=2)
        self.refused(hccs("evaluate", "--model", out, "--params", params, "--task", "wordnet", "--softmax", "hccs"),
                     "nearest neighbours are compared with those of float", code=2)

    def test_pairs(self):
        out = self.work / "pairs"
        self.succeeds("train", *self.files("-pairs"), *self.scratch, *self.options(epochs=6), "-o", out)
        self.assertGreater(self.report(out)["accuracy"]["test"], 0.75)
        self.assertEqual(self.report(out)["accuracy"]["test"], self.evaluated(out, "test-pairs.tsv", "float"))

    def test_a_killed_run_resumes_to_the_same_weights(self):
        arguments = ["train", *self.files(), "--model", self.float, "--softmax", "hccs", "--learnable",
                     *self.options(epochs=30, checkpoint_steps=3)]
        whole = self.work / "1" / "model"
        self.succeeds(*arguments, "-o", whole)
        killed = self.work / "2" / "model"
        checkpoint = killed / "checkpoint.safetensors"
        for _ in range(3):
            run = subprocess.Popen([HCCS, *map(str, arguments), "--resume", "-o", str(killed)], stderr=subprocess.PIPE, text=True)
            for line in run.stderr:  # until it has gone further than the checkpoint that it began with
                if "dev accuracy" in line:
                    break
            run.kill()
            run.wait()
            run.stderr.close()
            self.assertEqual(run.returncode, -signal.SIGKILL)
            self.assertTrue(checkpoint.exists())
        self.succeeds(*arguments, "--resume", "-o", killed)
        for name in ("model.safetensors", "params.json"):
            self.assertEqual((killed / name).read_bytes(), (whole / name).read_bytes(), name)
        self.assertFalse(checkpoint.exists())

    def test_interrupt_leaves_a_checkpoint(self):
        out = self.work / "m"
        run = subprocess.Popen([HCCS, *map(str, ["train", *self.files(), "--model", self.float, *self.options(epochs=3000), "-o", out])],
                               stderr=subprocess.PIPE, text=True)
        run.stderr.readline()
        run.send_signal(signal.SIGINT)
        stderr = run.communicate(timeout=60)[1]
        self.assertEqual(run.returncode, 130, stderr)
        self.assertIn("--resume continues", stderr)
        self.assertTrue((out / "checkpoint.safetensors").exists())

    def test_a_full_disk_keeps_the_earlier_checkpoint(self):
        out, whole = self.work / "1" / "m", self.work / "2" / "m"
        arguments = ["train", *self.files(), "--model", self.float, *self.options(epochs=20, checkpoint_steps=2), "--resume"]

        def limit(size):
            # A file size limit stands in for the disk; Python ignores the signal, and children inherit that.
            return lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))

        run = subprocess.Popen([HCCS, *map(str, arguments), "-o", str(out)], stderr=subprocess.PIPE, text=True)
        run.stderr.readline()
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        checkpoint = (out / "checkpoint.safetensors").read_bytes()
        result = hccs(*arguments, "-o", out, preexec_fn=limit(40_000))  # the weights fit (26 kB), the checkpoint (78 kB) does not
        self.refused(result, "checkpoint.safetensors", "File too large")
        self.assertEqual((out / "checkpoint.safetensors").read_bytes(), checkpoint)
        self.assertEqual([p.name for p in out.iterdir() if p.name.startswith(".") or p.name.endswith(".tmp")], [])
        self.succeeds(*arguments, "-o", out)
        self.succeeds(*arguments, "-o", whole)
        self.assertEqual((out / "model.safetensors").read_bytes(), (whole / "model.safetensors").read_bytes())

    def test_wrong_usage_is_exit_code_2(self):
        out = self.work / "m"
        for arguments in (
            [], ["--task", "imdb"], [*self.files(), "--task", "sst2"], ["--train", self.root / "train.tsv"],
            [*self.files(), "--learnable"], [*self.files(), "--quantise", "all"], [*self.files(), "--params", "p.json"],
            [*self.files(), "--softmax", "hccs", "--limits", "paper"], [*self.files(), "--take-layers", 2],
            [*self.files(), "--model", self.float, "--layers", 2], [*self.files(), "--softmax", "hccs", "--quantise", "none"],
            [*self.files(), "--softmax", "hccs", "--learnable", "--share", "layer"],
            [*self.files(), "--softmax", "hccs", "--params", "p.json", "--knees", 3],
        ):
            with self.subTest(arguments=arguments):
                self.refused(hccs("train", *arguments, "-o", out), "--help", code=2)
        self.assertFalse(out.exists())

    def test_bad_task_files(self):
        train = self.work / "train.tsv"
        cases = (
            ("", "without a line"),
            ("yes\tgood film\nno\tbad\nmaybe\n", "line 3: 1 columns"),
            ("yes\tgood\tfilm\tplot\textra\n", "5 columns"),
            ("yes\tgood\nno\tbad\tfilm\n", "line 2: 3 columns, but line 1 has 2"),
            ("\tgood\nno\tbad\n", "the label is empty"),
            ("yes\tgood\nyes\tfine\n", "only label"),
            ("".join(f"sentence {i} is good\tyes\n" for i in range(40)), "is the first column the label"),
            ("".join(f"sentence {i} is good\tyes\n" for i in range(400)), "at most 256"),
            ("yes\tgood\0film\n", "NUL"),
        )
        for content, message in cases:
            with self.subTest(message=message):
                train.write_text(content)
                result = hccs("train", "--train", train, "--dev", self.root / "dev.tsv", *self.scratch, "-o", self.work / "m")
                self.refused(result, train, message)
                self.assertFalse((self.work / "m").exists())

    def test_a_class_that_is_in_dev_but_not_in_train(self):
        dev = self.work / "dev.tsv"
        dev.write_text("yes\tgood film\nperhaps\tthe plot\n")
        result = hccs("train", "--train", self.root / "train.tsv", "--dev", dev, *self.scratch, "-o", self.work / "m")
        self.refused(result, dev, "line 2", '"perhaps"', '"no", "yes"')
        self.refused(hccs("evaluate", "--model", self.float, "--task", dev), dev, "line 2", '"perhaps"')

    def test_pairs_for_single_texts(self):
        result = hccs("train", "--train", self.root / "train.tsv", "--dev", self.root / "dev-pairs.tsv", *self.scratch, "-o", self.work / "m")
        self.refused(result, "dev-pairs.tsv", "two texts", "one text")

    def test_a_folder_without_a_vocabulary(self):
        model = self.work / "model"
        shutil.copytree(self.float, model)
        (model / "vocab.txt").unlink()
        self.refused(hccs("train", *self.files(), "--model", model, "-o", self.work / "m"), "vocab.txt")

    def test_a_task_or_a_vocabulary_whose_folder_nobody_named(self):
        unset = {name: value for name, value in os.environ.items() if name != "HCCS_DATA"}
        out = ["-o", self.work / "m"]
        for command in (["train", *out], ["evaluate", "--model", self.float]):
            self.refused(hccs(*command, "--task", "sst2", env=unset), "task sst2", "sst2/test_labeled.tsv", "--data DIR", "HCCS_DATA")
            for named in ({"env": dict(unset, HCCS_DATA=str(self.work))}, {"env": unset, "arguments": ["--data", self.work]}):
                arguments = named.pop("arguments", [])
                self.refused(hccs(*command, "--task", "mnli", *arguments, **named), self.work, "mnli/train_10k.tsv")
        self.refused(hccs("train", *self.files(), *out, env=unset), "--vocabulary FILE", "bert_vocab/vocab.txt", "--data DIR", "HCCS_DATA")
        self.refused(hccs("train", *self.files(), *out, "--data", self.work, env=unset), self.work, "bert_vocab/vocab.txt", "--vocabulary FILE")

    def test_the_data_folder(self):
        for subfolder in ("", "data"):  # HCCS_DATA may name the folder that holds it as data/
            data = self.work / ("plain" + subfolder)
            for name in ("sst2", "bert_vocab"):
                (data / subfolder / name).mkdir(parents=True)
            for name in ("train", "dev", "test_labeled"):
                (data / subfolder / "sst2" / f"{name}.tsv").write_text("sentence\tlabel\n" + "good plot\t1\nbad plot\t0\n" * 8)
            shutil.copy(self.vocabulary, data / subfolder / "bert_vocab")
            out = self.work / f"model{subfolder}"
            self.succeeds("train", "--task", "sst2", "--hidden", 16, "--positions", 24, *self.options(epochs=1), "-o", out,
                          env=dict(os.environ, HCCS_DATA=str(data)))
            self.succeeds("evaluate", "--model", out, "--task", "sst2", "--data", data / subfolder)

    def test_a_folder_without_a_classification_head(self):
        import tiny_model
        plain = tiny_model.write_model(self.work / "plain")
        self.refused(hccs("evaluate", "--model", plain, "--task", self.root / "test.tsv"), "no classification head")

    def test_epochs_0_only_calibrates(self):
        out = self.work / "calibrated"
        self.succeeds("train", *self.files(), "--model", self.float, "--softmax", "hccs", "--knees", 3, *self.options(epochs=0), "-o", out)
        self.assertEqual((out / "model.safetensors").read_bytes(), (self.float / "model.safetensors").read_bytes())
        self.assertEqual(json.loads((out / "params.json").read_text())["knees"], 3)
        self.assertFalse({"dev_accuracy", "accuracy"} & set(self.report(out)))  # nothing was measured

    def test_a_finished_folder_is_not_overwritten(self):
        self.refused(hccs("train", *self.files(), *self.scratch, "-o", self.float), "finished run")


if __name__ == "__main__":
    if not HAS_TRAINER:
        print("skipped: built without libtorch")
        sys.exit(77)
    unittest.main()
