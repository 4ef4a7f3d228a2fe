#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent oracle of the arithmetic contract (docs/arithmetic.md): plain Python integers, standard library only.

  oracle.py softmax   --seed N --rows R    draws rows; one JSON object a line
  oracle.py attention --seed N --rows R
  oracle.py int32     --seed N --rows R
  oracle.py check FILE...                  recomputes every row of files in the same format; exit code 1 if one differs

A line has n, B, knees, valid, and
  softmax    x and the six outputs;
  attention  dh, dv, q, k, v, M, R, the output o and, with wide weights, o_wide (files may lack it);
  int32      the sums a, M, R, the six outputs, attention's weights w and their sum W.
Drawn rows also have the mask's three sources, null if absent: valid_length, last_visible, bits (bytes, least significant
bit first). `valid` is their intersection.
"""
import argparse
import json
import random
import sys
from fractions import Fraction
from math import floor

# ---- The contract ---------------------------------------------------------------------------


def score(B, knees, d):
    return B - sum(S * min(d, D) for S, D in knees)


def round_half_up(x):
    return floor(Fraction(x) + Fraction(1, 2))


def normalise(mode, s, Z):
    """The output of a valid position with score s in a row whose scores sum to Z."""
    k = 0
    while 2 ** (k + 1) <= Z:
        k += 1
    if mode == "div_i16":
        return s * (32767 // Z)
    if mode == "clb_i16":
        return min(32767, s * (32767 // 2**k))
    if mode == "div_u8":
        return min(255, s * (255 * 2**15 // Z) // 2**15)
    if mode == "clb_u8":
        return min(255, s * (255 * 2**15 // 2**k) // 2**15)
    if mode == "scaled_i16":
        return round_half_up(Fraction(s * (32767 * 2**k // Z), 2**k))
    if mode == "scaled_u8":
        return round_half_up(Fraction(s * (32640 * 2**k // Z), 2 ** (k + 7)))
    raise ValueError(mode)


MODES = ("div_i16", "clb_i16", "scaled_i16", "div_u8", "clb_u8", "scaled_u8")


def outputs(d, B, knees):
    """The six outputs of a row, of its distances: None for a position that is not valid."""
    Z = sum(score(B, knees, d_i) for d_i in d if d_i is not None)
    of_distance = {}  # equal logits have equal outputs, so each distance is worked out once
    for d_i in set(d) - {None}:
        of_distance[d_i] = {mode: normalise(mode, score(B, knees, d_i), Z) for mode in MODES}
    return {mode: [0 if d_i is None else of_distance[d_i][mode] for d_i in d] for mode in MODES}


def softmax(x, valid, B, knees):
    m = max((x_i for x_i, ok in zip(x, valid) if ok), default=None)
    return outputs([m - x_i if ok else None for x_i, ok in zip(x, valid)], B, knees)


def rescaled_distances(a, valid, M, R):
    m = max((a_i for a_i, ok in zip(a, valid) if ok), default=None)
    return [min(127, round_half_up(Fraction((m - a_i) * M, 2**R))) if ok else None for a_i, ok in zip(a, valid)]


def attention_weights(d, B, knees, wide=False):
    h = 0
    while not wide and Fraction(B, 2**h) >= Fraction(511, 2):
        h += 1
    return [0 if d_i is None else round_half_up(Fraction(score(B, knees, d_i), 2**h)) for d_i in d]


def int32_row(a, valid, B, knees, M, R):
    d = rescaled_distances(a, valid, M, R)
    w = attention_weights(d, B, knees)
    return {"w": w, "W": sum(w), **outputs(d, B, knees)}


def attention(q, k, v, valid, B, knees, M, R):
    """The outputs with eight-bit and with wide weights."""
    a = [sum(x * y for x, y in zip(q, row)) for row in k]
    d = rescaled_distances(a, valid, M, R)
    results = {}
    for key, wide in (("o", False), ("o_wide", True)):
        w = attention_weights(d, B, knees, wide)
        sums = [sum(w_i * row[j] for w_i, row in zip(w, v)) for j in range(len(v[0]))]
        results[key] = [round_half_up(Fraction(total, sum(w))) if any(valid) else 0 for total in sums]
    return results


# ---- Drawing --------------------------------------------------------------------------------


def draw_params(rng):
    K = rng.randint(1, 4)
    kind = rng.choice(("any", "any", "edges", "small"))
    positions = sorted(rng.sample(range(1, 128), K))
    slopes = [rng.randint(0, 127) for _ in range(K)]
    if kind == "edges":
        positions = rng.choice(([1, 2, 3, 4], [124, 125, 126, 127], [1, 2, 126, 127], [1, 64, 65, 127]))
        positions = sorted(rng.sample(positions, K))
        slopes = [rng.choice((0, 1, 127)) for _ in range(K)]
    elif kind == "small":  # a sum that the paper's int16 paths can still divide
        slopes = [rng.randint(0, 2) for _ in range(K)]
    drop = sum(S * D for S, D in zip(slopes, positions))
    while drop > 32767:  # B could not hold it
        slopes[rng.randrange(K)] //= 2
        drop = sum(S * D for S, D in zip(slopes, positions))
    lowest = max(1, drop)
    if kind == "small":
        B = lowest + rng.choice((0, 1, rng.randint(0, 100)))
    else:
        # 511 * 2^h / 2 is where attention's shift changes.
        edge = 511 * 2 ** rng.randint(0, 7) // 2 + rng.randint(0, 1)
        B = rng.choice((lowest, lowest + 1, lowest + rng.randint(0, 300), edge, rng.randint(lowest, 32767), 32767))
    return max(lowest, min(32767, B)), [[S, D] for S, D in zip(slopes, positions)]


def draw_length(rng):
    edges = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300)
    return rng.choice(edges) if rng.random() < 0.5 else rng.randint(1, 300)


def draw_logits(rng, n):
    kind = rng.choice(("bimodal", "peaky", "flat", "full-range", "extreme", "ramp", "narrow"))
    clamp = lambda value: max(-128, min(127, value))
    if kind == "bimodal":
        low, high = rng.randint(-128, 0), rng.randint(1, 127)
        x = [clamp(rng.choice((low, high)) + rng.randint(-8, 8)) for _ in range(n)]
    elif kind == "peaky":
        x = [rng.randint(-128, -90) for _ in range(n)]
        for _ in range(rng.randint(1, 3)):
            x[rng.randrange(n)] = rng.randint(100, 127)
    elif kind == "flat":
        x = [rng.randint(-128, 127)] * n
    elif kind == "full-range":
        x = [rng.randint(-128, 127) for _ in range(n)]
    elif kind == "extreme":
        x = [rng.choice((-128, 127)) for _ in range(n)]
    elif kind == "ramp":
        x = [clamp(i - 128) for i in range(n)]
    else:
        middle = rng.randint(-128, 127)
        x = [clamp(round(rng.gauss(middle, 4))) for _ in range(n)]
    return kind, x


def draw_mask(rng, n):
    """valid_length, last_visible, bits, and their intersection."""
    length = last = bits = None
    which = rng.randrange(8)  # every combination of the three sources
    if which & 1:
        length = rng.choice((-1, 0, 1, n - 1, n, n + 7, rng.randint(0, n)))
    if which & 2:
        last = rng.choice((-5, -1, 0, n - 2, n - 1, n + 7, rng.randrange(n)))
    if which & 4:
        density = rng.choice((0, 0.05, 0.5, 0.95, 1))
        # Bits past n are padding: they may hold anything.
        bits = [sum((rng.random() < density) << b for b in range(8)) for _ in range((n + 7) // 8)]
        if rng.random() < 0.2:  # a single valid position
            only = rng.randrange(n)
            bits = [(1 << only % 8) if byte == only // 8 else 0 for byte in range(len(bits))]
    valid = [
        int((length is None or i < length) and (last is None or i <= last) and (bits is None or bits[i // 8] >> i % 8 & 1 == 1))
        for i in range(n)
    ]
    if not any(valid) and rng.random() < 0.8:  # empty masks are cases too, but a few are enough
        return draw_mask(rng, n)
    return {"valid_length": length, "last_visible": last, "bits": bits, "valid": valid}


def draw_softmax(rng):
    n = draw_length(rng)
    B, knees = draw_params(rng)
    kind, x = draw_logits(rng, n)
    row = {"n": n, "kind": kind, "x": x, "B": B, "knees": knees, **draw_mask(rng, n)}
    row.update(softmax(x, row["valid"], B, knees))
    return row


def draw_attention(rng):
    n = rng.choice((1, 2, 3, 8, 16, 17, 33, 64, rng.randint(1, 80)))
    dh = rng.choice((1, 2, 8, 16, 31, 32, 33, 64, rng.randint(1, 80)))
    dv = rng.choice((1, 2, 4, 7))
    B, knees = draw_params(rng)
    extreme = rng.random() < 0.25
    draw = lambda count: [rng.choice((-128, 127)) if extreme else rng.randint(-128, 127) for _ in range(count)]
    q, k, v = draw(dh), [draw(dh) for _ in range(n)], [draw(dv) for _ in range(n)]
    if rng.random() < 0.2:
        k = [list(k[0]) for _ in k]  # flat
    M = rng.choice((1, 32767, 16384, rng.randint(16384, 32767), rng.randint(1, 32767)))
    # Mostly a shift that spreads the distances over 0..127; otherwise any.
    spread = max(1, M * dh * 2**13 // 128).bit_length() + rng.randint(-2, 2)
    R = max(0, min(46, spread)) if rng.random() < 0.7 else rng.randint(0, 46)
    row = {"n": n, "dh": dh, "dv": dv, "q": q, "k": k, "v": v, "B": B, "knees": knees, "M": M, "R": R, **draw_mask(rng, n)}
    row.update(attention(q, k, v, row["valid"], B, knees, M, R))
    return row


def draw_sums(rng, n, M, R):
    kind = rng.choice(("normal", "any", "extreme", "flat", "ties", "past the largest distance"))
    clamp = lambda value: max(-(2**31), min(2**31 - 1, value))
    step = max(1, 2**R // M)  # about one unit of distance
    top = rng.randint(-(2**30), 2**30)
    if kind == "normal":
        a = [clamp(round(rng.gauss(top, 30 * step))) for _ in range(n)]
    elif kind == "any":
        a = [rng.randint(-(2**31), 2**31 - 1) for _ in range(n)]
    elif kind == "extreme":
        a = [rng.choice((-(2**31), 2**31 - 1)) for _ in range(n)]
    elif kind == "flat":
        a = [top] * n
    elif kind == "ties":  # at and beside the differences where the rounded distance changes
        a = [clamp(top - (2 * rng.randint(0, 128) + 1) * 2**R // (2 * M) - rng.randint(-1, 1)) for _ in range(n)]
        a[rng.randrange(n)] = top
    else:
        a = [clamp(top - rng.choice((0, 126, 127, 128, 1000)) * step) for _ in range(n)]
    return kind, a


def draw_int32(rng):
    n = draw_length(rng)
    B, knees = draw_params(rng)
    M = rng.choice((1, 32767, 16384, rng.randint(16384, 32767), rng.randint(1, 32767)))
    R = rng.choice((0, 46, rng.randint(0, 46), rng.randint(14, 38)))
    kind, a = draw_sums(rng, n, M, R)
    row = {"n": n, "kind": kind, "a": a, "B": B, "knees": knees, "M": M, "R": R, **draw_mask(rng, n)}
    row.update(int32_row(a, row["valid"], B, knees, M, R))
    return row


DRAW = {"softmax": draw_softmax, "attention": draw_attention, "int32": draw_int32}


def check(path):
    rows = wrong = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            rows += 1
            head = [row[key] for key in ("valid", "B", "knees")]
            if "o" in row:
                right = attention(row["q"], row["k"], row["v"], *head, row["M"], row["R"])
            elif "a" in row:
                right = int32_row(row["a"], *head, row["M"], row["R"])
            else:
                right = softmax(row["x"], *head)
            good = all(row[key] == value for key, value in right.items() if key != "o_wide" or key in row)
            if not good:
                wrong += 1
                print(f"{path}:{number}: differs", file=sys.stderr)
    print(f"{path}: {rows} rows, {wrong} wrong")
    return rows > 0 and wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in DRAW:
        command = commands.add_parser(name)
        command.add_argument("--seed", type=int, required=True)
        command.add_argument("--rows", type=int, required=True)
    commands.add_parser("check").add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.command == "check":
        return 0 if all([check(path) for path in args.files]) else 1
    rng = random.Random(args.seed)
    for _ in range(args.rows):
        print(json.dumps(DRAW[args.command](rng), separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
