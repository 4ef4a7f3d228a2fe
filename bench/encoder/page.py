# SPDX-License-Identifier: Apache-2.0
"""docs/results/encoder-cpu.md of the results that run.py wrote."""

LENGTHS = (16, 32, 64, 128, 256)
INTRODUCTION = """# The sentence encoder on one core

`make bench-encoder` writes this page. all-MiniLM-L6-v2 on
{cpu}, each engine in a process of its own, pinned to one core (two for two threads),
engines in turn; the least time of {rounds} round(s), of one thread the processor's, which a busy machine lengthens
little. Load averages before and after: {load}.
Every target of the integer encoder gave the same bits before anything was timed. An embedding begins with token ids and
ends with a vector of length 1. Texts of one length were compiled for that length where the engine can (OpenVINO).
`products` are the integer encoder's matrix products alone, in oneDNN's int8 with packed weights; `own-products` are the
same by its own kernels, which requantise the sums as well. `--precise` is a model with attention's wide weights
(`hccs quantise --precise`). Threads share a single text, too.
"""


def ms(value):
    return "" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def table(rows, names):
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


class Results:
    def __init__(self, times):
        self.rows = {(r["engine"], r["precision"], r["target"], r["threads"], r["batch"], r["n"]): r
                     for r in times["rows"]}
        self.engines = list(dict.fromkeys(key[:3] for key in self.rows))

    def get(self, engine, threads, batch, n, field="ms"):
        row = self.rows.get((*engine, threads, batch, n))
        return None if row is None else row[field]

    def best(self, name, precision, n):
        """Of an engine's variants the fastest."""
        found = [self.get(e, 1, 1, n) for e in self.engines if e[0] == name and e[1].startswith(precision)]
        return min((f for f in found if f is not None), default=None)


def label(engine):
    name, precision, target = engine
    return f"{name} {precision}" + (f", {target}" if target else "")


def times_table(results):
    rows = []
    for engine in results.engines:
        values = [results.get(engine, 1, 1, n) for n in LENGTHS]
        rows.append([label(engine), *map(ms, values)])
    return table(rows, ["ms a text, one thread", *(f"n = {n}" for n in LENGTHS)])


def ratio_table(results):
    own = {"the best target": lambda n: results.best("hccs-int8", "int8", n),
           "avx2": lambda n: results.get(("hccs-int8", "int8", "avx2"), 1, 1, n)}
    peers = (("products", "int8"), ("openvino", "int8"), ("openvino", "bfloat16"), ("onnxruntime", "int8"),
             ("onnxruntime", "float32"), ("hccs-float", "float32"))
    rows = []
    for name, mine in own.items():
        for peer in peers:
            cells = []
            for n in LENGTHS:
                a, b = mine(n), results.best(*peer, n)
                a, b = (b, a) if peer[0] == "products" else (a, b)
                cells.append("" if a is None or b is None else f"{b / a:.2f}")
            if any(cells) and peer[0] == "products":
                rows.append([f"hccs-int8, {name} : products", *cells])
            elif any(cells):
                rows.append([f"{' '.join(peer)} : hccs-int8, {name}", *cells])
    return table(rows, ["times as long", *(f"n = {n}" for n in LENGTHS)])


def stream_table(results):
    rows = []
    for engine in results.engines:
        cells = [results.get(engine, t, b, n, "tokens_per_s") for t, b, n in ((1, 1, 0), (1, 32, 0), (2, 32, 0))]
        if any(c is not None for c in cells):
            rows.append([label(engine), *("" if c is None else f"{c:,.0f}" for c in cells),
                         ms(results.get(engine, 2, 1, 128))])
    names = ["tokens a second, short texts", "batch 1", "batch 32", "batch 32, two threads", "ms, n = 128, two threads"]
    if not any(key[3] == 2 for key in results.rows):  # two threads were not timed
        names = names[:3]
        rows = [row[:3] for row in rows]
    return table(rows, names)


def quality_table(quality):
    return table([[r["engine"], str(r["knees"] or ""), f"{r['accuracy']:.4f}", f"{r['cosine_mean']:.5f}",
                   f"{r['cosine_p1']:.4f}", f"{r['cosine_min']:.4f}", f"{r['same_nearest']:.3f}"]
                  for r in quality["rows"]],
                 ["engine", "knees", "accuracy", "cosine, mean", "first percentile", "minimum", "same nearest"])


def page(times, quality):
    results = Results(times)
    machine = times["machine"]
    load = times["load"][0]
    parts = [INTRODUCTION.format(
        cpu=machine["cpu"], rounds=machine["rounds"],
        load=", ".join(f"{x:.1f}" for x in machine["load_average"][::3])).rstrip() + "\n"]
    if machine["skipped"]:
        parts.append("Not measured: " + "; ".join(machine["skipped"]) + ".\n")
    parts += [times_table(results), ratio_table(results), stream_table(results)]
    parts.append(f"Loading the file takes {load['load_ms']:.1f} ms ({load['target']}); {load['kib'] / 1024:.1f} MiB are "
                 "the object's own beside the mapped file, after a first text.\n")
    parts.append("## What rounding costs\n\nOn the demo's glosses: 1,500 tests among 4,500 references, ten neighbours; "
                 "cosines and nearest neighbours\nare to the float encoder.\n")
    parts.append(quality_table(quality))
    return "\n".join(parts)
