# SPDX-License-Identifier: Apache-2.0
"""What the tests of hccs.torch share."""

import os
import pathlib

import numpy as np
import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")
torch.set_num_threads(2)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes, and is not part of CI (make test-torch runs it)")


@pytest.fixture
def rng():
    seed = int(os.environ.get("HCCS_SEED") or np.random.SeedSequence().entropy % 2**32)
    print(f"HCCS_SEED={seed}")
    torch.manual_seed(seed)
    return np.random.default_rng(seed)
