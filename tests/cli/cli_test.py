# SPDX-License-Identifier: Apache-2.0
"""hccs as a user meets it: cli_test.py PATH_OF_HCCS [unittest options]. Needs NumPy."""
import json
import math
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest

import numpy as np

import tiny_model
from cli_case import CYCLES, HCCS, CliCase, hccs, needs_cycles


class CommandLine(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-cli-"))
        cls.model = tiny_model.write_model(cls.root / "model")
        cls.lines = cls.root / "lines.txt"
        cls.lines.write_text("\n".join(tiny_model.sentences(60)) + "\n")
        cls.params = cls.root / "params.json"
        done = hccs("calibrate", "--model", cls.model, "--text", cls.lines, "--knees", 2, "-o", cls.params)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    # ---- usage -----------------------------------------------------------------------------------

    def test_help_has_an_example_for_each_subcommand(self):
        for command in ("calibrate", "evaluate", "embed", "inspect", "report", "softmax", "export", "train", *(["cycles"] if CYCLES else [])):
            out = self.succeeds(command, "--help").stdout
            self.assertIn(f"hccs {command} ", out.split("Example:")[1])

    def test_wrong_usage_is_exit_code_2(self):
        out = self.work / "p.json"
        for arguments in (
            [], ["nonsense"], ["calibrate"], ["calibrate", "-o", out], ["calibrate", "--model", self.model, "-o", out],
            ["calibrate", "--model", self.model, "--logits", self.root, "--text", self.lines, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--knees", 5, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--limits", "paper", "--knees", 1, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--limits", "paper", "--length", 64, "--knees", 2, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--length", 64, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--head-dimension", 16, "-o", out],
            ["calibrate", "--model", self.model, "--text", self.lines, "--name", "other", "-o", out],
            ["calibrate", "--logits", self.root, "--head-dimension", 0, "-o", out],
            ["calibrate", "--logits", self.root, "--max-length", 9, "-o", out],
            ["calibrate", "--logits", self.root, "--head-dimension", 65537, "-o", out],
            ["embed", "--model", self.model, "--text", self.lines],
            ["embed", "--model", self.model, "--text", self.lines, "--normalisation", "clb", "-o", out],
            ["softmax", "--in", "x.npy", "-o", out], ["softmax", "--in", "x.npy", "-o", out, "--offset", 9, "--knee", "1"],
            ["softmax", "--in", "x.npy", "-o", out, "--params", self.params],
            ["inspect"], ["report", self.params], ["evaluate", "--model", self.model, "--params", self.params, "--task", "imdb"],
        ):
            with self.subTest(arguments=arguments):
                self.refused(hccs(*arguments), "--help", code=2)
        self.assertFalse(out.exists())

    # ---- calibrate, inspect -----------------------------------------------------------------------

    def test_parameter_file_and_report(self):
        result = self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--knees", 3, "-o", self.work / "p.json")
        self.assertIn("mean KL", result.stdout)
        file = json.loads((self.work / "p.json").read_text())
        self.assertEqual((file["format"], file["model"], file["knees"], file["layers"], file["heads"]), ("hccs-params", "tiny", 3, 2, 2))
        self.assertEqual(len(file["parameters"]), 4)

    def test_calibration_is_the_same_for_every_thread_count(self):
        for threads in (1, 2, 5):
            self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--knees", 2, "--threads", threads,
                          "-o", self.work / f"{threads}.json")
        expected = self.params.read_bytes()
        for threads in (1, 2, 5):
            self.assertEqual((self.work / f"{threads}.json").read_bytes(), expected)

    def test_json_report(self):
        out = self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--json", "-o", self.work / "p.json").stdout
        report, file = json.loads(out), json.loads((self.work / "p.json").read_text())
        for key in ("model", "layers", "heads", "knees", "limits", "share", "seed", "data_digest", "sequence_length"):
            self.assertEqual(report[key], file[key], key)
        self.assertEqual(len(report["fits"]), 4)
        for fit, head in zip(report["fits"], file["parameters"]):
            for key in ("layer", "head", "kl_continuous", "kl", "rows", "step", "max_probability"):
                self.assertEqual(fit[key], head[key], key)
            self.assertGreater(fit["rows"], 0)
            self.assertEqual(fit["unfit_reason"], "")

    def test_paper_limits_are_deployable_and_native_ones_say_why_not(self):
        paper = self.work / "paper.json"
        self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--limits", "paper", "--length", 32, "--knees", 1,
                      "-o", paper)
        inspected = self.succeeds("inspect", paper, "--length", 32, "--details").stdout
        self.assertIn("deployable (paper), rows of 32: yes, all 4 heads", inspected)
        self.assertIn("deployable (aie), rows of 32: yes, all 4 heads", inspected)
        self.assertIn("deployable (aie), masked rows of up to 32: ", inspected)
        verdict = json.loads(self.succeeds("inspect", self.params, "--json").stdout)["deployable"]
        self.assertTrue(verdict["aie"]["deployable"])
        self.assertTrue(verdict["aie_masked"]["deployable"])
        self.assertIn("layer 0, head 0", verdict["paper"]["reasons"][0])
        self.assertIn("2 knees", verdict["paper"]["reasons"][0])

    def test_steps_that_are_powers_of_two(self):
        for limits in ((), ("--limits", "paper", "--length", 32)):
            self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--knees", 1, "--step", "power-of-two", *limits,
                          "-o", self.work / "p.json")
            steps = [head["step"] for head in json.loads((self.work / "p.json").read_text())["parameters"]]
            self.assertEqual([math.frexp(step)[0] for step in steps], [0.5] * len(steps))

    def test_share(self):
        self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--share", "layer", "-o", self.work / "p.json")
        heads = json.loads((self.work / "p.json").read_text())["parameters"]
        values = [(h["B"], h["knees"], h["step"]) for h in heads]
        self.assertEqual(values[0], values[1])
        self.assertEqual(values[2], values[3])
        self.assertNotEqual(values[0], values[2])

    def test_dumps(self):
        folder = tiny_model.write_dumps(self.work / "dumps")
        self.succeeds("calibrate", "--logits", folder, "--knees", 1, "-o", self.work / "p.json")
        file = json.loads((self.work / "p.json").read_text())
        self.assertEqual((file["model"], file["layers"], file["heads"]), ("dumps", 1, 2))
        lengths = np.load(folder / "lengths.npy")
        np.save(folder / "layer0_head1_lengths.npy", np.minimum(lengths + 1, 12).astype(np.int32))
        self.succeeds("calibrate", "--logits", folder, "--knees", 1, "-o", self.work / "q.json")
        again = json.loads((self.work / "q.json").read_text())
        self.assertEqual(file["parameters"][0], again["parameters"][0])
        self.assertNotEqual(file["parameters"][1], again["parameters"][1])
        self.assertNotEqual(file["data_digest"], again["data_digest"])

    def test_dumps_of_a_model_with_a_name_and_a_head_dimension(self):
        folder = tiny_model.write_dumps(self.work / "dumps")
        params = self.work / "p.json"
        attention = ("export", "--target", "aie", "--params", params, "--layer", 0, "--head", 1, "--length", 12, "--rows", 4, "--kernel",
                     "attention", "-o", self.work / "project")
        self.succeeds("calibrate", "--logits", folder, "--knees", 1, "-o", params)
        self.assertEqual(json.loads(params.read_text())["head_dimension"], 0)
        self.refused(hccs(*attention), "the head dimension, which attention needs", "--head-dimension")
        for written in (folder, f"{folder}/"):
            self.succeeds("calibrate", "--logits", written, "--knees", 1, "-o", params)
            self.assertEqual(json.loads(params.read_text())["model"], folder.name)
        self.succeeds("calibrate", "--logits", folder, "--knees", 1, "--head-dimension", 32, "--name", "a/model", "-o", params)
        file = json.loads(params.read_text())
        self.assertEqual((file["model"], file["head_dimension"], file["weights_digest"]), ("a/model", 32, ""))
        self.succeeds(*attention)
        self.assertIn("kHeadDim = 32;", (self.work / "project" / "src" / "project.h").read_text())

        random = np.random.default_rng(1)
        for name, rows in (("q", 8), ("k", 24), ("v", 24)):
            np.save(self.work / f"{name}.npy", random.integers(-128, 128, (rows, 32), dtype=np.int8))
        data = ("--query", self.work / "q.npy", "--key", self.work / "k.npy", "--value", self.work / "v.npy", "--product-scale", 1e-3)
        attention = (*attention[:-1], self.work / "real")
        self.refused(hccs(*attention, *data[:-2]), "--product-scale go together", code=2)
        self.refused(hccs(*attention[:-4], *data, *attention[-2:]), "--query goes with --kernel attention", code=2)
        self.refused(hccs(*attention, *data[:-1], 0), "layer 0, head 1", "logit steps")
        self.refused(hccs(*attention, *data[:-3], self.work / "q.npy", *data[-2:]), "q.npy", "multiple of 12")
        self.assertFalse((self.work / "real").exists())
        self.succeeds(*attention, *data)
        readme = (self.work / "real" / "README.md").read_text()
        self.assertIn("2 blocks; data: q.npy, k.npy, v.npy", readme)

    def test_logits_are_what_calibrate_and_softmax_read(self):
        dumps, int8, params = self.work / "dumps", self.work / "int8", self.work / "p.json"
        logits = ("logits", "--model", self.model, "--text", self.lines)
        self.succeeds(*logits, "-o", dumps)
        self.succeeds("calibrate", "--logits", dumps, "--name", "tiny", "--head-dimension", 8, "--knees", 2, "-o", params)
        self.succeeds(*logits, "--params", params, "-o", int8)
        floats = np.load(dumps / "layer1_head0.npy")
        rows = np.load(int8 / "layer1_head0.npy")
        step = json.loads(params.read_text())["parameters"][2]["step"]
        lengths = np.load(int8 / "layer1_head0_lengths.npy")
        valid = np.arange(rows.shape[1]) < lengths[:, None]
        np.testing.assert_array_equal(rows[valid], np.clip(np.rint(floats.astype(np.float64) / step), -128, 127)[valid])
        self.succeeds("softmax", "--in", int8 / "layer1_head0.npy", "-o", self.work / "p.npy", "--params", params, "--layer", 1,
                      "--head", 0, "--valid-lengths", int8 / "layer1_head0_lengths.npy")
        self.assertTrue((np.load(self.work / "p.npy")[~valid] == 0).all())
        self.refused(hccs(*logits, "-o", dumps), "dumps", "exists already")
        self.refused(hccs(*logits, "--length", 32, "-o", self.work / "full"), "none of", "32 tokens")
        self.refused(hccs(*logits, "--length", 4, "--max-length", 4, "-o", self.work / "full"), "exclude each other", code=2)
        self.succeeds(*logits, "--params", params, "--length", 4, "-o", self.work / "full")
        self.assertEqual(np.load(self.work / "full" / "layer0.npy").shape[0], 2)

    def test_dumps_with_rows_beyond_the_paper_limits(self):
        folder = tiny_model.write_dumps(self.work / "dumps")
        result = hccs("calibrate", "--logits", folder, "--limits", "paper", "--length", 11, "--knees", 1, "-o", self.work / "p.json")
        self.refused(result, "lengths.npy", "length 12", "row length is 11")

    def test_wordnet_task_end_to_end(self):
        wordnet = self.work / "data.noun"
        tiny_model.write_wordnet(wordnet)
        files = []
        for name, options in (("k1", ["--knees", 1]), ("k3", ["--knees", 3]), ("paper", ["--knees", 1, "--limits", "paper", "--length", 32])):
            files.append(self.work / f"{name}.json")
            self.succeeds("calibrate", "--model", self.model, "--task", "wordnet", "--wordnet", wordnet, *options, "-o", files[-1])
        result = self.succeeds("evaluate", "--model", self.model, "--params", *files, "--task", "wordnet", "--wordnet", wordnet,
                               "--json", self.work / "demo.json")
        out = json.loads((self.work / "demo.json").read_text())
        self.assertEqual(set(out), {"task", "model", "seed", "commit", "machine", "calibration_seconds", "rows"})
        rows = {row["name"]: row for row in out["rows"]}
        self.assertEqual(list(rows), ["float", "int8-exact", "hccs-k1", "hccs-k3", "paper-i16-div", "paper-u8-clb"])
        self.assertEqual(rows["float"]["cosine_mean"], 1.0)
        self.assertEqual(rows["float"]["same_nearest"], 1.0)
        self.assertLess(rows["hccs-k3"]["head_kl_mean"], rows["hccs-k1"]["head_kl_mean"])
        self.assertGreater(rows["hccs-k3"]["cosine_mean"], rows["hccs-k1"]["cosine_mean"])
        self.assertEqual(rows["paper-i16-div"]["head_kl_mean"], rows["paper-u8-clb"]["head_kl_mean"])
        for name in rows:
            self.assertIn(name, result.stdout)
            low, high = rows[name]["accuracy_ci95"]
            self.assertTrue(low < rows[name]["accuracy"] < high)

    # ---- embed --------------------------------------------------------------------------------------

    def test_embeddings(self):
        lines = self.work / "lines.txt"
        lines.write_bytes(b"the animal eats\r\n\nthe plant grows\nno newline at the end")
        self.succeeds("embed", "--model", self.model, "--text", lines, "-o", self.work / "e.npy")
        exact = np.load(self.work / "e.npy")
        self.assertEqual((exact.dtype, exact.shape), (np.float32, (4, tiny_model.HIDDEN)))
        np.testing.assert_allclose(np.linalg.norm(exact, axis=1), 1, atol=1e-6)
        self.succeeds("embed", "--model", self.model, "--params", self.params, "--text", lines, "-o", self.work / "h.npy")
        approximate = np.load(self.work / "h.npy")
        self.assertFalse(np.array_equal(exact, approximate))
        self.assertGreater((exact * approximate).sum(1).min(), 0.98)

    def test_a_text_of_ten_thousand_words_is_truncated_and_reported(self):
        lines = self.work / "long.txt"
        lines.write_text("the " * 10_000 + "\nanimal\n")
        result = self.succeeds("embed", "--model", self.model, "--text", lines, "-o", self.work / "e.npy")
        self.assertIn("1 of 2 texts truncated to 32 tokens (the longest has 10002)", result.stderr)

    # ---- softmax --------------------------------------------------------------------------------------

    def softmax(self, x, *arguments):
        np.save(self.work / "x.npy", x)
        self.succeeds("softmax", "--in", self.work / "x.npy", "-o", self.work / "p.npy", *arguments)
        return np.load(self.work / "p.npy")

    def test_softmax_against_numpy(self):
        """`scaled` uint8 and int16 `div`, from the contract, for K = 2 and every mask."""
        rng = np.random.default_rng(11)
        x = rng.integers(-128, 128, (9, 33)).astype(np.int8)
        lengths = np.array([33, 0, 1, 5, 40, -3, 17, 32, 33], np.int32)
        mask = rng.integers(0, 2, x.shape).astype(np.uint8)
        np.save(self.work / "l.npy", lengths)
        np.save(self.work / "m.npy", mask)
        position = np.arange(33)
        for arguments, valid in (
            ([], np.ones_like(x, bool)),
            (["--valid-lengths", self.work / "l.npy"], position < lengths[:, None]),
            (["--causal-offset", 2], position <= np.arange(9)[:, None] + 2),
            (["--causal-offset", -1], position <= np.arange(9)[:, None] - 1),
            (["--mask", self.work / "m.npy"], mask == 1),
            (["--mask", self.work / "m.npy", "--causal-offset", 20, "--valid-lengths", self.work / "l.npy"],
             (mask == 1) & (position <= np.arange(9)[:, None] + 20) & (position < lengths[:, None])),
        ):
            v = x.astype(np.int64)
            m = np.where(valid, v, -129).max(1, keepdims=True)
            s = np.where(valid, 4000 - 60 * np.minimum(m - v, 20) - 20 * np.minimum(m - v, 90), 0)
            z = np.maximum(s.sum(1, keepdims=True), 1)
            k = np.floor(np.log2(z)).astype(np.int64)
            r = (np.int64(32640) << k) // z
            expected = np.where(valid, (s * r + (np.int64(1) << (k + 6))) >> (k + 7), 0)
            with self.subTest(arguments=arguments):
                got = self.softmax(x, "--offset", 4000, "--knee", "60:20", "--knee", "20:90", *arguments)
                self.assertEqual(got.dtype, np.uint8)
                np.testing.assert_array_equal(got, expected)
                got = self.softmax(x, "--offset", 4000, "--knee", "60:20", "--knee", "20:90", "--normalisation", "div", "--output",
                                   "int16", *arguments)
                self.assertEqual(got.dtype, np.int16)
                np.testing.assert_array_equal(got, s * (32767 // z))

    def test_softmax_by_parameter_file(self):
        x = np.arange(-20, 20, dtype=np.int8).reshape(2, 20)
        head = json.loads(self.params.read_text())["parameters"][3]
        by_hand = ["--offset", head["B"]]
        for s, d in head["knees"]:
            by_hand += ["--knee", f"{s}:{d}"]
        np.testing.assert_array_equal(self.softmax(x, "--params", self.params, "--layer", 1, "--head", 1), self.softmax(x, *by_hand))

    def test_softmax_on_every_target(self):
        x = np.random.default_rng(3).integers(-128, 128, (5, 70)).astype(np.int8)
        by_hand = ["--offset", 4000, "--knee", "60:20", "--knee", "20:90"]
        result = hccs("softmax", "--in", "x.npy", "-o", self.work / "p.npy", *by_hand, "--target", "abacus")
        self.assertEqual(result.returncode, 1)
        self.assertIn("target 'abacus', but this build and CPU have", result.stderr)
        targets = result.stderr.split(" have ")[1].split(", ")
        expected = self.softmax(x, *by_hand)
        for target in targets:
            with self.subTest(target=target.strip()):
                np.testing.assert_array_equal(self.softmax(x, *by_hand, "--target", target.strip()), expected)

    def test_softmax_by_exact_exponential(self):
        x = np.random.default_rng(4).integers(-128, 128, (5, 70)).astype(np.int8)
        s = np.rint(32767 * np.exp(-0.07 * (x.max(1, keepdims=True).astype(np.int64) - x))).astype(np.int64)
        z = s.sum(1, keepdims=True)
        got = self.softmax(x, "--exact-step", 0.07, "--normalisation", "div", "--output", "int16")
        np.testing.assert_array_equal(got, s * (32767 // z))

    @needs_cycles
    def test_output_type_has_one_name_for_all_commands(self):
        x = np.arange(-20, 20, dtype=np.int8).reshape(2, 20)
        softmax = ("--params", self.params, "--layer", 0, "--head", 0)
        np.testing.assert_array_equal(self.softmax(x, *softmax, "--output-type", "int16"), self.softmax(x, *softmax, "--output", "int16"))
        cycles = ("cycles", "--kernel", "paper_rows", "--n", 64, "--arch", 20, "--json")
        out = self.succeeds(*cycles, "--output-type", "int16").stdout
        self.assertEqual(json.loads(out)["output"], "int16")
        self.assertEqual(out, self.succeeds(*cycles, "--output", "int16").stdout)
        export = ("export", "--target", "aie", *softmax, "--length", 20, "--rows", 4)
        for option in ("--output", "--output-type"):
            self.succeeds(*export, option, "int16", "-o", self.work / option)
        project = [(self.work / option / "src" / "project.h").read_text() for option in ("--output", "--output-type")]
        self.assertEqual(*project)
        self.assertIn("int16_t Out;", project[0])

    def test_export_of_a_whole_layer(self):
        export = ("export", "--target", "aie", "--params", self.params, "--layer", 0, "--length", 20, "--rows", 4, "-o", self.work / "layer")
        for head, part in ((("all", 1), "no other head"), (("some",), "'some' is no head"), (("-1",), "'-1' is no head"), (("1x",), "no head")):
            self.refused(hccs(*export, "--head", *head), part, code=2)
        for options in (("--tiles", 2), ("--memory-tile",)):
            self.refused(hccs(*export, "--head", "all", *options), "--head", code=2)
        self.refused(hccs(*export, "--head", 0, "--heads-per-tile", 1), "--heads-per-tile goes with --head all", code=2)
        self.refused(hccs(*export, "--head", "all", "--vitis", "2024.2"), "2024.2", code=2)
        self.refused(hccs(*export, "--head", "all", "--heads-per-tile", 5), "heads on tiles of 5", "every tile has as many")
        self.assertFalse((self.work / "layer").exists())
        self.succeeds(*export, "--head", "all", "--heads-per-tile", 1, "--vitis", "2026.1")
        self.assertIn("2026.1", (self.work / "layer" / "README.md").read_text())
        self.assertTrue((self.work / "layer" / "data" / "logits_1.txt").exists())

    def test_directives_for_aie4ml(self):
        params = self.work / "p.json"
        self.succeeds("calibrate", "--model", self.model, "--text", self.lines, "--limits", "paper", "--length", 32, "--knees", 1,
                      "--step", "power-of-two", "-o", params)
        export = ("export", "--target", "aie4ml", "--params", params, "--length", 32, "-o", self.work / "out")
        nodes = ("--nodes", "l{layer}h{head}")
        for options in ((), (*nodes, "--rows", 4), (*nodes, "--kernel", "rows"), (*nodes, "--device", "vek280"), (*nodes, "--head", 0)):
            self.refused(hccs(*export, *options), "--", code=2)
        self.refused(hccs("export", "--target", "aie", "--params", params, "--length", 32, "--layer", 0, "--head", 0, "-o", "x"),
                     "needs --rows", code=2)
        self.refused(hccs("export", "--target", "aie", "--params", params, "--length", 32, "--layer", 0, "--head", 0, "--rows", 4,
                          *nodes, "-o", "x"), "--nodes goes with --target aie4ml", code=2)
        self.refused(hccs(*export, "--nodes", "softmax"), "layer 0, head 0", "layer 0, head 1", "softmax")
        self.refused(hccs(*export, *nodes, "--layer", 2), "layer 2", "2 layers of 2 heads")
        self.refused(hccs(*export, *nodes, "--normalisation", "scaled"), "scaled", "div and clb")
        self.refused(hccs(*export[:4], self.params, *export[5:], *nodes), "layer 0, head 0", "2 knees", "K = 1")
        self.assertFalse((self.work / "out").exists())
        self.succeeds(*export, *nodes)
        written = json.loads((self.work / "out" / "layer_directives.json").read_text())["LayerDirectives"]
        self.assertEqual(list(written), ["l0h0", "l0h1", "l1h0", "l1h1"])
        self.succeeds(*export[:-1], self.work / "one", "--nodes", "softmax", "--layer", 1, "--head", 0)
        written = json.loads((self.work / "one" / "layer_directives.json").read_text())["LayerDirectives"]
        self.assertEqual(list(written), ["softmax"])

    # ---- cycles ----------------------------------------------------------------------------------

    @needs_cycles
    def test_cycles(self):
        arguments = ("cycles", "--kernel", "paper_rows", "--n", 64, "--arch", "aie-ml")
        out = json.loads(self.succeeds(*arguments, "--json").stdout)
        self.assertEqual((out["kernel"], out["mode"], out["rows"]), ("paper_rows", "clb", 64))
        self.assertAlmostEqual(out["cycles"] / 64, out["cycles_per_row"])
        self.assertGreaterEqual(sum(piece["cycles"] for piece in out["pieces"]), 0.9 * out["cycles"])
        text = self.succeeds(*arguments, "--schedule").stdout
        self.assertIn("results verified", text)
        self.assertIn("VMAC", text)
        picture = self.work / "loop.svg"
        self.succeeds(*arguments, "--svg", picture)
        self.assertTrue(picture.read_text().startswith("<svg"))
        self.assertEqual(out, json.loads(self.succeeds(*arguments, "--json").stdout))

    @needs_cycles
    def test_cycles_of_a_head_have_the_defaults_of_export(self):
        of_head = ("cycles", "--params", self.params, "--layer", 1, "--head", 1, "--length", 45, "--rows", 8, "--json")
        out = json.loads(self.succeeds(*of_head, "--device", "vek280").stdout)
        self.assertEqual([out[key] for key in ("kernel", "mode", "output", "mask", "arch")], ["rows", "scaled", "uint8", "none", "aie-ml"])
        file = json.loads(self.params.read_text())
        self.assertEqual(out["knees"], len(file["parameters"][3]["knees"]))
        self.assertEqual(out, json.loads(self.succeeds(*of_head, "--device", "npu1").stdout))
        self.assertEqual(out, json.loads(self.succeeds(*of_head, "--arch", 20).stdout))
        self.assertEqual(json.loads(self.succeeds(*of_head, "--device", "vek385", "--masks", "length").stdout)["mask"], "length")
        self.assertIn("B = %d," % file["parameters"][3]["B"], self.succeeds(*of_head[:-1], "--device", "vek280").stdout)
        npu2 = json.loads(self.succeeds(*of_head, "--device", "npu2").stdout)
        self.assertEqual([npu2[key] for key in ("kernel", "mode", "output", "mask", "arch")], ["rows", "scaled", "uint8", "none", "xdna2"])
        for arch in (21, "xdna2"):
            self.assertEqual(npu2, json.loads(self.succeeds(*of_head, "--arch", arch).stdout))
        self.refused(hccs(*of_head, "--device", "vek280", "--arch", 20), "exactly one of --device and --arch", code=2)
        self.refused(hccs(*of_head, "--device", "vek280", "--knees", 2), "--knees goes without --params", code=2)
        self.refused(hccs("cycles", "--params", self.params, "--length", 45, "--device", "vek280"), "--layer and --head", code=2)
        self.refused(hccs("cycles", "--params", self.params, "--layer", 7, "--head", 0, "--length", 45, "--device", "vek280"),
                     "layer 7, head 0", "2 layers of 2 heads")

    @needs_cycles
    def test_kernels_keep_their_earlier_names(self):
        for kernel, earlier in (("rows", "interleaved"), ("tiles", "microtile"), ("paper_rows", "row_major")):
            arguments = ("--n", 64, "--rows", 8, "--arch", 20, "--json")
            out = self.succeeds("cycles", "--kernel", kernel, *arguments).stdout
            self.assertEqual(json.loads(out)["kernel"], kernel)
            self.assertEqual(out, self.succeeds("cycles", "--kernel", earlier, *arguments).stdout)
        masks = [self.succeeds("cycles", *arguments, "--masks", mask).stdout for mask in ("length", "limits")]
        self.assertEqual(json.loads(masks[0])["mask"], "length")
        self.assertEqual(*masks)

    @needs_cycles
    def test_cycles_refuses_what_a_kernel_is_not_for(self):
        def cycles(kernel, n, arch, *more):
            return hccs("cycles", "--kernel", kernel, "--n", n, "--arch", arch, *more)

        self.refused(cycles("softmax", 64, 20), "--kernel 'softmax'", "rows")
        self.refused(cycles("rows", 64, 23), "--arch '23'", "21 or xdna2")
        self.refused(cycles("exp_bf16", 64, 21, "--normalisation", "tables"), "mode tables", "exp2 (aie-ml-v2, xdna2)")
        self.refused(cycles("paper_rows", 48, 20), "n 48: a multiple of 32")
        self.refused(cycles("paper_rows", 64, 20, "--normalisation", "scaled"), "mode scaled: div or clb")
        self.refused(cycles("exp_bf16", 64, 20, "--normalisation", "exp2"), "mode exp2")
        self.refused(cycles("rows", 64, 20, "--mask", "holes"), "--mask 'holes'")
        self.refused(cycles("rows", 64, 20, "--svg", self.work / "no" / "x.svg"), "x.svg")
        self.refused(cycles("rows", 0, 20), "--n", code=2)
        self.refused(cycles("rows", 64, 20, "--json", "--schedule"), "--schedule", code=2)

    # ---- bad input: a clear error, nothing lost -----------------------------------------------------

    def embed_refuses(self, model, *parts):
        self.refused(hccs("embed", "--model", model, "--text", self.lines, "-o", self.work / "e.npy"), *parts)
        self.assertFalse((self.work / "e.npy").exists())

    def test_truncated_weights(self):
        model = tiny_model.write_model(self.work / "model")
        weights = model / "model.safetensors"
        whole = weights.read_bytes()
        for size in (0, 7, 8, 100, len(whole) - 1):
            weights.write_bytes(whole[:size])
            self.embed_refuses(model, "model.safetensors")

    def test_hostile_weights(self):
        model = tiny_model.write_model(self.work / "model")
        weights = model / "model.safetensors"
        def with_header(header, data=b"\0" * 64):
            text = json.dumps(header).encode()
            return struct.pack("<Q", len(text)) + text + data
        for content, rule in (
            (struct.pack("<Q", 1 << 60) + b"{}", str(1 << 60)),
            (with_header({"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},
                          "b": {"dtype": "F32", "shape": [12], "data_offsets": [16, 64]}}), "overlap"),
            (with_header({"a": {"dtype": "F32", "shape": [-16], "data_offsets": [0, 64]}}), "-16"),
        ):
            weights.write_bytes(content)
            self.embed_refuses(model, "model.safetensors", rule)

    def test_config_that_disagrees_with_the_weights(self):
        model = tiny_model.write_model(self.work / "model", intermediate_size=48)
        self.embed_refuses(model, "mismatch", "intermediate.dense.weight", "48")

    def test_unsupported_activation(self):
        self.embed_refuses(tiny_model.write_model(self.work / "model", hidden_act="gelu_new"), "unsupported", "hidden_act", "gelu_new")

    def test_parameters_of_another_model(self):
        model = tiny_model.write_model(self.work / "model", name="another")
        arguments = ["embed", "--model", model, "--params", self.params, "--text", self.lines, "-o", self.work / "e.npy"]
        self.succeeds(*arguments)  # the same weights under another name
        weights = bytearray((model / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (model / "model.safetensors").write_bytes(weights)
        self.refused(hccs(*arguments), "mismatch", "tiny", "another")

    def test_parameters_of_other_weights_with_the_same_name(self):
        model = tiny_model.write_model(self.work / "model")
        weights = bytearray((model / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (model / "model.safetensors").write_bytes(weights)
        result = hccs("embed", "--model", model, "--params", self.params, "--text", self.lines, "-o", self.work / "e.npy")
        self.refused(result, "mismatch", "weights", "tiny")

    def test_empty_text_file(self):
        empty = self.work / "empty.txt"
        empty.touch()
        self.refused(hccs("embed", "--model", self.model, "--text", empty, "-o", self.work / "e.npy"), empty)
        self.refused(hccs("calibrate", "--model", self.model, "--text", empty, "-o", self.work / "p.json"), empty)

    def test_binary_file_as_text(self):
        result = hccs("calibrate", "--model", self.model, "--text", self.model / "model.safetensors", "-o", self.work / "p.json")
        self.refused(result, "model.safetensors", "NUL")
        self.assertFalse((self.work / "p.json").exists())

    def test_logits_with_nan(self):
        folder = tiny_model.write_dumps(self.work / "dumps")
        logits = np.load(folder / "layer0_head1.npy")
        row = int(np.load(folder / "lengths.npy").argmax())
        logits[row, 0] = np.nan
        np.save(folder / "layer0_head1.npy", logits)
        result = hccs("calibrate", "--logits", folder, "-o", self.work / "p.json")
        self.refused(result, "layer 0, head 1", "1 of 200 rows have NaN or infinite logits")
        self.assertFalse((self.work / "p.json").exists())
        result = self.succeeds("calibrate", "--logits", folder, "--on-unfit", "default", "-o", self.work / "p.json")
        self.assertIn("default: 1 of 200 rows", result.stdout)
        flags = [head["default"] for head in json.loads((self.work / "p.json").read_text())["parameters"]]
        self.assertEqual(flags, [False, True])

    def test_dumps_that_do_not_fit_together(self):
        folder = tiny_model.write_dumps(self.work / "dumps")
        np.save(folder / "lengths.npy", np.full(200, 13, np.int32))
        self.refused(hccs("calibrate", "--logits", folder, "-o", self.work / "p.json"), "length 13", "n = 12")
        np.save(folder / "lengths.npy", np.full(199, 12, np.int32))
        self.refused(hccs("calibrate", "--logits", folder, "-o", self.work / "p.json"), "200 rows")
        (folder / "layer0_head1.npy").rename(folder / "layer3_head1.npy")
        self.refused(hccs("calibrate", "--logits", folder, "-o", self.work / "p.json"), "2 dumps", "4 layers x 2 heads")

    def test_directory_where_a_file_should_be(self):
        self.refused(hccs("embed", "--model", self.model, "--text", self.root, "-o", self.work / "e.npy"), self.root)
        self.refused(hccs("inspect", self.root), self.root)
        self.refused(hccs("embed", "--model", self.model, "--text", self.lines, "-o", self.root), self.root)
        self.refused(hccs("embed", "--model", self.lines, "--text", self.lines, "-o", self.work / "e.npy"), self.lines)

    def test_unwritable_output(self):
        for output in ("/proc/nothing/params.json", self.work / "missing" / "p.json", self.lines / "p.json"):
            self.refused(hccs("calibrate", "--model", self.model, "--text", self.lines, "-o", output), output)
            self.refused(hccs("embed", "--model", self.model, "--text", self.lines, "-o", output), output)

    def test_softmax_input_of_another_type(self):
        np.save(self.work / "x.npy", np.zeros((2, 3), np.float32))
        result = hccs("softmax", "--in", self.work / "x.npy", "-o", self.work / "p.npy", "--offset", 9, "--knee", "1:5")
        self.refused(result, "float32", "int8")
        np.save(self.work / "x.npy", np.zeros((2, 3), np.int8))
        np.save(self.work / "l.npy", np.zeros(3, np.int32))
        result = hccs("softmax", "--in", self.work / "x.npy", "-o", self.work / "p.npy", "--offset", 9, "--knee", "1:5",
                      "--valid-lengths", self.work / "l.npy")
        self.refused(result, "[3]", "[2]")
        result = hccs("softmax", "--in", self.work / "x.npy", "-o", self.work / "p.npy", "--offset", 9, "--knee", "2:5")
        self.refused(result, "F = B - sum S_k*D_k = -1")
        self.assertFalse((self.work / "p.npy").exists())

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([HCCS, "inspect", self.params], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left", result.stderr)
        # A file size limit of 1024 bytes, as LLVM's OpenMP needs them, stands in for the disk: the earlier file stays, no
        # temporary remains.
        self.assertGreater(self.params.stat().st_size, 1024)
        output = self.work / "p.json"
        shutil.copy(self.params, output)
        result = subprocess.run(["sh", "-c", "ulimit -f 2; trap '' XFSZ; exec \"$@\"", "sh", HCCS, "calibrate", "--model", self.model,
                                 "--text", self.lines, "--knees", "1", "-o", output], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn(str(output), result.stderr)
        self.assertEqual(output.read_bytes(), self.params.read_bytes())
        self.assertEqual(list(self.work.iterdir()), [output])

    def test_interrupt_leaves_the_earlier_file_whole(self):
        lines = self.work / "many.txt"
        lines.write_text("\n".join(tiny_model.sentences(200_000)) + "\n")
        output = self.work / "e.npy"
        output.write_bytes(b"earlier")
        run = subprocess.Popen([HCCS, "embed", "--model", self.model, "--text", lines, "-o", output], stderr=subprocess.PIPE, text=True)
        # The first progress line says that the work is under way.
        first = run.stderr.readline()
        run.send_signal(signal.SIGINT)
        stderr = first + run.communicate(timeout=120)[1]
        self.assertEqual(run.returncode, 130, stderr)
        self.assertIn("cancelled", stderr)
        self.assertEqual(output.read_bytes(), b"earlier")
        self.assertEqual(sorted(p.name for p in self.work.iterdir()), ["e.npy", "many.txt"])


if __name__ == "__main__":
    unittest.main()
