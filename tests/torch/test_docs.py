# SPDX-License-Identifier: Apache-2.0
"""All blocks of docs/python.md, in their order and in one namespace."""

import json
import re
import warnings

import notebook
from conftest import ROOT

import hccs


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/python.md").read_text()
    blocks = re.findall(r"(?:<!-- needs: ([^>]*) -->\n)?```python\n(.*?)```", text, re.S)
    found = [code for needs, code in blocks if "ort" not in needs.split(", ")]
    assert len(found) >= 8
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random rows are odd
        for code in found:
            exec(compile(code, "docs/python.md", "exec"), names)
    assert hccs.Params.load("trained.json").layers == 2 and (tmp_path / "retrained.onnx").is_file()


def test_the_notebook_is_the_page_and_runs(tmp_path, monkeypatch):
    assert notebook.NOTEBOOK.read_text() == notebook.made(), "python3 tests/torch/notebook.py writes it anew"
    monkeypatch.chdir(tmp_path)
    cells = [c for c in json.loads(notebook.NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    assert len(cells) >= 8 and not any(c["outputs"] for c in cells)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cell in cells:
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert hccs.Params.load("trained.json").layers == 2 and (tmp_path / "retrained.onnx").is_file()
