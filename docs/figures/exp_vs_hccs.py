#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/figures/exp_vs_hccs.svg: exp(-t) against the best clipped-linear fits with K = 1, 2, 3 knees.

  pip install numpy scipy matplotlib
  python3 docs/figures/exp_vs_hccs.py docs/figures/exp_vs_hccs.svg

Both sides are normalised over t in [0, 10], as softmax normalises a row. A clipped-linear score F + sum_k S_k max(D_k - t, 0)
is then a mixture of a uniform density and K triangles; weights and knees minimise KL(exp || fit). Another suffix (.png)
gives another format. The fits are printed.
"""
import sys

import matplotlib
import numpy as np
from scipy.optimize import minimize

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

END = 10.0
CELLS = 4000
T = (np.arange(CELLS) + 0.5) * END / CELLS
EXACT = np.exp(-T) / (1 - np.exp(-END))  # density
SHADES = {1: "#d95f02", 2: "#1b9e77", 3: "#7570b3"}


def unpack(theta, K):
    """Mixture weights (uniform first) and knees in 0..END from unconstrained numbers."""
    logits = np.append(theta[:K], 0.0)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum(), np.clip(END / (1 + np.exp(-theta[K:])), 1e-3, END)


def density(weights, knees, t):
    triangles = [w * 2 * np.maximum(D - t, 0) / D**2 for w, D in zip(weights[1:], knees)]
    return weights[0] / END + np.sum(triangles, axis=0)


def divergence(theta, K):
    weights, knees = unpack(theta, K)
    return float(np.sum(EXACT * np.log(EXACT / density(weights, knees, T))) * END / CELLS)


def fit(K, starts=12):
    rng = np.random.default_rng(1)
    best = None
    for _ in range(starts):
        options = {"maxiter": 8000, "maxfev": 8000, "xatol": 1e-7, "fatol": 1e-12}
        found = minimize(divergence, rng.normal(0, 1.5, 2 * K), args=(K,), method="Nelder-Mead", options=options)
        if best is None or found.fun < best.fun:
            best = found
    return (*unpack(best.x, K), best.fun)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # Reproducible bytes: fixed identifiers, no date.
    plt.rcParams.update({"svg.hashsalt": "hccs", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11})
    figure, axes = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
    tail = axes.inset_axes([0.46, 0.33, 0.52, 0.58])
    t = np.linspace(0, END, 1001)
    curves = [("exp(-t)", np.exp(-t), {"color": "black", "linewidth": 2.4})]
    for K in SHADES:
        weights, knees, kl = fit(K)
        order = np.argsort(knees)
        slopes = [2 * weights[1 + k] / knees[k] ** 2 for k in order]
        print(
            f"K = {K}: KL = {kl:.5f} nat, floor {weights[0] / END:.5f}, "
            + ", ".join(f"slope {S:.5f} to t = {knees[k]:.3f}" for S, k in zip(slopes, order))
        )
        # Back to the height of exp(-t): same mass over [0, END].
        curve = density(weights, knees, t) * (1 - np.exp(-END))
        curves.append((f"K = {K}, KL {kl:.4f} nat", curve, {"color": SHADES[K], "linewidth": 1.6}))
    for label, curve, style in curves:
        axes.plot(t, curve, label=label, **style)
        tail.semilogy(t, curve, **style)
    axes.set(xlim=(0, END), ylim=(0, 1.05), xlabel="t = distance below the row's maximum, in nats", ylabel="score, scaled to the same mass")
    tail.set(xlim=(0, END), ylim=(2e-5, 1.5))
    tail.set_title("the same, log scale", fontsize=10)
    tail.tick_params(labelsize=9)
    for each in (axes, tail):
        each.grid(color="0.9", linewidth=0.8)
        each.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9.5, columnspacing=1.4)
    metadata = {"Date": None} if sys.argv[1].endswith(".svg") else {}
    figure.savefig(sys.argv[1], metadata=metadata, dpi=110)


if __name__ == "__main__":
    main()
