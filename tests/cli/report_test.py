# SPDX-License-Identifier: Apache-2.0
"""hccs inspect and hccs report: report_test.py PATH_OF_HCCS [unittest options]. Needs NumPy; the page is also looked at in
Chromium, where there is one."""
import html.parser
import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest
import xml.etree.ElementTree

import numpy as np

import browser
import tiny_model
from cli_case import CliCase, hccs

WIDTHS = (1280, 420)
LAYERS, HEADS = 2, 3

# What the page must not have: anything that runs, or that asks for something.
FORBIDDEN = {"script", "iframe", "object", "embed", "img", "image", "use", "foreignobject", "form", "base"}


class Page(html.parser.HTMLParser):
    """The tags of a page, the targets of its links, and the order of its heads."""

    VOID = {"meta", "link", "br"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.open, self.text = set(), [], [], [], ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name in ("href", "src", "xlink:href", "srcset", "data"):
            if name in attributes:
                self.links.append(attributes[name])
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        self.text += data


class ReportCase(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="hccs-report-"))
        cls.dumps = tiny_model.write_dumps(cls.root / "dumps", layers=LAYERS, heads=HEADS)
        cls.other = tiny_model.write_dumps(cls.root / "held-out", layers=LAYERS, heads=HEADS, seed=2)
        cls.k1, cls.k3 = cls.root / "k1.json", cls.root / "k3.json"
        for knees, path in ((1, cls.k1), (3, cls.k3)):
            done = hccs("calibrate", "--logits", cls.dumps, "--name", "tiny", "--knees", knees, "-o", path)
            assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def edited(self, **changes):
        """The K = 3 parameter file with other values."""
        values = json.loads(self.k3.read_text())
        values.update(changes)
        path = self.work / "edited.json"
        path.write_text(json.dumps(values))
        return path

    def page(self, *arguments):
        path = self.work / "report.html"
        self.succeeds("report", *arguments, "-o", path)
        return path


class Inspect(ReportCase):
    def test_answers_first(self):
        lines = self.succeeds("inspect", self.k3, "--length", 64).stdout.splitlines()
        self.assertEqual(lines[0], "tiny: 2 layers x 3 heads, K = 3, for rows of 64 positions")
        self.assertEqual(lines[1:4], ["CPU: yes", "AI Engine: yes", "AI Engine, masked rows: yes"])
        self.assertEqual(lines[4], "aie4ml: no, K > 1 in 6 of 6 heads (layer 0, head 0: 3 knees, but K = 1)")
        self.assertEqual(lines[5], "paper: no, K > 1 in 6 of 6 heads (layer 0, head 0: 3 knees, but K = 1)")
        self.assertTrue(lines[6].startswith("output: uint8: "), lines[6])
        self.assertTrue(lines[7].startswith("normalisation: scaled; rows may get 0 everywhere by div to int16 beyond n = "), lines[7])
        self.assertTrue(lines[8].startswith("KL to softmax: mean 0.0"), lines[8])
        self.assertEqual(len(lines), 9)

    def test_details_have_every_head_and_reason(self):
        text = self.succeeds("inspect", self.k3, "--length", 64, "--details").stdout
        self.assertTrue(text.startswith(self.succeeds("inspect", self.k3, "--length", 64).stdout))
        self.assertIn("deployable (paper), rows of 64: no, 6 of 6 heads", text)
        self.assertIn("deployable (aie), masked rows of up to 64: yes, all 6 heads", text)
        for layer in range(LAYERS):
            for head in range(HEADS):
                self.assertIn(f"  layer {layer}, head {head}: not deployable (paper): 3 knees, but K = 1", text)
                self.assertRegex(text, rf"(?m)^ +{layer} +{head} +\d+ +\d+ +\d+@\d+ \d+@\d+ \d+@\d+ ")

    def test_heads_are_counted_by_rule(self):
        values = json.loads(self.k1.read_text())
        # n = 64: n*B too large in the first four, n*F too small in the fifth, and the last as the paper has it.
        for i, head in enumerate(values["parameters"]):
            head.update(B=[600, 601, 602, 603, 400, 400][i], knees=[[4, 100] if i < 4 else [[4, 100], [3, 100]][i - 4]])
        path = self.edited(**values)
        out = self.succeeds("inspect", path, "--length", 64).stdout
        self.assertIn("paper: no, n*B > 32767 in 4 of 6 heads (layer 0, head 0: n*B = 64*600 = 38400, but n*B <= 32767); "
                      "n*F < 256 in 1 of 6 heads (layer 1, head 1: n*F = 64*0 = 0, but n*F >= 256)\n", out)
        deployable = json.loads(self.succeeds("inspect", path, "--length", 64, "--json").stdout)["deployable"]
        self.assertEqual(deployable["paper"]["breaches"], {"n*B > 32767": 4, "n*F < 256": 1})
        self.assertEqual(len(deployable["paper"]["reasons"]), 5)
        self.assertEqual(deployable["cpu"], {"deployable": True, "reasons": []})

    def test_aie4ml_also_asks_for_steps_and_lengths(self):
        path = self.work / "paper.json"
        self.succeeds("calibrate", "--logits", self.dumps, "--limits", "paper", "--length", 16, "--knees", 1, "-o", path)
        out = self.succeeds("inspect", path, "--length", 16).stdout
        self.assertIn("paper: yes\n", out)
        self.assertRegex(out, r"aie4ml: no, step no 2\^-f in 6 of 6 heads \(layer 0, head 0: step 0\.\d+, but aie4ml's scales are")
        self.succeeds("calibrate", "--logits", self.dumps, "--limits", "paper", "--length", 16, "--knees", 1, "--step",
                      "power-of-two", "-o", path)
        self.assertIn("aie4ml: yes\npaper: yes\n", self.succeeds("inspect", path, "--length", 16).stdout)
        self.assertIn("aie4ml: no, n no multiple of 8 in 6 of 6 heads", self.succeeds("inspect", path, "--length", 15).stdout)


class Report(ReportCase):
    def test_a_page_is_complete_in_itself(self):
        for arguments in ([self.k3], [self.k3, "--logits", self.other], [self.k1, self.k3, "--logits", self.other]):
            with self.subTest(arguments=arguments):
                text = self.page(*arguments).read_text()
                page = Page(text)
                self.assertFalse(page.tags & FORBIDDEN)
                self.assertTrue(all(link.startswith("#") or link == "data:," for link in page.links), page.links)
                self.assertNotIn("url(", text)
                self.assertNotIn("@import", text)
                self.assertFalse({link[1:] for link in page.links if link.startswith("#")} - set(page.ids))
                self.assertEqual(len(page.ids), len(set(page.ids)))
                heads = [i for i in page.ids if re.fullmatch(r"l\dh\d", i)]
                self.assertEqual(len(heads), LAYERS * HEADS)
                for svg in re.findall(r"<svg.*?</svg>", text):
                    xml.etree.ElementTree.fromstring(svg)

    def test_the_page_has_the_numbers_of_the_file(self):
        text = Page(self.page(self.k3).read_text()).text
        for head in json.loads(self.k3.read_text())["parameters"]:
            formula = "".join(f" −\u00a0{s}·min(d,\u00a0{d})" for s, d in head["knees"])
            self.assertIn(f"s = {head['B']}{formula}", text)
            self.assertIn(f"{head['kl']:.5f}", text)

    def test_the_same_files_give_the_same_page(self):
        pages = [self.page(self.k1, self.k3, "--logits", self.other, "--threads", n).read_bytes() for n in (1, 3)]
        self.assertEqual(pages[0], pages[1])

    def test_logits_that_were_calibrated_on_are_called_so(self):
        self.assertIn("was calibrated on these very logits", self.page(self.k3, "--logits", self.dumps).read_text())
        self.assertNotIn("was calibrated on these very logits", self.page(self.k3, "--logits", self.other).read_text())

    def test_json_has_the_numbers_of_the_page(self):
        out = self.work / "r.html"
        report = json.loads(self.succeeds("report", self.k3, "--logits", self.other, "--json", "-o", out).stdout)
        self.assertEqual((report["output"], report["logits"], len(report["files"])), (str(out), str(self.other), 1))
        file, text = report["files"][0], out.read_text()
        self.assertEqual(file["deployable"], {"cpu": True, "aie": True, "aie_masked": True, "aie4ml": False, "paper": False})
        lengths = np.load(self.other / "lengths.npy")
        for head, calibrated in zip(file["heads"], json.loads(self.k3.read_text())["parameters"], strict=True):
            self.assertEqual((head["layer"], head["head"], head["kl"]), (calibrated["layer"], calibrated["head"], calibrated["kl"]))
            self.assertEqual(head["rows"], len(lengths))
            self.assertIn(f"<td>{head['kl_mean']:.5f}</td>", text)
            # Every valid position at its distance, in int8 logits: half to even, clamped.
            logits = np.load(self.other / f"layer{head['layer']}_head{head['head']}.npy").astype(np.float64)
            x = np.clip(np.rint(logits / calibrated["step"]), -128, 127).astype(int)
            valid = np.arange(x.shape[1]) < lengths[:, None]
            d = np.where(valid, x, -128).max(axis=1, keepdims=True) - x
            self.assertEqual(head["distances"], np.bincount(d[valid], minlength=256).tolist())
        plain = json.loads(self.succeeds("report", self.k3, "--json", "-o", out).stdout)
        self.assertEqual(set(plain["files"][0]["heads"][0]), {"layer", "head", "kl"})

    def test_names(self):
        text = Page(self.page(self.k1, self.k3, "--names", "one line", "<b>three</b>").read_text()).text
        self.assertIn("one line", text)
        self.assertIn("<b>three</b>", text)
        self.assertNotIn("k1.json", text)
        (self.work / "sub").mkdir()
        shutil.copy(self.k1, self.work / "sub" / "k3.json")
        text = Page(self.page(self.k3, self.work / "sub" / "k3.json").read_text()).text
        self.assertIn(str(self.work / "sub" / "k3.json"), text)

    def test_nothing_of_a_file_becomes_markup(self):
        hostile = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)> @HEADS@ \u202e"
        path = self.edited(model=hostile, data_digest=hostile)
        page = Page(self.page(path, "--names", hostile).read_text())
        self.assertFalse(page.tags & FORBIDDEN)
        self.assertIn(hostile, page.text)
        self.assertEqual(sum(i.startswith("l") for i in page.ids), LAYERS * HEADS)

    def test_a_name_that_is_no_utf8(self):
        path = os.fsencode(self.work) + b"/caf\xe9.json"
        shutil.copy(self.k3, path)
        text = self.page(os.fsdecode(path)).read_bytes().decode("utf-8")
        self.assertIn("caf\ufffd.json", text)

    def test_refusals_write_nothing(self):
        out = self.work / "report.html"
        bad = self.work / "bad.json"
        bad.write_text("{}")
        small = tiny_model.write_dumps(self.work / "small", layers=1, heads=HEADS)
        self.succeeds("calibrate", "--logits", small, "-o", self.work / "small.json")
        for arguments, parts in (
            ([bad], [bad]), ([self.work / "none.json"], ["none.json"]), ([self.k3, self.work / "small.json"], ["small.json", "1 layers x 3", "k3.json", "2 x 3"]),
            ([self.k3, "--logits", self.work / "none"], ["none"]), ([self.k3, "--logits", small], ["2", "1"]),
        ):
            with self.subTest(arguments=arguments):
                self.refused(hccs("report", *arguments, "-o", out), *parts)
                self.assertFalse(out.exists())
        out.write_text("earlier")
        self.refused(hccs("report", bad, "-o", out), bad)
        self.assertEqual(out.read_text(), "earlier")
        before = self.k3.read_bytes()
        self.refused(hccs("report", self.k3, "-o", self.k3), self.k3)
        self.refused(hccs("report", self.k1, self.k3, "-o", self.root / "." / "k3.json"), "k3.json")
        self.assertEqual(self.k3.read_bytes(), before)
        self.refused(hccs("report", self.k3, "-o", self.work), self.work)
        self.refused(hccs("report", self.k3, "-o", self.work / "no" / "r.html"), "no")
        self.refused(hccs("report", self.k1, self.k3, "--names", "one", "-o", out), "1 names for 2 files", code=2)
        self.refused(hccs("report", "-o", out), "--help", code=2)


@unittest.skipUnless(browser.find(), "no Chromium on this machine")
class InTheBrowser(ReportCase):
    """The page as people meet it, at two widths, light and dark."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = browser.Browser().__enter__()
        cls.addClassCleanup(cls.browser.__exit__)
        long_name = "a/model-with-a-rather-long-name-that-nobody-would-break-for-us-" * 3
        values = json.loads(cls.k3.read_text())
        values["model"] = long_name
        cls.long = cls.root / "long.json"
        cls.long.write_text(json.dumps(values))
        cls.pages = []
        for i, arguments in enumerate(([cls.k3], [cls.k1, cls.k3, "--logits", cls.other],
                                       [cls.long, cls.k1, cls.k3, cls.k1, "--names", long_name, "b", "c", "d", "--logits", cls.other])):
            path = cls.root / f"report{i}.html"
            done = hccs("report", *arguments, "-o", path)
            assert done.returncode == 0, done.stderr
            cls.pages.append(path)

    def each_view(self):
        for path in self.pages:
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    with self.subTest(page=path.name, width=width, scheme=scheme):
                        self.browser.open(path, width, 900, scheme)
                        yield path

    def test_nothing_is_asked_for_and_nothing_complains(self):
        for path in self.each_view():
            asked = [r for r in self.browser.requests() if not r.startswith("data:")]
            self.assertEqual(asked, [path.absolute().as_uri()])
            self.assertEqual(self.browser.complaints(), [])

    def test_the_page_does_not_scroll_sideways(self):
        for _ in self.each_view():
            # Sections that are out of sight are laid out when they come into it.
            self.browser.evaluate("document.querySelectorAll('.card').forEach(c => c.style.contentVisibility = 'visible')")
            width, inner = self.browser.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            wide = self.browser.evaluate("""[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .skip') &&
                e.getBoundingClientRect().right > innerWidth + 0.5).slice(0, 5).map(e => e.outerHTML.slice(0, 120))""")
            self.assertEqual(wide, [])
            self.assertEqual(width, inner)

    def test_every_picture_has_a_size_and_a_title(self):
        for _ in self.each_view():
            pictures = self.browser.evaluate("""[...document.querySelectorAll('svg:not([aria-hidden])')].map(s =>
                [s.getBoundingClientRect().width, s.getBoundingClientRect().height, s.querySelector('title').textContent])""")
            self.assertGreaterEqual(len(pictures), 2 + LAYERS * HEADS)
            for width, height, title in pictures:
                self.assertGreater(min(width, height), 60, title)
                self.assertTrue(title)

    def test_a_cell_of_the_map_leads_to_its_head(self):
        self.browser.open(self.pages[1], 1280, 900)
        seen = self.browser.evaluate("""(() => { document.documentElement.style.scrollBehavior = 'auto';
            const link = document.querySelector('.map a[href="#l1h0"]');
            link.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
            return new Promise(done => setTimeout(() => done([location.hash,
                document.getElementById('l1h0').getBoundingClientRect().top, innerHeight]), 300)); })()""")
        self.assertEqual(seen[0], "#l1h0")
        self.assertGreaterEqual(seen[1], 0)
        self.assertLess(seen[1], seen[2])

    def test_texts_have_contrast(self):
        """WCAG 2.2's 4.5 to 1, for what is written on the page, on panels, on chips and on the classes of KL."""
        script = """(() => {
            const rgb = c => c.match(/[\\d.]+/g).map(Number).slice(0, 3);
            const light = c => { const [r, g, b] = rgb(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                                 return .2126 * r + .7152 * g + .0722 * b; };
            const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
            const found = [], probe = document.createElement('div');
            document.body.append(probe);
            const add = (what, ink, paper) => { probe.style.color = ink; probe.style.background = paper;
                const s = getComputedStyle(probe); found.push([what, contrast(s.color, s.backgroundColor)]); };
            for (const paper of ['paper', 'panel']) for (const ink of ['ink', 'soft', 'accent', 'yes', 'no'])
                add(ink + ' on ' + paper, `var(--${ink})`, `var(--${paper})`);
            for (const chip of ['yes', 'no']) add(chip + ' chip', `var(--${chip})`, `var(--${chip}-paper)`);
            for (let c = 0; c < 8; ++c) add('class ' + c, `var(--t${c})`, `var(--k${c})`);
            probe.remove();
            return found; })()"""
        for scheme in ("light", "dark"):
            self.browser.open(self.pages[0], 1280, 900, scheme)
            measured = self.browser.evaluate(script)
            self.assertEqual(len(measured), 20)
            for what, contrast in measured:
                self.assertGreaterEqual(contrast, 4.5, f"{scheme}: {what}")

    def test_the_screen_is_not_blank(self):
        for _ in self.each_view():
            picture = self.browser.screenshot()
            self.browser.evaluate("document.body.style.visibility = 'hidden'")
            self.assertGreater(len(picture), 3 * len(self.browser.screenshot()))  # PNG: what is even takes no room


if __name__ == "__main__":
    unittest.main()
