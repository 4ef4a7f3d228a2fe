#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent oracle of the arithmetic contract (docs/arithmetic.md): plain Python integers, standard library only.

  oracle.py softmax   --seed N --rows R    draws rows; one JSON object a line
  oracle.py attention --seed N --rows R
  oracle.py check FILE...                  recomputes every row of files in the same format; exit code 1 if one differs

A line has n, x, B, knees, valid, and the six outputs (attention: n, dh, dv, q, k, v, M, R, valid, o). Drawn rows also have
the mask's three sources, null if absent: valid_length, last_visible, bits (bytes, least significant bit first). `valid` is
their intersection.
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


def softmax(x, valid, B, knees):
    seen = [x_i for x_i, ok in zip(x, valid) if ok]
    if not seen:
        return {mode: [0] * len(x) for mode in MODES}
    m = max(seen)
    Z = sum(score(B, knees, m - x_i) for x_i in seen)
    of_distance = {}  # equal logits have equal outputs, so each distance is worked out once
    for d in {m - x_i for x_i in seen}:
        of_distance[d] = {mode: normalise(mode, score(B, knees, d), Z) for mode in MODES}
    return {mode: [of_distance[m - x_i][mode] if ok else 0 for x_i, ok in zip(x, valid)] for mode in MODES}


def attention(q, k, v, valid, B, knees, M, R):
    a = [sum(x * y for x, y in zip(q, row)) for row in k]
    if not any(valid):
        return [0] * len(v[0])
    m = max(a_i for a_i, ok in zip(a, valid) if ok)
    h = 0
    while Fraction(B, 2**h) >= Fraction(511, 2):
        h += 1
    w = [0] * len(a)
    for i, a_i in enumerate(a):
        if valid[i]:
            d = min(127, round_half_up(Fraction((m - a_i) * M, 2**R)))
            w[i] = round_half_up(Fraction(score(B, knees, d), 2**h))
    return [round_half_up(Fraction(sum(w_i * row[j] for w_i, row in zip(w, v)), sum(w))) for j in range(len(v[0]))]


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
    row["o"] = attention(q, k, v, row["valid"], B, knees, M, R)
    return row


def check(path):
    rows = wrong = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            rows += 1
            if "o" in row:
                good = row["o"] == attention(*(row[key] for key in ("q", "k", "v", "valid", "B", "knees", "M", "R")))
            else:
                outputs = softmax(row["x"], row["valid"], row["B"], row["knees"])
                good = all(row[mode] == outputs[mode] for mode in MODES)
            if not good:
                wrong += 1
                print(f"{path}:{number}: differs", file=sys.stderr)
    print(f"{path}: {rows} rows, {wrong} wrong")
    return rows > 0 and wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("softmax", "attention"):
        command = commands.add_parser(name)
        command.add_argument("--seed", type=int, required=True)
        command.add_argument("--rows", type=int, required=True)
    commands.add_parser("check").add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.command == "check":
        return 0 if all([check(path) for path in args.files]) else 1
    rng = random.Random(args.seed)
    draw = draw_softmax if args.command == "softmax" else draw_attention
    for _ in range(args.rows):
        print(json.dumps(draw(rng), separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
