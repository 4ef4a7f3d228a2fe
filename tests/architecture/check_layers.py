# SPDX-License-Identifier: Apache-2.0
"""Who includes whom (docs/architecture.md): every #include of the project's own code against the table below, which has no
cycles. Also that no source file is longer than LONGEST lines.

    check_layers.py SOURCE_DIR

Exit code 1 with one line for each include, or file, that breaks a rule.
"""
import pathlib
import re
import sys

LONGEST = 600

CORE = ["contract", "softmax", "attention", "calibration", "files", "c_interface", "formats", "encoder", "integer_kernels",
        "integer_encoder",
        "pipeline", "quantiser", "report",
        "tasks"]

# A folder and the folders that it may include, beside itself. src/NAME is NAME.
MAY_INCLUDE = {
    "contract": [],
    "softmax": ["contract"],
    "attention": ["contract"],
    "calibration": ["contract"],
    "files": ["contract"],
    "c_interface": ["contract", "softmax", "attention", "files"],
    "formats": ["contract", "files"],
    "encoder": ["contract", "softmax", "files", "formats"],
    "integer_kernels": ["attention"],
    "integer_encoder": ["contract", "attention", "c_interface", "files", "formats", "integer_kernels"],
    "pipeline": ["contract", "calibration", "files", "formats", "encoder"],
    "quantiser": ["contract", "attention", "calibration", "files", "formats", "encoder", "integer_encoder", "pipeline"],
    "report": ["contract", "calibration", "files", "formats", "pipeline"],
    "tasks": ["contract", "files", "formats"],
    "training": CORE,
    "aie/host": [],
    "aie/kernels": ["aie/host"],  # only what stands for AMD's headers, and the observer
    "aie/graph": ["aie/host", "aie/kernels"],
    "aie/cycles": ["contract", "aie/host"],
    "aie/traces": ["contract", "aie/host", "aie/kernels", "aie/cycles"],
    "aie/export": ["contract", "files", "formats", "aie/kernels"],
    "aie/results": ["contract", "files", "formats", "aie/cycles", "aie/traces"],
    "tools": [*CORE, "training", "aie/cycles", "aie/traces", "aie/export", "aie/results"],
    "bench": CORE,
    "examples": CORE,
    "python": [*CORE, "aie/export"],
    "ort": ["contract", "softmax"],
}

# The folder that defines a public header, include/hccs/NAME.h.
HEADERS = {
    "contract": "deployability export mask params progress quantise reference status version",
    "softmax": "softmax",
    "attention": "attention",
    "calibration": "calibration plausibility",
    "files": "file param_file param_header",
    "c_interface": "hccs",
    "formats": "digest model_folder npy safetensors text tokenizer",
    "encoder": "encoder",
    "integer_encoder": "hccs_integer_encoder integer_encoder",
    "quantiser": "quantise_model",
    "pipeline": "calibrate_model dump_logits evaluate_logits row_file",
}
OWNER = {name: folder for folder, names in HEADERS.items() for name in names.split()}

# Files that are data.
TABLES = set()


def folder_of(path):
    """The row of the table for a file of the project, or None where the table says nothing (tests)."""
    parts = path.parts
    if parts[:2] == ("include", "hccs"):
        return OWNER.get(path.stem)
    if parts[0] == "src":
        return parts[1]
    if parts[0] == "aie":
        return "/".join(parts[:2])
    return parts[0] if parts[0] in MAY_INCLUDE else None


def included_file(source, path, name, files):
    """The file of the project that `#include "name"` means, None for one of a library."""
    for base in (path.parent, pathlib.PurePath("include"), pathlib.PurePath("src"), pathlib.PurePath(""),
                 pathlib.PurePath("aie/host/include"), pathlib.PurePath("tools/hccs")):
        candidate = base / name
        normal = []
        for part in candidate.parts:
            if part == "..":
                normal = normal[:-1]
            else:
                normal.append(part)
        candidate = pathlib.PurePath(*normal)
        if candidate in files:
            return candidate
    return None


def problems_of(source):
    """What breaks a rule, and how many includes were seen."""
    roots = ("include", "src", "training", "aie", "tools", "bench", "examples", "python", "ort", "tests")
    files = {p.relative_to(source) for root in roots for p in (source / root).rglob("*")
             if p.suffix in (".h", ".hpp", ".cc", ".def")}
    problems = []
    edges = 0
    for path in sorted(files):
        text = (source / path).read_text()
        lines = text.count("\n")
        if lines > LONGEST and path not in TABLES:
            problems.append(f"{path}: {lines} lines, but a file has at most {LONGEST}")
        if path.parts[:2] == ("include", "hccs") and path.stem not in OWNER:
            problems.append(f"{path}: no folder owns this public header; add it to HEADERS")
        folder = folder_of(path)
        if folder is None:
            continue
        if folder not in MAY_INCLUDE:
            problems.append(f"{path}: the folder {folder} is not in MAY_INCLUDE")
            continue
        for name in re.findall(r'^\s*#\s*include\s*["<]([^">]+)[">]', text, re.M):
            target = included_file(source, path, name, files)
            if target is None:
                continue
            edges += 1
            other = folder_of(target)
            if other != folder and other not in MAY_INCLUDE[folder]:
                problems.append(f"{path}: includes {target}, but {folder} may include "
                                f"{', '.join(MAY_INCLUDE[folder]) or 'nothing'}")
    return problems, edges


def main():
    problems, edges = problems_of(pathlib.Path(sys.argv[1]))
    if edges < 500:
        problems.append(f"only {edges} includes were found, but there are more than 500: the check does not see them")
    print("\n".join(problems) or f"{edges} includes: all as docs/architecture.md says")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
