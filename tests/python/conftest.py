# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: the golden rows, and rows drawn by a printed seed."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def golden_rows(name):
    """The rows of tests/contract/golden, or of the folder that HCCS_GOLDEN names."""
    folder = pathlib.Path(os.environ.get("HCCS_GOLDEN") or ROOT / "tests/contract/golden")
    rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    assert rows, f"no rows in {folder / name}"
    return rows


@pytest.fixture
def rng():
    seed = int(os.environ.get("HCCS_SEED") or np.random.SeedSequence().entropy % 2**32)
    print(f"HCCS_SEED={seed}")
    return np.random.default_rng(seed)


@pytest.fixture
def program():
    """Runs the hccs program that HCCS_PROGRAM names; without it, or build/hccs, the test is skipped."""
    path = pathlib.Path(os.environ.get("HCCS_PROGRAM") or ROOT / "build/hccs")
    if not path.is_file():
        pytest.skip(f"{path} is not there: `make build` makes it")

    def run(*arguments):
        result = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=600)
        assert result.returncode == 0, result.stderr
        return result

    return run


@pytest.fixture
def tiny_model(tmp_path):
    """A random BertModel folder, and texts for it."""
    sys.path.insert(0, str(ROOT / "tests/cli"))
    import tiny_model as tiny

    return tiny.write_model(tmp_path / "model"), tiny.sentences(40)
