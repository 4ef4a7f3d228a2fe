# SPDX-License-Identifier: Apache-2.0
"""The row softmax as an ONNX function of standard operators: hccs.onnx has it."""

import re

import onnx
import onnx.parser

DOMAIN = "hccs"
LEAST_OPSET = 17
LEAST_AXES_INPUT = 18  # ReduceMax has its axes as an input
NORMALISATIONS = ("div", "clb", "scaled")
OUTPUTS = {"uint8": ("U8", onnx.TensorProto.UINT8, 255), "int16": ("I16", onnx.TensorProto.INT16, 32767)}


def name(K, normalisation="scaled", output="uint8"):
    """The function's name in the domain "hccs", such as "SoftmaxScaledU8K3". K: 1..4 knees."""
    if K not in (1, 2, 3, 4):
        raise ValueError(f"K = {K}, but there are 1 to 4 knees")
    if normalisation not in NORMALISATIONS:
        raise ValueError(f'normalisation "{normalisation}", but there are "div", "clb" and "scaled"')
    if output not in OUTPUTS:
        raise ValueError(f'output "{output}", but there are "uint8" and "int16"')
    return f"Softmax{normalisation.capitalize()}{OUTPUTS[output][0]}K{K}"


# All of it is in int32, so that no runtime rounds anything: OpenVINO computes doubles in float32, and in bfloat16 where
# the processor has that, unless told otherwise. Sums, differences and products of int32, and Min and Max, are exact
# everywhere. Three kinds of nodes are not, in OpenVINO, and are used accordingly:
#
# - Div of int32 is the quotient in float32, cut. For a < 2^24, or where a power of two b divides a, it is floor(a / b).
#   Otherwise it may be one more, where the next whole number is that close; the sign of the remainder then tells.
# - Sums over a row are in float32: what is summed stays below 2^24. So the scores, whose sum Z has up to 31 bits, are
#   not summed, but min(d, D_k) <= 127 of at most 65536 positions: Z = count * B - sum_k S_k * (sum of min(d, D_k)).
# - Comparisons are in float32: Clip of a difference takes their place, as a sign is never rounded.
#
# Sums are products with a column of ones: ONNX Runtime has no fast ReduceSum of int32.

# The largest power of two at or below z, 2^k, and r = floor(T * 2^k / z) of "scaled" (T = full).
#
# With c = max(1, 2^(k-16)), z = zq * c + zr and numerator = T * 2^k / c are exact, where 2^16 <= zq <= 2^17 or c = 1,
# and -64 <= zr <= c. q is the quotient of numerator and zq after an eighth to a quarter is added, so that it is r or
# r + 1: numerator = q * zq + u with -0.26 zq < u < 0.88 zq, and T * 2^k = q * z + remainder with
#   remainder = u * c - q * zr,   -0.77 z < remainder < 0.89 z < 2^31,
# since q * zr <= 2^15 * c <= z / 2.
_TOP = """
  found = Mul (reached, powers)
  top = {maximum_of_found}"""
_RECIPROCAL = """
  capped = Min (top, c65536)
  c = Div (top, capped)
  numerator = Mul (capped, full)
  zq = Div (z, c)
  zqc = Mul (zq, c)
  zr = Sub (z, zqc)
  quarter = Div (capped, c4)
  more = Add (numerator, quarter)
  q = Div (more, zq)
  qzq = Mul (q, zq)
  u = Sub (numerator, qzq)
  uc = Mul (u, c)
  qzr = Mul (q, zr)
  remainder = Sub (uc, qzr)
  down = Clip (remainder, minus, zero)
  r = Add (q, down)"""

# p = floor((s * r + unit / 2) / unit). s * r < 2^30, and unit is a power of two up to 2^30.
_ROUND = """
  half = Div ({unit}, c2)
  product = Mul (s, {r})
  up = Add (product, half)
  p0 = Div (up, {unit})
  p0_unit = Mul (p0, {unit})
  left = Sub (up, p0_unit)
  one_less = Clip (left, minus, zero)
  pi = Add (p0, one_less)"""

# T >> k of "clb", from what T loses by it: `losses` has T - (T >> j) of each j.
_SHIFTED = """
  lost = Mul (reached, losses)
  loss = {maximum_of_lost}
  r = Sub (full, loss)"""

# uint8 of "div" and "clb": s * r < 2^24.
_BYTE = """
  product = Mul (s, r)
  {p} = Div (product, c32768)"""

_NORMALISE = {
    # unit = 2^(k+7). At k > 23 it would not fit, and p is 0: s * r < 2^30 is less than half of it.
    ("scaled", "uint8"): _TOP + _RECIPROCAL + """
  top23 = Min (top, c2_23)
  unit = Mul (top23, c128)
  room = Sub (above2_23, top)
  fits = Clip (room, zero, one)
  rf = Mul (r, fits)""" + _ROUND.format(r="rf", unit="unit"),
    ("scaled", "int16"): _TOP + _RECIPROCAL + _ROUND.format(r="r", unit="top"),
    ("div", "uint8"): "\n  r = Div (full, z)" + _BYTE.format(p="pi"),
    ("div", "int16"): """
  r = Div (full, z)
  pi = Mul (s, r)""",
    ("clb", "uint8"): _SHIFTED + _BYTE.format(p="p0") + """
  pi = Min (p0, c255)""",
    ("clb", "int16"): _SHIFTED + """
  product = Mul (s, r)
  pi = Min (product, full)""",
}
_FULL = {"uint8": {"scaled": 32640, "div": 255 << 15, "clb": 255 << 15}, "int16": dict.fromkeys(NORMALISATIONS, 32767)}


def _constants(full):
    """The int32 constants that a body may use."""
    one = {"zero": 0, "one": 1, "minus": -1, "full": full, "c2_23": 2**23, "above2_23": 2**23 + 1}
    one |= {f"c{value}": value for value in (2, 4, 128, 255, 32768, 65536)}
    many = {
        "powers": [2**j for j in range(31)],
        "below_powers": [2**j - 1 for j in range(31)],
        "losses": [full - (full >> j) for j in range(31)],
    }
    made = {name: f"{name} = Constant <value = int32 {{{value}}}> ()" for name, value in one.items()}
    for name, values in many.items():
        made[name] = f"{name} = Constant <value = int32[31] {{{', '.join(map(str, values))}}}> ()"
    made["last"] = "last = Constant <value_ints = [-1]> ()"
    made["column"] = "column = Constant <value_ints = [1]> ()"
    return made


def function(K, normalisation="scaled", output="uint8", opset=18):
    """The row softmax as an onnx.FunctionProto of the domain "hccs", of standard operators of `opset` (17 or later).

    Inputs: x, int8 [..., heads, queries, keys]; mask, bool that broadcasts to x, true where a position is valid; b,
    s_0, d_0, ..., s_(K-1), d_(K-1), int32 [heads, 1, 1]. Output: p, uint8 (p / 255) or int16 (p / 32767), of x's shape;
    bit for bit the contract's.
    """
    title = name(K, normalisation, output)
    if opset < LEAST_OPSET:
        raise ValueError(f"opset {opset}, but opset >= {LEAST_OPSET}")
    by_axes = opset < LEAST_AXES_INPUT
    maximum = "ReduceMax <axes = [-1], keepdims = 1> ({})" if by_axes else "ReduceMax <keepdims = 1> ({}, last)"
    score, knees, z, sums = "b", "", "z_b", ""
    for k in range(K):
        knees += f"\n  m_{k} = Min (d, d_{k})\n  g_{k} = Mul (m_{k}, s_{k})\n  a_{k} = Sub ({score}, g_{k})"
        sums += f"\n  t_{k} = MatMul (m_{k}, ones)\n  u_{k} = Mul (t_{k}, s_{k})\n  z_{k} = Sub ({z}, u_{k})"
        score, z = f"a_{k}", f"z_{k}"
    reached = """
  beyond = Sub (z, below_powers)
  reached = Clip (beyond, zero, one)"""
    normalise = _NORMALISE[normalisation, output].format(
        maximum_of_found=maximum.format("found"), maximum_of_lost=maximum.format("lost")
    )
    body = f"""
  n = Shape <start = -1> (x)
  n_1 = Concat <axis = 0> (n, column)
  ones = ConstantOfShape <value = int32[1] {{1}}> (n_1)
  valid = Cast <to = {onnx.TensorProto.INT32}> (mask)
  valid_n = Expand (valid, n)
  count = MatMul (valid_n, ones)
  z_b = Mul (count, b)
  xi = Cast <to = {onnx.TensorProto.INT32}> (x)
  y = Add (xi, c128)
  yv = Mul (y, valid)
  m = {maximum.format("yv")}
  dx = Sub (m, y)
  d = Mul (dx, valid){knees}
  s = Mul ({score}, valid){sums}
  z = Max ({z}, one){reached if normalisation != "div" else ""}{normalise}
  p = Cast <to = {OUTPUTS[output][1]}> (pi)"""
    used = set(re.findall(r"\w+", body))
    constants = [text for name, text in _constants(_FULL[output][normalisation]).items() if name in used]
    heads = ", ".join(f"s_{k}, d_{k}" for k in range(K))
    return onnx.parser.parse_function(
        f'<opset_import: ["" : {opset}], domain: "{DOMAIN}">\n{title} (x, mask, b, {heads}) => (p) '
        + "{\n  "
        + "\n  ".join(constants)
        + body
        + "\n}"
    )
