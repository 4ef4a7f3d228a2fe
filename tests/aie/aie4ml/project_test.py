# SPDX-License-Identifier: Apache-2.0
"""The directives of `hccs export --target aie4ml`, with aie4ml itself: project_test.py HCCS HOST_INCLUDE, at the repository's root,
by a Python that has requirements.txt. The environment names the model (HCCS_MODEL) and the C++ compiler (CXX).

aie4ml makes a project out of an ONNX graph that has a layer's Softmax nodes between quantisers. The project's app.cpp, graphs and
kernels are compiled as they are with this repository's AIE API and ADF for CPUs, and run on the model's own logits. Every output
is compared with the definition.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
from aie4ml.frontends.onnx import from_onnx
from aie4ml.simulation import collect_outputs
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, "tests/contract")
import oracle  # noqa: E402

HOST_INCLUDE = os.path.abspath(sys.argv.pop(2))
HCCS = os.path.abspath(sys.argv.pop(1))
LENGTH = 64
ROWS = 64
LAYER = 2
DTYPES = {"int8": (np.int8, TensorProto.INT8), "uint8": (np.uint8, TensorProto.UINT8), "int16": (np.int16, TensorProto.INT16)}


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")


def softmax_graph(scales, rows, length):
    """A graph with the nodes of scales.json, each from an input xI to an output yI."""
    nodes, inputs, outputs, constants = [], [], [], []

    def quantiser(prefix, of):
        constants.append(numpy_helper.from_array(np.float32(of["scale"]), prefix + "scale"))
        constants.append(numpy_helper.from_array(np.asarray(of["zero_point"], DTYPES[of["type"]][0]), prefix + "zero"))
        return [prefix + "scale", prefix + "zero"]

    for i, entry in enumerate(scales):
        before, after = quantiser(f"in{i}_", entry["input"]), quantiser(f"out{i}_", entry["output"])
        inputs.append(helper.make_tensor_value_info(f"x{i}", DTYPES[entry["input"]["type"]][1], [1, rows, length]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, [1, rows, length]))
        nodes += [
            helper.make_node("DequantizeLinear", [f"x{i}", *before], [f"logits{i}"], name=f"dequantise_logits{i}"),
            helper.make_node("Softmax", [f"logits{i}"], [f"p{i}"], axis=-1, name=entry["node"]),
            helper.make_node("QuantizeLinear", [f"p{i}", *after], [f"q{i}"], name=f"quantise{i}"),
            helper.make_node("DequantizeLinear", [f"q{i}", *after], [f"y{i}"], name=f"dequantise{i}"),
        ]
    graph = helper.make_graph(nodes, "layer", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


class Project(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.work)
        words = " ".join(pathlib.Path(page).read_text() for page in ("LICENSE", "docs/arithmetic.md")).split()
        texts = cls.work / "texts.txt"
        texts.write_text("\n".join(" ".join(words[i : i + 100]) for i in range(0, len(words) - 99, 100)))
        model = ("--model", os.environ["HCCS_MODEL"], "--text", texts)
        cls.params = cls.work / "params.json"
        run(HCCS, "calibrate", *model, "--limits", "paper", "--length", LENGTH, "--knees", 1, "--step", "power-of-two",
            "-o", cls.params)
        run(HCCS, "logits", *model, "--params", cls.params, "--length", LENGTH, "--rows", ROWS, "-o", cls.work / "logits")
        cls.logits = np.load(cls.work / "logits" / f"layer{LAYER}.npy")

    def outputs(self, project, scales, directives, logits):
        """What the project that aie4ml makes computes of the logits, by output."""
        config = {"Part": "xilinx_vek280_base", "AIEConfig": {"Part": "xilinx_vek280_base", "Iterations": 1}, **directives}
        model = from_onnx(softmax_graph(scales, *logits.shape[1:]), config, output_dir=str(project), project_name="project")
        model.write()
        layout = model.write_inputs({f"x{i}": rows[np.newaxis] for i, rows in enumerate(logits)})
        folders = [project, *(path for path in (project / "src").rglob("*") if path.is_dir()), project / "src"]
        # AMD's compiler takes the kernels' source from source(kernel); here it stands before the graph.
        run(os.environ.get("CXX", "c++"), "-std=c++20", "-O0", "-w", "-pthread", "-D__AIE_ARCH__=20", "-D__X86SIM__",
            f"-I{HOST_INCLUDE}", *(f"-I{folder}" for folder in folders), "-include", "softmax.cpp", project / "app.cpp", "-o",
            project / "app")
        run(project / "app", cwd=project)
        shutil.copytree(project / "data", project / "x86simulator_output" / "data")
        return collect_outputs(project, "x86", layout)

    def assert_as_defined(self, name, mode, params, layer, logits, *options):
        """Of a layer's logits [heads, rows, n]."""
        folder = self.work / f"{name}_directives"
        run(HCCS, "export", "--target", "aie4ml", "--params", params, "--layer", layer, "--length", logits.shape[2], "--nodes",
            "layer{layer}_head{head}_softmax", "-o", folder, *options)
        scales = json.loads((folder / "scales.json").read_text())
        heads = {(head["layer"], head["head"]): head for head in json.loads(params.read_text())["parameters"]}
        self.assertEqual(len(scales), len(logits))
        outputs = self.outputs(self.work / name, scales, json.loads((folder / "layer_directives.json").read_text()), logits)
        for i, entry in enumerate(scales):
            head = heads[entry["layer"], entry["head"]]
            self.assertEqual(entry["input"]["scale"], head["step"])
            self.assertEqual(entry["input"]["scale"], 2.0 ** -entry["input"]["f"])
            got = outputs[f"y{i}"].reshape(logits.shape[1:])
            for r, row in enumerate(logits[i].tolist()):
                scores = [oracle.score(head["B"], head["knees"], max(row) - x) for x in row]
                of_score = {s: oracle.normalise(mode, s, sum(scores)) for s in set(scores)}
                self.assertEqual(got[r].tolist(), [of_score[s] for s in scores], f"{entry['node']}, row {r}")
        return outputs

    def test_clb_of_tiles_is_as_defined(self):
        self.assert_as_defined("clb", "clb_u8", self.params, LAYER, self.logits)

    def test_div_of_rows_is_as_defined(self):
        self.assert_as_defined("div", "div_i16", self.params, LAYER, self.logits, "--normalisation", "div", "--output", "int16",
                               "--layout", "linear")

    def test_outputs_saturate(self):
        """The kernels set the tile's modes only where __AIENGINE__ is defined; 385 would be 129 without."""
        made_up = json.loads(self.params.read_text())
        made_up.update(layers=1, heads=1)
        made_up["parameters"] = [{**made_up["parameters"][0], "layer": 0, "head": 0, "B": 775, "knees": [[59, 13]]}]
        params = self.work / "made_up.json"
        params.write_text(json.dumps(made_up))
        logits = np.full((1, 8, 32), -20, np.int8)
        logits[0, :, 5] = 20
        for layout in ("tiled", "linear"):
            outputs = self.assert_as_defined(layout, "clb_u8", params, 0, logits, "--layout", layout)
            self.assertEqual(outputs["y0"].max(), 255)

    def test_the_models_nodes_are_checked(self):
        """--onnx: a head whose node the model has not, or twice, is refused with head, name and model."""
        export = (HCCS, "export", "--target", "aie4ml", "--params", self.params, "--layer", LAYER, "--length", LENGTH, "--nodes",
                  "head{head}", "-o")
        run(*export, self.work / "names")
        model = softmax_graph(json.loads((self.work / "names" / "scales.json").read_text()), 8, LENGTH)
        path = self.work / "model.onnx"
        onnx.save(model, path)
        run(*export, self.work / "checked", "--onnx", path)
        softmax = [node for node in model.graph.node if node.op_type == "Softmax"]
        softmax[3].name = "elsewhere"
        onnx.save(model, path)
        with self.assertRaisesRegex(RuntimeError, f"layer {LAYER}, head 3: .*model.onnx has 0 of"):
            run(*export, self.work / "refused", "--onnx", path)
        self.assertFalse((self.work / "refused").exists())
        softmax[3].name, softmax[5].name = "head3", "head2"
        onnx.save(model, path)
        with self.assertRaisesRegex(RuntimeError, f"layer {LAYER}, head 2: .*model.onnx has 2 of"):
            run(*export, self.work / "refused", "--onnx", path)


if __name__ == "__main__":
    unittest.main()
