# SPDX-License-Identifier: Apache-2.0
"""What a parameter file does to a model's attention, head by head, on batches that it was not calibrated on."""

from .. import evaluate
from ._attention import sample

FIELDS = (
    "layer",
    "head",
    "rows",
    "kl_mean",
    "kl_worst",
    "top1_agreement",
    "largest_error",
    "largest_probability",
    "largest_float_probability",
)


class Report:
    """Of each head an hccs.HeadEvaluation, in `heads`. print() shows a table, worst heads first."""

    def __init__(self, heads, samples, params, normalisation, output_type):
        self.heads, self.params = heads, params
        self._samples, self._how = samples, (normalisation, output_type)

    @property
    def kl_mean(self):
        """The mean over heads of their mean KL(softmax || integers), in nats."""
        return sum(h.kl_mean for h in self.heads) / len(self.heads)

    def worst(self, count=10):
        return sorted(self.heads, key=lambda h: -h.kl_mean)[:count]

    def dataframe(self):
        """A row a head, as a pandas.DataFrame."""
        import pandas

        return pandas.DataFrame([{f: getattr(h, f) for f in FIELDS} for h in self.heads])

    def plot(self, count=6):
        """Float softmax against HCCS of the worst heads, as a matplotlib figure: a point a position."""
        import matplotlib.pyplot as pyplot
        import numpy as np

        from .. import Plan, quantise_logits

        shown = self.worst(count)
        figure, axes = pyplot.subplots(1, len(shown), figsize=(3 * len(shown), 3), squeeze=False)
        for axis, head in zip(axes[0], shown):
            entry = self.params[head.layer, head.head]
            plan = Plan([entry], *self._how)
            full = 255 if self._how[1] == "uint8" else 32767
            for _, row in self._samples[head.layer * self.params.heads + head.head].rows()[:64]:
                exact = np.exp(row.astype(np.float64) - row.max())
                axis.plot(exact / exact.sum(), plan(quantise_logits(row, entry.step)) / full, "k.", markersize=2)
            axis.plot([0, 1], [0, 1], linewidth=0.5)
            axis.set(
                title=f"layer {head.layer}, head {head.head}: KL {head.kl_mean:.3f}", xlabel="float", ylabel="HCCS"
            )
        figure.tight_layout()
        return figure

    def __str__(self):
        lines = [
            f"{len(self.heads)} heads, mean KL {self.kl_mean:.5f} nat",
            "layer head    rows   KL mean  KL worst  top-1  error",
        ]
        lines += [
            f"{h.layer:5} {h.head:4} {h.rows:7}  {h.kl_mean:8.5f}  {h.kl_worst:8.5f}  {h.top1_agreement:5.3f}"
            f"  {h.largest_error:5.3f}"
            for h in self.worst(len(self.heads))
        ]
        return "\n".join(lines)


def report(
    model, params, batches, *, rows=4096, seed=0, normalisation="scaled", output_type="uint8", centre=False, **how
):
    """Runs the model with exact attention over held-out batches, and compares each head's softmax with its integers.

    Returns a Report: str() is a table, .dataframe() needs pandas, .plot() matplotlib. centre: as it was in calibrate().
    `how`: as for hccs.evaluate.
    """
    samples, heads, _ = sample(model, batches, rows, seed, centre=centre)
    if (len(samples), heads) != (params.layers * params.heads, params.heads):
        raise ValueError(
            f"hccs: the model has {len(samples) // heads} layers of {heads} heads, "
            f"but params {params.layers} of {params.heads}"
        )
    found = evaluate(samples, params, normalisation=normalisation, output_type=output_type, **how)
    return Report(found, samples, params, normalisation, output_type)
