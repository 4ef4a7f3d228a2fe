# SPDX-License-Identifier: Apache-2.0
"""Who writes to stdout and stderr: in libraries and the program hccs only the files of ALLOWED, since a message that cannot be
written must not end a run, and a library does not print. Nowhere fmt::print to stderr, which throws.

    check_output.py SOURCE_DIR

Exit code 1 with one line for each place that breaks a rule.
"""
import pathlib
import re
import sys

ROOTS = ("include", "src", "training", "aie", "tools", "bench", "examples", "tests")
# Folders whose code prints by the files below alone. Others are programs of their own: tests, benchmarks, examples.
FOLDERS = ("include", "src", "training", "tools", "aie/kernels", "aie/graph", "aie/host", "aie/cycles", "aie/traces", "aie/export")
ALLOWED = {
    "tools/hccs/console.h": "the one place that prints",
    "tools/hccs/console.cc": "the same",
    "src/contract/status.cc": "the last words of a program that used the value of a failed Expected",
}
PRINTS = re.compile(r"\bstderr\b|\bstdout\b|\bSTD(?:ERR|OUT)_FILENO\b|\bstd::(?:cerr|cout|clog)\b|\bfmt::(?:print|println)\b"
                    r"|(?<!\w)(?:std::)?(?:printf|vprintf|puts|putchar|perror|psignal)\s*\(")
THROWS = re.compile(r"\bfmt::print(?:ln)?\s*\(\s*stderr\b")


def code_of(text):
    """The text without comments and without what stands in quotes, line by line."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*', '""', text)


def problems_of(source):
    problems = []
    seen = 0
    for path in sorted(p.relative_to(source) for root in ROOTS for p in (source / root).rglob("*") if p.suffix in (".h", ".cc")):
        if "templates" in path.parts:  # of projects that run elsewhere
            continue
        inside = any(path.is_relative_to(folder) for folder in FOLDERS)
        rule = PRINTS if inside and path.as_posix() not in ALLOWED else THROWS
        seen += inside
        for number, line in enumerate(code_of((source / path).read_text()).splitlines(), 1):
            if rule.search(line):
                problems.append(f"{path}:{number}: prints, but only {', '.join(ALLOWED)} may: {line.strip()}" if rule is PRINTS
                                else f"{path}:{number}: fmt::print throws where stderr cannot be written; use std::fputs")
    return problems, seen


def main():
    problems, seen = problems_of(pathlib.Path(sys.argv[1]))
    if seen < 150:
        problems.append(f"only {seen} files were found, but there are more than 150: the check does not see them")
    print("\n".join(problems) or f"{seen} files: none prints by itself")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
