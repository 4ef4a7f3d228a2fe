# SPDX-License-Identifier: Apache-2.0
"""The measurements in docs/results, read for the comparison with the figures in README.md and docs/."""
import json
import pathlib
import re
import sys

sys.path.insert(0, "training")
import tables

RESULTS = pathlib.Path("docs/results")


def demo_rows():
    """{name: row} of the demo's table."""
    return {row["name"]: row for row in json.loads((RESULTS / "demo.json").read_text())["rows"]}


def aie_rows(part="rows", **wanted):
    """The modelled AI Engine kernels that have these values: of heads within the paper's limit, or of another part."""
    rows = json.loads((RESULTS / "aie-cycles.json").read_text())[part]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def paper_cells(mode, output):
    """The rows of the paper's kernel that the paper has too."""
    return [row for row in aie_rows(mode=mode, output=output) if row["published_cycles_per_64"] is not None]


def cpu_tables():
    """The tables of softmax-cpu.md (rates, ratios, two of rows of sums if it has them, all), each {first cells of a line: {column: number}};
    the page is written by the program that measured, so it stands for the JSON of that run, which is not stored."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", (RESULTS / "softmax-cpu.md").read_text(), re.MULTILINE):
        header, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
        first = 2 if header[1] == "in" else 1
        rows = {}
        for line in lines:
            key = line[0] if first == 1 else (line[0], line[1])
            rows[key] = {column: float(cell) for column, cell in zip(header[first:], line[first:]) if re.fullmatch(r"[\d.]+", cell)}
        found.append(rows)
    return found


def accuracy_rows(**wanted):
    """The rows of the accuracy tables that have these values, the seeds of one model and set together: `difference` to float in
    points, the upper end `high` of its interval, and the examples of a seed."""
    pooled = {}
    for row in json.loads((RESULTS / "accuracy.json").read_text())["rows"]:
        if all(row[key] == value for key, value in wanted.items()):
            kind = tuple(row[key] for key in ("model", "task", "normalisation", "output", "calibration_batches"))
            pooled.setdefault(kind, []).append(row)
    results = []
    for rows in pooled.values():
        difference, _, high = tables.paired(*(sum(row[key] for row in rows) for key in ("examples", "gained", "lost")))
        results.append({"model": rows[0]["model"], "task": rows[0]["task"], "examples": rows[0]["examples"],
                        "difference": 100 * difference, "high": 100 * high})
    return results
