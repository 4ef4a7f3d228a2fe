#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""select.py FOLDER: chooses the rows of this folder's files from the full set of golden rows in FOLDER.

A row has properties: its length, knees, mask and how it was drawn, and pairs and triples of them. Of each file the row with the
most properties per byte that no chosen row has yet is chosen, the earlier one of two equals, until every property of the
file is there. The order of the file is kept. The same full set gives the same rows.
"""
import itertools
import json
import pathlib
import sys

# A row that takes more bytes than this is chosen only where its length n has no smaller one.
MOST_BYTES = {"softmax.jsonl": 4_000, "attention.jsonl": 8_000, "attention_wide.jsonl": 8_000, "int32.jsonl": 8_000}


def shift_of_weights(offset):
    """The shift h of attention's eight-bit weights."""
    return next(h for h in range(16) if 2 * offset < 511 * 2**h)


def basic_properties(row):
    valid = row["valid"]
    full = all(valid)
    seen = sum(valid)
    drop = sum(slope * position for slope, position in row["knees"])
    properties = {
        "n": row["n"],
        "knees": len(row["knees"]),
        "mask": row["mask"],
        "full": full,
        "floor 0": row["B"] == drop,
        "shift of weights": shift_of_weights(row["B"]),
        "valid": "none" if seen == 0 else "one" if seen == 1 else "all" if full else "some",
    }
    for key in ("kind", "dh", "dv"):
        if key in row:
            properties[key] = row[key]
    if "R" in row:
        properties["shift"] = {0: "0", 46: "46"}.get(row["R"], "between")
        properties["multiplier"] = {1: "1", 32767: "32767"}.get(row["M"], "between")
    if "div_u8" in row:
        properties["outputs"] = tuple((any(row[mode]), max(row[mode]) == full_scale)
                                      for mode, full_scale in (("div_i16", 32767), ("clb_i16", 32767), ("scaled_i16", 32767),
                                                               ("div_u8", 255), ("clb_u8", 255), ("scaled_u8", 255)))
    return properties


def properties_of(row):
    basic = sorted(basic_properties(row).items())
    chosen = set(itertools.chain(basic, itertools.combinations(basic, 2)))
    return chosen | {("full row", row["n"], len(row["knees"]))} if all(row["valid"]) else chosen


def select(lines, most_bytes):
    rows = [json.loads(line) for line in lines]
    smallest = {}
    for i, row in enumerate(rows):
        best = smallest.setdefault(row["n"], i)
        if len(lines[i]) < len(lines[best]):
            smallest[row["n"]] = i
    candidates = {i for i, line in enumerate(lines) if len(line) <= most_bytes} | set(smallest.values())
    properties = {i: properties_of(rows[i]) for i in candidates}
    missing = set().union(*properties.values())
    chosen = []
    while missing:
        best = max(properties, key=lambda i: (len(properties[i] & missing) / len(lines[i]), -i))
        missing -= properties.pop(best)
        chosen.append(best)
    return [lines[i] for i in sorted(chosen)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    here = pathlib.Path(__file__).parent
    for name, most_bytes in MOST_BYTES.items():
        lines = (pathlib.Path(sys.argv[1]) / name).read_text().splitlines(keepends=True)
        rows = select(lines, most_bytes)
        (here / name).write_text("".join(rows))
        print(f"{name}: {len(rows)} of {len(lines)} rows, {sum(map(len, rows))} bytes")


if __name__ == "__main__":
    main()
