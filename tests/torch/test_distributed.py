# SPDX-License-Identifier: Apache-2.0
"""Calibration over torch.distributed: two gloo processes find what one finds."""

import os
import socket
import subprocess
import sys

import hccs

PROGRAM = """
import sys, warnings
import torch
import test_models
import hccs.torch

warnings.simplefilter("ignore")
rank, world, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
if world > 1:
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
model = test_models.bert().double()
texts = [{k: v[i : i + 1] for k, v in test_models.padded(s).items()} for s in range(6) for i in range(4)]
params = hccs.torch.calibrate(model, texts[rank::world], knees=2, rows=30, seed=3, **test_models.HOW)
params.save(f"{out}{rank}.json")
if world > 1:
    torch.distributed.destroy_process_group()
"""


def run(world, out):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(world), str(out)],
            env=environment,
            cwd=os.path.dirname(os.path.abspath(__file__)),
        )
        for rank in range(world)
    ]
    assert [p.wait(timeout=900) for p in processes] == [0] * world


def test_two_processes_are_one(tmp_path):
    run(1, tmp_path / "one")
    run(2, tmp_path / "two")
    one = (tmp_path / "one0.json").read_bytes()
    assert one == (tmp_path / "two0.json").read_bytes() == (tmp_path / "two1.json").read_bytes()
    assert hccs.Params.load(tmp_path / "one0.json").entries[0].rows == 30
