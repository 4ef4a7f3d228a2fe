# SPDX-License-Identifier: Apache-2.0
"""The figures in README.md and docs/*.md against the measurements that they come from (docs/results), digit for digit: figures_test.py
[unittest options], at the repository's root.

A figure is found by the words around it. One whose words changed is not found, and the test says so: it then has to learn the
new words. Pages of one folder are one text here, with every run of white space a blank, so that a sentence may move and wrap.
"""
import json
import pathlib
import re
import tempfile
import unittest

import results
from results import tables

LENGTHS = ("16", "32", "64", "100", "128", "256", "512", "1024", "4096")
NARROW_TARGETS = ("avx512", "avx2", "sse4")  # their shuffles reach 16 entries of a table


def text_of(*pages):
    return re.sub(r"\s+", " ", " ".join(pathlib.Path(page).read_text() for page in pages))


README = text_of("README.md")
DOCS = text_of(*sorted(map(str, pathlib.Path("docs").glob("*.md"))))


class Figures(unittest.TestCase):
    def found(self, pattern, text):
        """The groups of the pattern, in which # is a number; it is in the text once."""
        matches = re.findall(pattern.replace("#", r"([+-]?[\d.]*\d)"), text)
        self.assertEqual(len(matches), 1, f"found {len(matches)} times: {pattern}")
        return matches[0] if isinstance(matches[0], tuple) else matches

    def assert_figures(self, printed, values):
        """The printed numbers are the values, rounded to the digits printed."""
        self.assertEqual(len(printed), len(values))
        for figure, value in zip(printed, values):
            sign = "+" if figure.startswith("+") else ""
            digits = len(figure.partition(".")[2])
            self.assertEqual(figure if not figure.startswith(".") else "0" + figure, f"{value:{sign}.{digits}f}", f"of {printed}")


class RowLengths(Figures):
    def test_the_tables_of_cpu_md(self):
        rows = json.loads(pathlib.Path("docs/results/row-lengths.json").read_text())["rows"]
        page = pathlib.Path("docs/cpu.md").read_text()
        part = page[page.index("<!-- row lengths: `make"):page.index("<!-- row lengths: end")]
        tables_there = re.findall(r"(?:^\|.*\n)+", part, re.MULTILINE)
        self.assertEqual(len(tables_there), 2)
        for table, what in zip(tables_there, ("kl", "total_variation")):
            header, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
            found = {(int(line[0]), column): cell for line in lines for column, cell in zip(header[1:], line[1:])}
            self.assertEqual(found, {(row["n"], f"{row['output']} {row['curve']}"): f"{row[what]:.3f}" for row in rows})


class Demo(Figures):
    NAMES = {
        "float": "float",
        "int8 logits, exact softmax": "int8-exact",
        "paper's limits, int16 `div`": "paper-i16-div",
        "paper's limits, uint8 `clb`": "paper-u8-clb",
        "K = 1, uint8 `scaled`": "hccs-k1",
        "K = 2, uint8 `scaled`": "hccs-k2",
        "K = 3, uint8 `scaled`": "hccs-k3",
        "everything in integers, K = 3": "integers",
    }

    def test_the_table_of_the_readme(self):
        rows = results.demo_rows()
        lines = [line for line in pathlib.Path("README.md").read_text().splitlines() if re.search(r"^\|.*\d\.\d+ to ", line)]
        self.assertEqual(len(lines), len(rows))
        for line in lines:
            label, *cells = (cell.strip() for cell in line.replace("**", "").strip("|").split("|"))
            with self.subTest(label):
                row = rows[self.NAMES[label]]
                kl = [f"{row[key]:.5f}" if row.get(key) else "0" if key in row else "" for key in ("head_kl_mean", "head_kl_max")]
                low, high = row["accuracy_ci95"]
                self.assertEqual(cells, [f"{row['accuracy']:.4f}", f"{low:.3f} to {high:.3f}", f"{row['cosine_mean']:.5f}",
                                         f"{row['cosine_min']:.4f}", f"{row['same_nearest']:.3f}", *kl])


class AiEngine(Figures):
    def test_what_the_readme_recommends(self):
        cycles, cycles_v2, fed, fed_v2 = self.found(
            r"at n = 128, 64 elements take # cycles on AIE-ML and # on AIE-ML v2; one tile with its feed does # and # · 10⁹", README)
        rows = {row["arch"]: row for row in results.aie_rows(part="native_heads", kernel="rows", mode="scaled", output="uint8",
                                                             knees=3, mask="length", n=128)}
        self.assert_figures([cycles, cycles_v2], [rows[device]["cycles_per_64"] for device in ("aie-ml", "aie-ml-v2")])
        self.assert_figures([fed, fed_v2], [rows[device]["fed_gelem_per_s_per_tile"] for device in ("aie-ml", "aie-ml-v2")])

    def test_the_speeds_of_the_readme(self):
        *figures, kernel, paper, paper_v2 = self.found(
            r"uint8 `clb` at n = 128 takes # cycles for 64 elements on AIE-ML and # on AIE-ML v2 \(`(\w+)`\), "
            r"where the paper's own kernel takes # and #", README)
        devices = ("aie-ml", "aie-ml-v2")
        plain = {"kernel": kernel, "output": "uint8", "knees": 1, "mask": "none"}
        cycles = {(row["arch"], row["n"], row["mode"]): row["cycles_per_64"] for row in results.aie_rows(**plain)}
        self.assert_figures(figures, [cycles[device, 128, "clb"] for device in devices])
        published = {(row["arch"], row["n"]): row["published_cycles_per_64"] for row in results.paper_cells("clb", "uint8")}
        self.assert_figures([paper, paper_v2], [published[device, 128] for device in devices])
        ratios = [cycles[device, n, "scaled"] / value for (device, n, mode), value in cycles.items() if mode == "clb"]
        self.assert_figures(self.found("`scaled` takes # to # times as long as `clb`", README), [min(ratios), max(ratios)])

    def worst_errors(self):
        cells = [results.paper_cells("clb", "uint8"), results.paper_cells("div", "int16")]
        self.assertEqual([len(rows) for rows in cells], [6, 6])
        return [max(abs(row["model_error_percent"]) for row in rows) for rows in cells]

    def test_how_far_the_model_is_from_the_paper(self):
        worst = self.worst_errors()
        self.assert_figures(self.found("twelve published cells of the paper's kernel within # %", README), [max(worst)])
        # One point more, as tests/aie/cycles/published_test.cc holds it.
        self.assert_figures(self.found(r"are reproduced within # % \(clb\) and # % \(div\)", DOCS), [1 + float(f"{x:.1f}") for x in worst])

    def test_the_published_cells_of_the_page(self):
        page = (results.RESULTS / "aie-throughput.md").read_text()
        for mode, output in (("clb", "uint8"), ("div", "int16")):
            for row in results.paper_cells(mode, output):
                device = {"aie-ml": "AIE-ML", "aie-ml-v2": "AIE-ML v2"}[row["arch"]]
                line = re.search(rf"^\| {device} {mode}, {output} +\| +{row['n']} \|.*$", page, re.MULTILINE)
                self.assertIsNotNone(line, row)
                cells = [cell.strip() for cell in line[0].strip("|").split("|")]
                self.assert_figures(cells[3:5], [row["published_cycles_per_64"], row["cycles_per_64"]])
                self.assertEqual(cells[5], f"{row['model_error_percent']:+.1f} %")

    def test_every_kernel_beats_the_papers_and_bf16_at_every_length(self):
        rows = results.aie_rows(mask="none")
        for device in ("aie-ml", "aie-ml-v2"):
            for n in (32, 64, 128, 256, 512):
                here = [row for row in rows if (row["arch"], row["n"]) == (device, n)]
                bf16 = min(row["cycles_per_64"] for row in here if row["output"] == "bf16")
                paper = min(row["cycles_per_64"] for row in here if row["kernel"] == "paper_rows")
                ours = [row for row in here if row["kernel"] in ("rows", "tiles") and row["knees"] == 1]
                self.assertEqual(len(ours), 12)
                for row in ours:
                    self.assertLess(row["cycles_per_64"], min(paper, bf16), row)


class Cpu(Figures):
    @classmethod
    def setUpClass(cls):
        cls.rates, cls.ratios, *cls.sums, cls.all = results.cpu_tables()

    def exact_table(self, step, target):
        line = self.ratios.get(f"exact-lut step {step} over hccs K=1, scaled uint8, {target}: times as fast")
        self.assertIsNotNone(line, target)
        return [line[n] for n in LENGTHS]

    def test_the_speeds_of_the_readme(self):
        printed = self.found(r"# · 10⁹ elements a second at n = 128 \(`scaled`, uint8\), # times oneDNN's int8 softmax and # times XNNPACK's", README)
        self.assert_figures(printed, [self.all["hccs K=1 scaled uint8 (avx512-vbmi)", "L1"]["128"],
                                      self.ratios["scaled uint8: times as fast as oneDNN int8"]["128"],
                                      self.ratios["scaled uint8: times as fast as XNNPACK qu8"]["128"]])
        self.assertIn("an exact table of the exponential costs as much as HCCS, or 40 % more where all its entries are in use", README)
        for narrow, wide in zip(self.exact_table("0.1", "avx512-vbmi"), self.exact_table("0.04", "avx512-vbmi")):
            self.assertAlmostEqual(narrow, 1, delta=0.04)
            self.assertAlmostEqual(wide, 1 / 1.4, delta=0.05)

    def test_the_measurements_of_the_cpu_page(self):
        causal = self.ratios["causal n x n over the full square, scaled uint8: time"]
        self.assert_figures(self.found(r"zeros are written\. Measured: #, #, #, #, #\.", DOCS), [causal[n] for n in ("64", "128", "256", "512", "1024")])
        half = self.ratios["n/2 valid of n over a full row of n/2, scaled uint8: time"]
        short, long = [half[n] for n in LENGTHS[:7]], [half[n] for n in LENGTHS[7:]]
        self.assert_figures(self.found(r"costs # to # of a full row of n/2 up to n = 512 and # to # above", DOCS),
                            [min(short), max(short), min(long), max(long)])
        narrow = [ratio for target in NARROW_TARGETS for ratio in self.exact_table("0.1", target)]
        self.assert_figures(self.found(r"at # to # of the speed of HCCS", DOCS), [min(narrow), max(narrow)])

    def test_the_pages_ratios_are_those_of_its_speeds(self):
        def fastest(kernel, n):  # the peer where it is fastest
            return max(line[n] for (label, _), line in self.all.items() if label.startswith(kernel + " "))

        compared = 0
        for label, ratios in self.ratios.items():
            match = re.fullmatch(r"(clb|scaled) uint8(, avx2 forced)?: times as fast as (oneDNN int8|XNNPACK qu8)", label)
            if match is None:
                continue
            peer = "onednn-s8" if match[3].startswith("oneDNN") else "xnnpack-qu8"
            ours = self.all[f"hccs K=1 {match[1]} uint8 ({'avx2' if match[2] else 'avx512-vbmi'})", "L1"]
            for n in LENGTHS:
                self.assertAlmostEqual(ratios[n] / (ours[n] / fastest(peer, n)), 1, delta=0.015, msg=f"{label}, n = {n}")
                compared += 1
        self.assertEqual(compared, 6 * len(LENGTHS))


class Accuracy(Figures):
    TABLE = {"table": "1", "granularity": "head", "quantise": "attention"}

    @classmethod
    def setUpClass(cls):
        def by_set(**wanted):
            return {(row["model"], row["task"]): row for row in results.accuracy_rows(**wanted)}

        cls.post_hoc = by_set(softmax="hccs", knees=1, limits="native", retrained=False, **cls.TABLE)
        cls.three_knees = by_set(softmax="hccs", knees=3, retrained=False, **cls.TABLE)
        cls.retrained = by_set(softmax="hccs", knees=1, retrained=True, learnable=False, **cls.TABLE)
        cls.continued = by_set(softmax="float", retrained=True, table="1")
        cls.paper = results.accuracy_rows(softmax="hccs", limits="paper", retrained=False, **cls.TABLE)

    def test_the_claims_of_the_readme(self):
        self.assertIn("K = 3 without retraining cannot be told from float there.", README)
        self.assertEqual(len(self.three_knees), 15)
        for row in self.three_knees.values():
            self.assertGreaterEqual(row["high"], 0, row)
        one, paper = self.found(r"K = 1, one set a head, loses up to # points \(under the paper's limits up to #\)", README)
        self.assert_figures([one, paper], [-min(row["difference"] for row in self.post_hoc.values()),
                                           -min(row["difference"] for row in self.paper)])
        worst = min(self.retrained.values(), key=lambda row: row["difference"])
        largest, examples = self.found(r"retrained, no loss can be told from 0 \(the largest is # points, of # examples\)", README)
        self.assert_figures([largest, examples], [-worst["difference"], worst["examples"]])
        for row in self.retrained.values():
            self.assertGreaterEqual(row["high"], 0, row)
        gains = [row["difference"] - self.retrained[key]["difference"] for key, row in self.continued.items()]
        self.assert_figures(self.found("a float model trained on for as long gains up to # points more", README), [max(gains)])

    def test_the_losses_of_one_knee_in_the_docs(self):
        printed = self.found(r"B loses # points on SNLI, C # on SNLI, # on MNLI and # on SST-2's dev set \(#, within, on dev and test together\)", DOCS)
        sets = [("B", "snli-test"), ("C", "snli-test"), ("C", "mnli-matched"), ("C", "sst2-dev"), ("C", "sst2-both")]
        self.assert_figures(printed, [-self.post_hoc[key]["difference"] for key in sets])
        printed = self.found(r"whose uint8 `clb` loses up to # points", DOCS)
        self.assert_figures(printed, [-min(row["difference"] for row in self.paper)])

    def test_the_control_in_the_docs(self):
        printed = self.found(r"bring B # points on SNLI and # on MNLI, more than retraining with HCCS at K = 1 ends with \(# and #\)", DOCS)
        sets = [("B", "snli-test"), ("B", "mnli-matched")]
        self.assert_figures(printed, [part[key]["difference"] for part in (self.continued, self.retrained) for key in sets])

    def test_the_page_is_made_of_the_stored_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "accuracy.md"
            tables.render(tables.Store("docs/results/accuracy.json", pathlib.Path(folder) / "lock"), page, tables.all_cells(False))
            self.assertEqual(page.read_text(), pathlib.Path("docs/results/accuracy.md").read_text())


if __name__ == "__main__":
    unittest.main()
