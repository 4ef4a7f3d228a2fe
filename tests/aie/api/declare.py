#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Declares what AMD's AIE API headers take for granted and emulation/*.h does not define.

usage: declare.py HEADERS EMULATION OUTPUT

HEADERS holds aie_api/aie.hpp. Writes the header OUTPUT: registers by the names that the API's headers have for them;
shuffle modes; intrinsics whose name ends with the type of their result, forwarded to the emulation's templates; and for
every other name a function that throws, for the operands that the emulation does not have. Nothing but names is taken from the API's headers.
"""
import itertools
import pathlib
import re
import sys

# The bits of lanes that emulation/register.h knows.
LANES = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32,
         "bfloat16": 16, "float": 32, "acc32": 32, "acc64": 64, "accfloat": 32,
         "cint16": 32, "cint32": 64, "cfloat": 64, "cacc64": 128, "caccfloat": 64}
C_TYPE = {"int4": "int4_t", "uint4": "uint4_t"}
# Intrinsics that the emulation has as templates over the type that their name ends with.
FAMILY = re.compile(r"(undef|broadcast_zero_to|broadcast_to|set|extract|ups_to|srs_to|to)_(v\d+\w+?)(_conf)?$")
# What is written with `::` in front of it and is no function of the global namespace.
NOT_INTRINSICS = {"aie", "adf", "run", "size", "native_type", "storage_t", "value_bits", "value_type", "bfloat16",
                  "to_", "srs_to_", "ups_to_", "dims_2d_t", "dims_3d_t"}


def header_text(folder):
    """The headers for AIE-ML and its successors, without comments."""
    sources = [path.read_text(encoding="utf-8", errors="replace")
               for path in sorted(folder.rglob("*.hpp")) if "aie1" not in path.parts]
    return re.sub(r"/\*.*?\*/", "", re.sub(r"//.*", "", "\n".join(sources)), flags=re.S)


def registers(text):
    """{name: C++ type}: all of 4 to 512 bytes of known lanes, and opaque ones for what else the headers name."""
    types = {}
    for (lane, bits), count in itertools.product(LANES.items(), (2, 4, 8, 16, 32, 64, 128, 256)):
        if 4 <= bits * count // 8 <= 512:
            types[f"v{count}{lane}"] = f"emulated::Register<{C_TYPE.get(lane, lane)}, {count}>"
    others = set(re.findall(r"(?<!\w)(v\d+c?[a-z]+\d+\w*)", text)) - set(types)
    for number, name in enumerate(sorted(others)):
        types[name] = f"emulated::OpaqueRegister<{number}>"
    return types


def shuffle_modes(text):
    """{name: constant}: T8_64x2_lo; and INTLV_lo_8o16, which is T8_2x64_lo, and DINTLV_lo_8o16, which is T8_64x2_lo."""
    modes = {}
    for name, bits, rows, columns, half in re.findall(r"\b(T(\d+)_(\d+)x(\d+)(?:_(lo|hi))?)\b", text):
        modes[name] = f"emulated::shuffle_mode({bits}, {rows}, {columns}, {int(half == 'hi')})"
    for name, apart, half, bits in re.findall(r"\b((D?)INTLV_(lo|hi)_(\d+)o\d+)\b", text):
        other = 512 // int(bits)
        rows, columns = (1, 2) if other == 1 else (other, 2) if apart else (2, other)
        modes[name] = f"emulated::shuffle_mode({bits}, {rows}, {columns}, {int(half == 'hi')})"
    for name in re.findall(r"\bT\d+_\d+x\d+_flip\b", text):
        modes[name] = "emulated::kFlip"
    return modes


def intrinsic_names(text, types):
    names = set(re.findall(r"(?<![\w>:])::([a-zA-Z_]\w*)", text))
    names |= set(re.findall(r"\b(?:undef|set|extract|broadcast\w*|srs|ups|to)(?:_to)?_v\d+\w+", text))
    # The headers put these together.
    for name in types:
        names |= {f"{family}_{name}" for family in ("to", "ups_to", "srs_to")}
    return names - NOT_INTRINSICS - set(types)


def complete_intrinsics(folder):
    """The emulation's intrinsics without operands, or for any, beside which a stand-in would be ambiguous."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.h")))
    return set(re.findall(r"\bINTRINSIC \w+ (\w+)\((?:\.\.\.)?\)", text))


def main(headers, emulation, output):
    text = header_text(headers / "aie_api")
    types = registers(text)
    lines = ["// Written by declare.py.", "#pragma once"]
    lines += [f"using {name} = {type_};" for name, type_ in sorted(types.items())]
    lines += [f"inline constexpr unsigned {name} = {mode};" for name, mode in sorted(shuffle_modes(text).items())]
    for name in sorted(intrinsic_names(text, types) - complete_intrinsics(emulation)):
        family = FAMILY.match(name)
        if family and family[2] in types:
            lines.append(f"HCCS_INTRINSIC_OF({family[1]}, {family[2]}, {name})")
        else:
            lines.append(f"HCCS_INTRINSIC({name})")
    output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
