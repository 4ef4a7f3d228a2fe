# SPDX-License-Identifier: Apache-2.0
"""examples/executorch: the operator is built and its example run, where the Python package executorch is installed
(pip install executorch, into build/venv-torch)."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow
EXAMPLE = ROOT / "examples/executorch"


def test_the_example_gives_the_same_bits(tmp_path):
    found = importlib.util.find_spec("executorch")
    if found is None:
        pytest.skip("the Python package executorch is not installed")
    folder = pathlib.Path(list(found.submodule_search_locations)[0])
    # Kept from run to run: the library is compiled with it.
    build = ROOT / "build/executorch"
    configure = ["cmake", "-S", EXAMPLE, "-B", build, "-D", "CMAKE_BUILD_TYPE=Release", "-D", f"EXECUTORCH={folder}"]
    for command in (configure, ["cmake", "--build", build, "--target", "hccs_executorch", "--parallel", "2"]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    ran = subprocess.run(
        [sys.executable, EXAMPLE / "example.py", build / "libhccs_executorch.so"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "the same 4608 probabilities" in ran.stdout
