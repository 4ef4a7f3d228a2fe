# SPDX-License-Identifier: Apache-2.0
"""Speed of the Python package: a call from NumPy, and calibration of a model's size. `make bench-python` runs it in the
environment of `make test-python`.

    python_bench.py [--heads 270] [--rows 4096] [--calls-only]
"""

import argparse
import os
import time
import timeit
import warnings

import numpy as np

import hccs
from hccs import _core


def call_times():
    plan = hccs.Plan([hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)])])
    x = np.random.default_rng(0).integers(-128, 128, (1, 64, 64)).astype(np.int8)
    out, mask = np.empty(x.shape, np.uint8), np.ones((64, 64), bool)
    small, small_out = x[:, :1, :8], np.empty((1, 1, 8), np.uint8)
    print(f"{'':28} {'Python':>8} {'C++':>8} {'more':>8}")
    for name, call, native in (
        ("1 row of 8, out=", lambda: plan(small, small_out), (small, small_out)),
        ("1 row of 8, a new array", lambda: plan(small), (small, small_out)),
        ("64 rows of 64, out=", lambda: plan(x, out), (x, out)),
        ("64 rows of 64, out=, mask=", lambda: plan(x, out, mask=mask), None),
    ):
        seconds = min(timeit.repeat(call, number=10000, repeat=7)) / 10000
        told = f"{name:28} {1e6 * seconds:5.2f} us"
        if native:
            least = min(_core.seconds_a_call(plan, *native, 10000) for _ in range(7))
            told += f" {1e6 * least:5.2f} us {1e6 * (seconds - least):5.2f} us"
        print(told)


def calibration_time(heads, rows):
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(heads):
        sample = hccs.RowSample(rows)
        sample.add(0, rng.normal(0, 2.5, (rows, 256)).astype(np.float32), lengths=rng.integers(1, 257, rows))
        samples.append(sample)
    wall, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hccs.calibrate(samples, heads, knees=3, progress=False)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{heads} heads x {rows} rows of 1 to 256, K = 3: {wall:.1f} s, {processor:.1f} s of processor time")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=270)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--calls-only", action="store_true")
    arguments = parser.parse_args()
    print(f"hccs {hccs.__version__}, {hccs.targets()[0]}, load {os.getloadavg()[0]:.1f}")
    call_times()
    if not arguments.calls_only:
        calibration_time(arguments.heads, arguments.rows)


if __name__ == "__main__":
    main()
