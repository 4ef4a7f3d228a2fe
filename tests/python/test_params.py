# SPDX-License-Identifier: Apache-2.0
"""Params: the parameter file of the C++ program."""

import json
import os
import pickle

import pytest
from conftest import ROOT

import hccs

FILE = ROOT / "tests/install/params.json"


def test_same_bytes_back(tmp_path):
    params = hccs.Params.load(FILE)
    params.save(tmp_path / "a.json")  # the file above was written by hand
    hccs.Params.load(tmp_path / "a.json").save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert hccs.Params.load(tmp_path / "b.json") == params
    pickle.loads(pickle.dumps(params)).save(tmp_path / "c.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "c.json").read_bytes()
    again = pickle.loads(pickle.dumps(params.entries))
    assert [e.params for e in again] == [e.params for e in params.entries]


def test_fields():
    params = hccs.Params.load(str(FILE))
    said = json.loads(FILE.read_text())
    assert params.layers == said["layers"] and params.heads == said["heads"] and params.knees == said["knees"]
    assert params.model == said["model"] and params.limits == "native" and params.share == "head"
    assert len(params.entries) == params.layers * params.heads
    last = params[params.layers - 1, params.heads - 1]
    assert last.params == params.layer(params.layers - 1)[-1] == params.entries[-1].params
    assert last.step == params.entries[-1].step > 0 and not params.fits
    for at in ((params.layers, 0), (0, params.heads), (-1, 0)):
        with pytest.raises(IndexError):
            params[at]


def test_made_by_hand(tmp_path):
    entries = [hccs.HeadEntry(hccs.HeadParams(300 + h, [(2, 100)]), 0.1, rows=5) for h in range(6)]
    params = hccs.Params("mine", 2, 3, entries, head_dimension=64, sequence_length=128)
    params.save(tmp_path / "p.json")
    loaded = hccs.Params.load(tmp_path / "p.json")
    assert loaded == params and loaded[1, 2].params.offset == 305 and loaded[0, 0].rows == 5
    assert loaded != hccs.Params("mine", 3, 2, entries) and loaded != 1


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.json"):
        hccs.Params.load(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text(FILE.read_text().replace('"knees"', '"bees"'))
    with pytest.raises(ValueError, match="bad.json.*knees"):
        hccs.Params.load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        hccs.Params.load(FILE).save(tmp_path / "nowhere" / "p.json")
    with pytest.raises(OSError):
        hccs.Params.load(tmp_path)
    if os.getuid() != 0:
        os.chmod(tmp_path, 0o500)
        with pytest.raises(OSError):
            hccs.Params.load(FILE).save(tmp_path / "p.json")
    entry = hccs.HeadEntry(hccs.HeadParams(300, [(2, 100)]), 0.1)
    for arguments, part in (((1, 2, [entry]), "1"), ((0, 1, []), "0")):
        with pytest.raises(ValueError, match=part):
            hccs.Params("m", *arguments)
    with pytest.raises(ValueError, match="step"):
        hccs.Params("m", 1, 1, [hccs.HeadEntry(hccs.HeadParams(300, [(2, 100)]), -0.1)])
    with pytest.raises(ValueError, match="few.*native"):
        hccs.Params("m", 1, 1, [entry], limits="few")
