# SPDX-License-Identifier: Apache-2.0
"""The accuracy tables, cell by cell: tables.py [--quick] [--only TEXT] [--minutes N] [--render].

Each cell is a few commands of `hccs`; what a cell found is stored in docs/results/accuracy.json as it ends, and a cell
that is stored there is not run again. So the run may be ended at any time and continued, also on another checkout: what
later cells need of earlier ones (the float models) is trained again where build/accuracy lacks it. Two runs may work on
other models at once (--only). SST-2, SNLI, MNLI and the BERT vocabulary are read from the folder of --data or HCCS_DATA;
--quick and --render need none. Standard library only.
"""
import argparse
import fcntl
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

HCCS = os.environ.get("HCCS", "build/hccs")
MINILM = os.environ.get("HCCS_MODEL", "build/demo/model")
THREADS = ["--threads", "2"]

# What each model trains with: from (how it starts), then options of the float run and of every retraining.
TASKS = ("sst2", "snli", "mnli")
LENGTH = {"sst2": 64, "snli": 128, "mnli": 128, "wordnet": 64}
START = {
    "A": ["--layers", "2", "--hidden", "128", "--heads", "2"],
    "B": ["--model", MINILM, "--take-layers", "2", "--freeze-embeddings"],
    "C": ["--model", MINILM, "--freeze-embeddings", "--max-examples", "20000"],
}
FLOAT = {
    ("A", "sst2"): "--epochs 4 --batch 64 --learning-rate 7e-4 --dropout 0.2 --evaluations 2",
    ("A", "snli"): "--epochs 10 --batch 64 --learning-rate 7e-4 --dropout 0.2",
    ("A", "mnli"): "--epochs 8 --batch 64 --learning-rate 7e-4 --dropout 0.2",
    ("A", "wordnet"): "--epochs 3 --batch 32 --learning-rate 1e-3",
    ("B", "sst2"): "--epochs 2 --batch 32 --learning-rate 1e-4 --evaluations 2",
    ("B", "snli"): "--epochs 4 --batch 32 --learning-rate 1e-4",
    ("B", "mnli"): "--epochs 4 --batch 32 --learning-rate 1e-4",
    ("C", "sst2"): "--epochs 2 --batch 32 --learning-rate 6e-5",
    ("C", "snli"): "--epochs 3 --batch 32 --learning-rate 6e-5",
    ("C", "mnli"): "--epochs 3 --batch 32 --learning-rate 6e-5",
}
RETRAIN = {
    ("A", "sst2"): "--epochs 1 --batch 64 --learning-rate 2e-4 --dropout 0.2 --evaluations 4",
    ("A", "snli"): "--epochs 3 --batch 64 --learning-rate 2e-4 --dropout 0.2 --evaluations 2",
    ("A", "mnli"): "--epochs 3 --batch 64 --learning-rate 2e-4 --dropout 0.2 --evaluations 2",
    ("A", "wordnet"): "--epochs 1 --batch 32 --learning-rate 2e-4",
    ("B", "sst2"): "--epochs 1 --batch 32 --learning-rate 3e-5 --evaluations 2 --freeze-embeddings --max-examples 20000",
    ("B", "snli"): "--epochs 3 --batch 32 --learning-rate 1e-4 --evaluations 2 --freeze-embeddings",
    ("B", "mnli"): "--epochs 1 --batch 32 --learning-rate 3e-5 --evaluations 2 --freeze-embeddings",
    ("C", "sst2"): "--epochs 1 --batch 32 --learning-rate 2e-5 --evaluations 2 --freeze-embeddings --max-examples 20000",
    ("C", "snli"): "--epochs 1 --batch 32 --learning-rate 2e-5 --evaluations 2 --freeze-embeddings",
    ("C", "mnli"): "--epochs 1 --batch 32 --learning-rate 2e-5 --evaluations 2 --freeze-embeddings",
}
SEEDS = {"A": (1, 2, 3), "B": (1,), "C": (1,)}
DISTIL = ["--distillation-weight", "0.5"]

# The paper's own cells: Google's pre-trained BERT-tiny (the shape of A) and BERT-small (the nearest to C) on the dev sets; float, and
# K = 1 retrained by granularity: one set for the model, a layer, a head.
PAPER = {
    ("A", "sst2-dev"): (0.825, 0.817, 0.819, 0.822),
    ("C", "sst2-dev"): (0.893, 0.834, 0.842, 0.878),
    ("A", "mnli-matched"): (0.653, 0.416, 0.552, 0.639),
    ("C", "mnli-matched"): (0.742, 0.545, 0.602, 0.723),
}


def paper_cell(row):
    """What the paper has in this row's place, or nothing."""
    cells = PAPER.get((row["model"], row["task"]))
    if cells is None or row["quantise"] == "all" or row["learnable"]:
        return ""
    if row["softmax"] == "float":
        return "" if row["retrained"] else f"{cells[0]:.3f}"
    if row["softmax"] == "hccs" and row["retrained"] and row["knees"] == 1:
        value = cells[1 + ("global", "layer", "head").index(row["granularity"])]
        return f"{value:.3f} ({100 * (value - cells[0]):+.1f})"
    return ""


class Store:
    """Finished cells by name (seconds, and commands or whose rows it has), and the rows of all."""

    def __init__(self, path, lock):
        self.path, self.lock = pathlib.Path(path), pathlib.Path(lock)
        self.read()

    def read(self):
        stored = json.loads(self.path.read_text()) if self.path.exists() else {"rows": [], "cells": {}}
        self.rows, self.cells = stored["rows"], stored["cells"]

    def put(self, name, rows, **about):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        with open(self.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another run may have stored cells meanwhile
            self.read()
            self.cells[name] = about
            self.rows = [row for row in self.rows if row["cell"] != name] + [dict(row, cell=name) for row in rows]
            temporary = self.path.with_suffix(".tmp")
            text = ",\n".join("  " + json.dumps(row) for row in self.rows)
            temporary.write_text('{"rows": [\n' + text + '\n],\n"cells": ' + json.dumps(self.cells, indent=1) + "}\n")
            os.replace(temporary, self.path)

    def rows_of(self, name):
        return [row for row in self.rows if row["cell"] == name]


class Runner:
    def __init__(self, work, quick, store):
        self.work = pathlib.Path(work)
        self.quick = quick
        self.store = store
        self.commands = []

    def hccs(self, made, *arguments):
        """Runs the program unless what it makes is there already; the command is the cell's either way."""
        command = [HCCS, *map(str, arguments)]
        self.commands.append(" ".join(command))
        if made.exists():
            return
        print("+", " ".join(command), file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def train(self, name, task, seed, arguments):
        folder = self.work / name
        limit = ["--max-length", LENGTH[task]]
        self.hccs(folder / "training.json", "train", "--task", task, "--seed", seed, *THREADS, *limit, *arguments, "--resume", "-o", folder)
        return folder

    def evaluate(self, folder, task, softmax):
        out = folder / "evaluation.json"
        arguments = ["--softmax", *softmax]
        if softmax != ["float"]:
            arguments += ["--params", folder / "params.json"]
        if task == "wordnet":
            arguments.append("--classifier")
        self.hccs(out, "evaluate", "--model", folder, "--task", task, *THREADS, *arguments, "--json", out)
        return json.loads(out.read_text())["rows"]

    def float_model(self, model, task, seed):
        options = START[model] + FLOAT[model, task].split()
        if self.quick:
            options += ["--vocabulary", os.path.join(MINILM, "vocab.txt")]  # needs no data folder
        folder = self.train(f"{model}-{task}-{seed}-float", task, seed, options)
        rows = self.evaluate(folder, task, ["float"])
        for row in rows:  # a model that had to be trained again must be the one that is stored
            for stored in self.store.rows_of(Cell("1", model, task, seed, "float").name):
                if stored["task"] == set_name(task, row["set"]) and stored["accuracy"] != row["accuracy"]:
                    sys.exit(f"{folder}: accuracy {row['accuracy']} on {stored['task']}, but {stored['accuracy']} is stored: "
                             "another machine or program; its cells cannot be mixed with these")
        return folder, {r["set"]: r["correct"] for r in rows}


def paired(n, gained, lost):
    """The difference of two accuracies on the same examples, and its 95 % interval, from counts (Agresti and Min)."""
    centre = (gained - lost) / (n + 2)
    half = 1.959964 * math.sqrt(((gained + lost + 1) / (n + 2) - centre * centre) / (n + 2))
    return (gained - lost) / n, centre - half, centre + half


def make_row(base, correct, exact, **fields):
    n = len(exact)
    gained = sum(a == "0" and b == "1" for a, b in zip(exact, correct))
    lost = sum(a == "1" and b == "0" for a, b in zip(exact, correct))
    difference, low, high = paired(n, gained, lost)
    row = dict(base, **fields)
    row.update(examples=n, accuracy=correct.count("1") / n, difference_to_float=difference, difference_ci95=[low, high],
               gained=gained, lost=lost)
    return row


def by_set(task, rows, pick):
    """{set name: correct string} of the chosen softmax; of SST-2's two sets also both together."""
    found = {r["set"]: r["correct"] for r in rows if pick(r["softmax"])}
    return with_both(task, found)


def set_name(task, name):
    return f"{task}-{name.replace('dev_matched', 'matched')}"


def with_both(task, found):
    found = {set_name(task, name): c for name, c in found.items()}
    if task == "sst2":
        found["sst2-both"] = found["sst2-dev"] + found["sst2-test"]
    return found


class Cell:
    """table, model, task, seed, kind and its variant: what is run, and which rows that gives."""

    def __init__(self, table, model, task, seed, kind, **variant):
        self.table, self.model, self.task, self.seed, self.kind, self.variant = table, model, task, seed, kind, variant
        tag = "-".join(f"{k}{v}" for k, v in variant.items())
        self.name = f"{table}-{model}-{task}-s{seed}-{kind}" + (f"-{tag}" if tag else "")

    def twin(self):
        """The cell of table 1 that runs the same commands, if there is one."""
        v = self.variant
        if self.table == "4" and self.kind == "float":
            return Cell("1", self.model, self.task, self.seed, "float")
        if v == {"knees": 1, "share": "head"} or (self.table == "3" and v["batches"] == 64):
            return Cell("1", self.model, self.task, self.seed, self.kind, knees=v["knees"])
        return None

    def rows_of_twin(self, rows):
        wanted = "float" if self.kind == "float" else "hccs"
        return [dict(row, table=self.table) for row in rows if row["softmax"] == wanted]

    def run(self, runner):
        folder, exact = runner.float_model(self.model, self.task, self.seed)
        exact = with_both(self.task, exact)
        v = self.variant
        # The control of what is retrained: as many steps more, with the exact softmax.
        continued = self.kind == "continued"
        base = {"table": self.table, "model": self.model, "softmax": "float", "knees": 0, "limits": "", "granularity": "head",
                "normalisation": "exact", "output": "float", "calibration_batches": v.get("batches", 64), "retrained": False,
                "learnable": False, "quantise": "none", "seed": self.seed}
        if self.kind == "float":
            return [make_row(dict(base, task=s), exact[s], exact[s]) for s in exact]
        arguments = ["--model", folder]
        if not continued:
            arguments += ["--softmax", "int8-exact" if v.get("exact") else "hccs", "--knees", v.get("knees", 1),
                          "--share", v.get("share", "head"), "--calibration-batches", v.get("batches", 64)]
        if v.get("limits") == "paper":
            arguments += ["--limits", "paper", "--length", LENGTH[self.task]]
        retrained = self.kind in ("retrained", "continued")
        if retrained:
            arguments += RETRAIN[self.model, self.task].split() + ["--teacher", folder] + DISTIL
        else:
            arguments += ["--epochs", 0]
            if self.model == "C":
                arguments += ["--max-examples", 20000]
        if v.get("learnable"):
            arguments += ["--learnable"]
        if v.get("quantise"):
            arguments += ["--quantise", "all"]
        made = runner.train(f"{self.model}-{self.task}-{self.seed}-" + self.name.split("-", 1)[1], self.task, self.seed, arguments)
        also_int8_exact = self.table == "1" and self.kind == "posthoc" and v.get("knees") == 3
        softmax = ["float"] if continued else ["int8-exact"] if v.get("exact") else ["int8-exact", "hccs"] if also_int8_exact else ["hccs"]
        rows = runner.evaluate(made, self.task, softmax)
        if continued:
            found = by_set(self.task, rows, lambda s: s == "float")
            return [make_row(dict(base, task=s, retrained=True), found[s], exact[s]) for s in exact]
        base.update(retrained=retrained, learnable=bool(v.get("learnable")), granularity=v.get("share", "head"),
                    quantise="all" if v.get("quantise") else "attention")
        hccs = dict(base, softmax="hccs", knees=v.get("knees", 1), limits=v.get("limits", "native"), normalisation="scaled",
                    output="uint8")
        modes = []
        if v.get("limits") == "paper":
            modes.append((lambda s: s.endswith("i16-div"), dict(hccs, normalisation="div", output="int16")))
            modes.append((lambda s: s.endswith("u8-clb"), dict(hccs, normalisation="clb")))
        elif not v.get("exact"):
            modes.append((lambda s: s.startswith("hccs"), hccs))
        if "int8-exact" in softmax:
            modes.append((lambda s: s == "int8-exact", dict(base, softmax="int8-exact")))
        out = []
        for pick, fields in modes:
            found = by_set(self.task, rows, pick)
            out += [make_row(dict(fields, task=s), found[s], exact[s]) for s in exact]
        if not retrained:
            shutil.rmtree(made)  # its weights are the float model's
        return out


def table1(model, task, seed):
    cells = [Cell("1", model, task, seed, "float")]
    for knees in (1, 2, 3):
        cells.append(Cell("1", model, task, seed, "posthoc", knees=knees))
    cells.append(Cell("1", model, task, seed, "posthoc", knees=1, limits="paper"))
    cells.append(Cell("1", model, task, seed, "retrained", knees=1))
    if model != "C":
        cells.append(Cell("1", model, task, seed, "retrained", knees=1, learnable=1))
        cells.append(Cell("1", model, task, seed, "retrained", knees=2))
        cells.append(Cell("1", model, task, seed, "continued"))
    return cells


def table2(model, task, seed):
    return [Cell("2", model, task, seed, kind, knees=1, share=share) for kind in ("posthoc", "retrained")
            for share in ("global", "layer", "head")]


def table3(model, task, seed):
    return [Cell("3", model, task, seed, "posthoc", knees=k, batches=b) for k in (1, 3) for b in (1, 4, 16, 64, 256)]


def table4(model, task, seed):
    return [Cell("4", model, task, seed, "float"),
            Cell("4", model, task, seed, "retrained", exact=1, knees=3, quantise=1),
            Cell("4", model, task, seed, "retrained", knees=1, quantise=1),
            Cell("4", model, task, seed, "retrained", knees=3, quantise=1)]


def all_cells(quick):
    """In order of value."""
    if quick:
        cells = table1("A", "wordnet", 1)
        return [cells[i] for i in (0, 1, 3, 4, 5, 6)] + table2("A", "wordnet", 1)[:1] + table3("A", "wordnet", 1)[:1] + table4("A", "wordnet", 1)[2:3]
    cells = []
    for task in TASKS:
        cells += table1("A", task, 1)
    for task in TASKS:
        cells += table1("B", task, 1)
    for task in TASKS:
        cells += table1("C", task, 1)
    for task in TASKS:
        cells += table2("A", task, 1) + table3("A", task, 1)
    for task in TASKS:
        cells += table4("A", task, 1)
    for task in TASKS:
        cells += table2("B", task, 1) + table3("B", task, 1) + table4("B", task, 1)
    for seed in SEEDS["A"][1:]:
        for task in TASKS:
            cells += table1("A", task, seed) + table2("A", task, seed) + table4("A", task, seed)
    return cells


# ---- Rendering ------------------------------------------------------------------------------------------


def pooled(rows):
    """Mean accuracy over seeds; the paired difference over all seeds' examples."""
    n = sum(r["examples"] for r in rows)
    gained = sum(r["gained"] for r in rows)
    lost = sum(r["lost"] for r in rows)
    return sum(r["accuracy"] for r in rows) / len(rows), *paired(n, gained, lost), len(rows), n


def describe(row):
    parts = []
    if row["softmax"] == "float":
        return "float, trained on for as long" if row["retrained"] else "float"
    if row["softmax"] == "int8-exact":
        parts.append("int8 logits, exact softmax")
    elif row["limits"] == "paper":
        parts.append(f"HCCS, paper's limits, {row['output']} `{row['normalisation']}`")
    else:
        parts.append(f"HCCS K = {row['knees']}")
    if row["learnable"]:
        parts.append("learnable")
    if row["retrained"]:
        parts.append("retrained")
    elif row["softmax"] == "hccs":
        parts.append("not retrained")
    return ", ".join(parts)


def table_lines(rows, label):
    groups = {}
    for row in rows:
        groups.setdefault((row["model"], row["task"]), {}).setdefault(label(row), []).append(row)
    paper = any(paper_cell(row) for row in rows)
    lines = ["| model | set | examples | softmax | seeds | accuracy | difference | 95 % interval | |" + (" paper |" if paper else ""),
             "|---|---|---|---|---|---|---|---|---|" + ("---|" if paper else "")]
    for (model, task), kinds in sorted(groups.items()):
        for kind, found in kinds.items():
            accuracy, difference, low, high, seeds, n = pooled(found)
            if found[0]["softmax"] == "float" and not found[0]["retrained"]:
                rest = "| | |"
            else:
                verdict = "within" if low <= 0 <= high else "worse" if high < 0 else "better"
                rest = f"{100 * difference:+.2f} | {100 * low:+.2f} to {100 * high:+.2f} | {verdict} |"
            line = f"| {model} | {task} | {n // seeds} | {kind} | {seeds} | {accuracy:.4f} | {rest}"
            lines.append(line + f" {paper_cell(found[0])} |" if paper else line)
    return lines


PAGE = pathlib.Path(__file__).parent.parent / "docs/results/accuracy.md.in"


def render(store, path, cells):
    """The page of the tables: PAGE, whose marks are the names below."""
    place = {c.name: i for i, c in enumerate(cells)}
    rows = sorted(store.rows, key=lambda row: place.get(row["cell"], len(cells)))

    def table(number, label):
        chosen = [r for r in rows if r["table"] == number]
        return "\n".join(table_lines(chosen, label)) if chosen else "No cell yet."

    missing = [c.name for c in cells if c.name not in store.cells]
    pathlib.Path(path).write_text(PAGE.read_text().format(
        done=sum(c.name in store.cells for c in cells),
        all=len(cells),
        softmax=table("1", describe),
        granularity=table("2", lambda r: f"one set a {'model' if r['granularity'] == 'global' else r['granularity']}, " + describe(r)),
        calibration_set=table("3", lambda r: f"{describe(r)}, {r['calibration_batches']} batches"),
        int8_throughout=table("4", describe),
        hours=sum(c["seconds"] for c in store.cells.values()) / 3600,
        missing_count=len(missing),
        missing=", ".join(f"`{m}`" for m in missing) if missing else "None."))


def draw_granularity(rows, path):
    """Table 2 as a picture: a dot and its interval for each of global, layer, head, without and with retraining."""
    rows = [r for r in rows if r["table"] == "2" and r["task"] in ("sst2-both", "snli-test", "mnli-matched")]
    groups = sorted({(r["model"], r["task"]) for r in rows})
    if not groups:
        return
    points = {}
    for model, task in groups:
        for retrained in (False, True):
            for i, share in enumerate(("global", "layer", "head")):
                found = [r for r in rows if (r["model"], r["task"], r["retrained"], r["granularity"]) == (model, task, retrained, share)]
                if found:
                    points[model, task, retrained, i] = [100 * v for v in pooled(found)[1:4]]
    low = math.floor(min(p[1] for p in points.values()) - 0.2)
    high = math.ceil(max(p[2] for p in points.values()) + 0.2)
    width, height, left, top = max(560, 110 + 190 * len(groups)), 300, 60, 40
    bottom = height - 60

    def y(value):
        return top + (high - value) / (high - low) * (bottom - top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="18">Difference to float, points, with 95 % interval (K = 1): '
           '<tspan fill="#d95f02">not retrained</tspan>, <tspan fill="#1b9e77">retrained</tspan></text>']
    for value in range(low, high + 1, max(1, (high - low) // 8)):
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{"#000" if value == 0 else "#ddd"}"/>')
        out.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+d}</text>')
    for g, (model, task) in enumerate(groups):
        centre = left + 100 + 190 * g
        out.append(f'<text x="{centre}" y="{height - 14}" text-anchor="middle">{model}, {task}</text>')
        for i, share in enumerate(("model", "layer", "head")):
            out.append(f'<text x="{centre + 56 * (i - 1)}" y="{height - 38}" text-anchor="middle">{share}</text>')
            for retrained, shift, colour in ((False, -7, "#d95f02"), (True, 7, "#1b9e77")):
                if (model, task, retrained, i) in points:
                    value, lowest, highest = points[model, task, retrained, i]
                    x = centre + 56 * (i - 1) + shift
                    out.append(f'<line x1="{x}" x2="{x}" y1="{y(lowest):.1f}" y2="{y(highest):.1f}" stroke="{colour}" stroke-width="2"/>')
                    out.append(f'<circle cx="{x}" cy="{y(value):.1f}" r="4" fill="{colour}"/>')
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("\n".join(out) + "\n</svg>\n")


FIELDS = {"table", "model", "task", "softmax", "knees", "granularity", "retrained", "learnable", "quantise", "seed", "examples", "accuracy",
          "difference_to_float", "difference_ci95"}


def check_shape(store, cells):
    """What is wrong with the rows; empty if nothing."""
    wrong = [c.name + " has no rows" for c in cells if not any(r["cell"] == c.name for r in store.rows)]
    for row in store.rows:
        low, high = row["difference_ci95"]
        if FIELDS - row.keys():
            wrong.append(f"{row['cell']} lacks {FIELDS - row.keys()}")
        elif not (0 <= row["accuracy"] <= 1 and low <= row["difference_to_float"] <= high and row["examples"] > 0):
            wrong.append(f"{row['cell']}: {row}")
    return wrong


def name_data(folder):
    """Checks the folder of the tasks and names it in the environment, for every command."""
    if not folder:
        sys.exit("tables.py: name the folder with the tasks' texts by --data DIR or in HCCS_DATA: it must hold sst2/, snli/, mnli/ "
                 "(docs/formats.md lists their files) and bert_vocab/vocab.txt")
    path = pathlib.Path(folder).resolve()
    data = path / "data" if (path / "data").is_dir() else path
    for needed in (*TASKS, "bert_vocab/vocab.txt"):
        if not (data / needed).exists():
            sys.exit(f"tables.py: {data} has no {needed}")
    os.environ["HCCS_DATA"] = str(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("HCCS_DATA"), help="folder with sst2/, snli/, mnli/ and bert_vocab/ (default: $HCCS_DATA)")
    parser.add_argument("--quick", action="store_true", help="a reduced set, into build/results")
    parser.add_argument("--only", default="", help="cells whose name has this text")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no cell after so many")
    parser.add_argument("--render", action="store_true", help="write the tables of what is stored, run nothing")
    options = parser.parse_args()
    if not options.quick and not options.render:
        name_data(options.data)
    name = "accuracy-quick" if options.quick else "accuracy"
    folder = pathlib.Path("build/results" if options.quick else "docs/results")
    work = pathlib.Path("build/accuracy-quick" if options.quick else "build/accuracy")
    if options.quick:
        shutil.rmtree(work, ignore_errors=True)
        (folder / f"{name}.json").unlink(missing_ok=True)
    store = Store(folder / f"{name}.json", work / "lock")
    cells = all_cells(options.quick)
    start = time.monotonic()
    for cell in [] if options.render else cells:
        if cell.name in store.cells or options.only not in cell.name:
            continue
        if time.monotonic() - start > 60 * options.minutes:
            break
        twin = cell.twin()
        for part in [cell] if twin is None else [twin, cell]:
            store.read()
            if part.name in store.cells:
                continue
            if part is not twin and twin is not None:
                rows = cell.rows_of_twin(store.rows_of(twin.name))
                store.put(cell.name, rows, seconds=0, same_as=twin.name)
            else:
                runner = Runner(work, options.quick, store)
                begin = time.monotonic()
                rows = part.run(runner)
                store.put(part.name, rows, seconds=round(time.monotonic() - begin, 1), commands=runner.commands)
            render(store, folder / f"{name}.md", cells)
            for row in rows:
                print(f"{part.name:<50} {row['task']:<12} {row['accuracy']:.4f} {100 * row['difference_to_float']:+.2f}", flush=True)
    render(store, folder / f"{name}.md", cells)
    if options.quick:
        wrong = check_shape(store, cells)
        sys.exit("\n".join(wrong) if wrong else 0)
    else:
        draw_granularity(store.rows, "docs/figures/granularity.svg")
        pathlib.Path("build/results").mkdir(parents=True, exist_ok=True)
        shutil.copy(store.path, f"build/results/{name}.json") if store.path.exists() else None


if __name__ == "__main__":
    main()
