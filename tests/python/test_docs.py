# SPDX-License-Identifier: Apache-2.0
"""The blocks of docs/python.md, in their order and in one namespace, but for those that need PyTorch (tests/torch)."""

import re
import warnings

from conftest import ROOT

import hccs
import hccs.onnx


def blocks(page, without):
    """The Python blocks of a page, without those that need one of these."""
    text = (ROOT / page).read_text()
    found = re.findall(r"(?:<!-- needs: ([^>]*) -->\n)?```python\n(.*?)```", text, re.S)
    return [code for needs, code in found if not set(re.split(r",\s*", needs)) & set(without)]


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    without = ["torch"]
    try:
        hccs.onnx.library()
    except FileNotFoundError:
        without.append("ort")
    found = blocks("docs/python.md", without)
    assert len(found) >= 6
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random rows are odd
        for code in found:
            exec(compile(code, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert "32767" in said and "softmax 0 replaced" in said
    assert (names["p"].dtype, (tmp_path / "params.json").is_file()) == ("uint8", True)
