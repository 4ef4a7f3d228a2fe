# SPDX-License-Identifier: Apache-2.0
"""The portable target computes with integers: its objects have no floating-point instruction.

    no_floating_point.py OBJECT...

Looks at the objects named portable.cc.o. Moves, shuffles and logic of vector registers are the same for all types, so
their names say nothing; arithmetic, comparisons and conversions do. Exit code 77: nothing that can be disassembled
here."""
import pathlib
import re
import shutil
import subprocess
import sys

X86 = re.compile(
    r"v?(add|sub|mul|div|sqrt|rsqrt|rcp|min|max|cmp\w*|round|hadd|hsub|addsub|dp|scalef|getexp|getmant|range|reduce)"
    r"(ps|pd|ss|sd|ph|sh)"
    r"|v?u?comis[sd]|v?cvt\w+|vfn?m(add|sub)\w*|vrndscale\w+|vrcp\w+|vrsqrt\w+"
    r"|f(ld|st|add|sub|mul|div|i?com|u?com|chs|abs|sqrt|ild|ist|ip|xch|rnd|scale|yl2x|2xm1|ptan|patan|sin|cos)\w*")
ARM = re.compile(r"f[a-z]\w+|[su]cvtf")


def main():
    objects = [p for p in map(pathlib.Path, sys.argv[1:]) if p.name == "portable.cc.o"]
    if not objects or not shutil.which("objdump"):
        print("no objdump" if objects else "no portable.cc.o")
        sys.exit(77)
    failures = []
    for path in objects:
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
        pattern = ARM if "aarch64" in text.splitlines()[1] else X86
        instructions = re.findall(r"^\s*[0-9a-f]+:\s+(\S+)(.*)$", text, re.MULTILINE)
        assert len(instructions) > 300, f"{path}: {len(instructions)} instructions"
        failures += [f"{path}: {name}{rest}" for name, rest in instructions if pattern.fullmatch(name)]
    print("\n".join(failures[:20]))
    # The pattern finds what there is to find.
    assert X86.fullmatch("cvtsi2sd") and X86.fullmatch("vfmadd213ps") and X86.fullmatch("mulss") and ARM.fullmatch("fmul")
    assert not X86.fullmatch("pmaddwd") and not X86.fullmatch("movaps") and not X86.fullmatch("unpcklps")
    sys.exit(1 if failures else 0)


main()
