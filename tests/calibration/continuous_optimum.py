#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far are calibrated heads from the best real-valued fit that many restarts of a general optimiser find?

Takes a folder of logit dumps (docs/calibration.md) and parameter files that `hccs calibrate --logits` wrote for all of
its rows:

    for k in 1 2 3; do hccs calibrate --logits DIR --rows 100000 --knees $k -o params-k$k.json; done
    continuous_optimum.py DIR params-k1.json params-k2.json params-k3.json

For some heads and each file it minimises mean KL(softmax(logits) || f(t) / sum f(t)), f(t) = F + sum_k S_k max(T_k - t, 0),
over unrounded distances t, from random starts: L-BFGS-B on some of the rows, the best of these on all rows, then a
Nelder-Mead polish. It shares no code with the calibrator. Exit code 1 if, in the mean over heads, the calibrator's
real-valued fit is more than 3 % above the best found, or its integers add more than 0.0005 nat; 2 for wrong usage.
Needs numpy and scipy.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
from scipy.optimize import minimize


class Rows:
    """Rows of logits, flat, as distances from each row's maximum."""

    def __init__(self, rows):
        self.start = np.cumsum([0] + [len(r) for r in rows[:-1]])
        self.t = np.concatenate([r.max() - r for r in rows])
        self.row = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        weight = np.exp(-self.t)
        self.p = weight / np.add.reduceat(weight, self.start)[self.row]
        self.count = len(rows)
        positive = self.p[self.p > 0]
        self.negative_entropy = np.sum(positive * np.log(positive)) / self.count

    def kl(self, v):
        """Mean KL and its gradient; v = log F, log S_1..K, log T_1..K."""
        knees = len(v) // 2
        floor, slope, position = np.exp(v[0]), np.exp(v[1 : 1 + knees]), np.exp(v[1 + knees :])
        above = [np.maximum(position[k] - self.t, 0) for k in range(knees)]
        f = floor + sum(s * a for s, a in zip(slope, above))
        z = np.add.reduceat(f, self.start)
        value = self.negative_entropy + (np.sum(np.log(z)) - np.sum(self.p * np.log(f))) / self.count
        by_f = (1 / z[self.row] - self.p / f) / self.count
        gradient = [floor * np.sum(by_f)]
        gradient += [slope[k] * np.sum(by_f * above[k]) for k in range(knees)]
        gradient += [slope[k] * position[k] * np.sum(by_f[above[k] > 0]) for k in range(knees)]
        return value, np.array(gradient)


def best_fit(rows, knees, starts, random):
    def minimise(some, start, iterations):
        bounds = [(-20, 5)] * (1 + knees) + [(-6, 4)] * knees
        return minimize(some.kl, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})

    some = Rows([rows[i] for i in random.permutation(len(rows))[:500]])
    every = Rows(rows)
    found = []
    for _ in range(starts):
        position = np.sort(random.uniform(np.log(0.3), np.log(16.0), knees))
        start = np.concatenate([[random.uniform(-9, -2)], random.uniform(-5, 0, knees), position])
        found.append(minimise(some, start, 300))
    found.sort(key=lambda m: m.fun)
    best = min((minimise(every, m.x, 500) for m in found[:4]), key=lambda m: m.fun)
    polished = minimize(lambda v: every.kl(v)[0], best.x, method="Nelder-Mead", options={"maxfev": 150 * len(best.x)})
    return min(best.fun, polished.fun)


def read_rows(folder, layer, head):
    name = f"layer{layer}_head{head}"
    logits = np.load(folder / f"{name}.npy")
    own = folder / f"{name}_lengths.npy"
    lengths = np.load(own if own.exists() else folder / "lengths.npy")
    return [row[:n].astype(np.float64) for row, n in zip(logits, lengths)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logits", type=pathlib.Path, help="folder of dumps")
    parser.add_argument("params", nargs="+", type=pathlib.Path, help="parameter files, one a K")
    parser.add_argument("--heads", type=int, default=8, help="how many, spread over the model (default 8)")
    parser.add_argument("--starts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    files = [json.loads(path.read_text()) for path in options.params]
    shape = {(f["layers"], f["heads"]) for f in files}
    if len(shape) != 1:
        parser.error(f"files of different models: {shape}")
    layers, heads = shape.pop()
    places = sorted({int(i) for i in np.linspace(0, layers * heads - 1, options.heads)})

    print(f"{'layer':>5} {'head':>4} {'K':>2}  {'best found':>10} {'calibrator':>10} {'ratio':>6}  {'integers':>9} {'added':>8}")
    table = {f["knees"]: [] for f in files}
    for place in places:
        layer, head = divmod(place, heads)
        rows = read_rows(options.logits, layer, head)
        for f in sorted(files, key=lambda f: f["knees"]):
            entry = next(e for e in f["parameters"] if (e["layer"], e["head"]) == (layer, head))
            if entry["rows"] != len(rows):
                parser.error(f"layer {layer}, head {head} was fitted to {entry['rows']} of {len(rows)} rows: use --rows")
            best = best_fit(rows, f["knees"], options.starts, np.random.default_rng([options.seed, place]))
            table[f["knees"]].append((best, entry["kl_continuous"], entry["kl"]))
            print(f"{layer:>5} {head:>4} {f['knees']:>2}  {best:>10.6f} {entry['kl_continuous']:>10.6f} "
                  f"{entry['kl_continuous'] / best:>6.3f}  {entry['kl']:>9.6f} {entry['kl'] - entry['kl_continuous']:>8.6f}",
                  flush=True)  # fmt: skip
    good = True
    for knees, results in sorted(table.items()):
        best, continuous, integers = np.mean(results, axis=0)
        ok = continuous <= 1.03 * best and integers - continuous <= 0.0005
        good = good and ok
        print(f" mean      {knees:>2}  {best:>10.6f} {continuous:>10.6f} {continuous / best:>6.3f}  {integers:>9.6f} "
              f"{integers - continuous:>8.6f}  {'ok' if ok else 'TOO HIGH'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
