# SPDX-License-Identifier: Apache-2.0
"""Empty libraries in place of the CUDA libraries that PyTorch's Linux wheel is linked to, beside PyTorch's own: its CPU
half then runs without the 2 GB that these are. Whoever called one would find no device."""

import importlib.util
import pathlib
import re
import subprocess
import tempfile

NO_DEVICE = 100  # cudaErrorNoDevice
KEPT = r"lib(cudart|cupti|cufile|cuda)\."  # real ones
STOOD_IN_FOR = r"lib(cu|nccl|nv)"
FUNCTION = r"(__)?(cu[A-Za-z]|nccl|nvrtc|nvshmem|nvtx|nvJit|nvml)"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(libraries):
    """Sonames that the libraries need, (name, version) of what they lack, names that they have, and which soname a
    version belongs to."""
    needed, missing, there, owner = set(), set(), set(), {}
    for library in libraries:
        needed |= set(re.findall(r"NEEDED\)\s+Shared library: \[(.*?)\]", run("readelf", "-dW", library)))
        soname = None
        for line in run("readelf", "-VW", library).splitlines():
            if found := re.search(r"File: (\S+)\s+Cnt", line):
                soname = found[1]
            elif (found := re.search(r"Name: (\S+)\s+Flags", line)) and soname:
                owner[found[1]] = soname
            elif "Version symbols" in line or "Version definition" in line:
                soname = None
        for line in run("nm", "-D", "--with-symbol-versions", library).splitlines():
            fields = line.split()
            name, _, version = fields[-1].partition("@")
            if fields[-2] in "Uw":
                missing.add((name, version.strip("@")))
            else:
                there.add(name)
    return needed, missing, there, owner


def build(soname, functions, folder):
    """functions: {name: version or ""}."""
    with tempfile.TemporaryDirectory() as work:
        source, script = pathlib.Path(work, "stub.c"), pathlib.Path(work, "stub.map")
        source.write_text(
            "".join(
                f"long {f}(void) {{ return {NO_DEVICE if re.match('cuda[A-Z]', f) else 0}; }}\n"
                for f in sorted(functions)
            )
        )
        versions = sorted({v for v in functions.values() if v})
        script.write_text(
            "".join(
                f"{v} {{ global: {' '.join(f + ';' for f in sorted(functions) if functions[f] == v)} }};\n"
                for v in versions
            )
        )
        options = [f"-Wl,--version-script,{script}"] if versions else []
        run(
            "cc",
            "-w",
            "-shared",
            "-fPIC",
            "-O0",
            "-fno-builtin",
            f"-Wl,-soname,{soname}",
            *options,
            str(source),
            "-o",
            str(folder / soname),
        )


def main():
    folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
    libraries = sorted(str(p) for p in folder.glob("*.so*"))
    needed, missing, there, owner = symbols(libraries)
    have = {pathlib.Path(p).name for p in libraries}
    without_version = {n: "" for n, v in missing if not v and n not in there and re.match(FUNCTION, n)}
    for soname in sorted(n for n in needed if n not in have and re.match(STOOD_IN_FOR, n) and not re.match(KEPT, n)):
        build(soname, {**without_version, **{n: v for n, v in missing if owner.get(v) == soname}}, folder)
        print("stands in for", soname)


if __name__ == "__main__":
    main()
