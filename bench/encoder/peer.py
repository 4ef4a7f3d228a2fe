# SPDX-License-Identifier: Apache-2.0
"""Times and embeddings of ONNX Runtime or OpenVINO, as rows.cc has them: a JSON object a line.

    peer.py onnxruntime|openvino|openvino-bf16 MODEL JOB...          THREADS:BATCH:N or THREADS:BATCH:@IDS
    peer.py onnxruntime|openvino|openvino-bf16 MODEL embed IDS OUT   float32, a row a line of IDS
    peer.py nncf MODEL.onnx IDS OUT.xml                              OpenVINO's int8, calibrated on the texts

An embedding is the mean of the last hidden state, of length 1. Texts of a batch are padded to its longest."""
import json
import sys
import time

import numpy as np


def read_ids(path):
    with open(path, encoding="ascii") as file:
        return [[int(i) for i in line.split()] for line in file]


def text_of(n, seed):
    ids = [101]
    for _ in range(2, n):
        seed = (seed * 1664525 + 1013904223) % 2**32
        ids.append(1000 + seed % 20000)
    return ids + [102] if n > 1 else ids


def padded(texts):
    longest = max(map(len, texts))
    ids = np.zeros((len(texts), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, :len(text)] = text
        mask[row, :len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def pooled(hidden, mask):
    if hidden.shape[0] == 1:
        sums = hidden.sum(axis=1)
    else:
        sums = (hidden * mask[:, :, None].astype(np.float32)).sum(axis=1)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def onnxruntime_model(path, threads, shape):
    del shape
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    return lambda x: session.run(None, {k: v for k, v in x.items() if k in names})[0]


def openvino_model(path, threads, shape, precision):
    import openvino
    core = openvino.Core()
    model = core.read_model(path)
    if shape is not None:
        model.reshape({i: list(shape) for i in model.inputs})
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
                                                 "INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    return lambda x: request.infer(x, share_inputs=True, share_outputs=True)[0]


def make(engine, path, threads, shape):
    if engine == "onnxruntime":
        return onnxruntime_model(path, threads, shape)
    return openvino_model(path, threads, shape, "bf16" if engine == "openvino-bf16" else "f32")


def least_time(run, threads):
    clock = time.process_time if threads == 1 else time.perf_counter
    run()
    least, spent, count = float("inf"), 0.0, 0
    while count < 7 or spent < 0.5:
        begin = clock()
        run()
        seconds = clock() - begin
        least, spent, count = min(least, seconds), spent + seconds, count + 1
    return 1000 * least


def time_job(engine, path, job):
    threads, batch, what = job.split(":", 2)
    threads, batch = int(threads), int(batch)
    stream = what.startswith("@")
    texts = read_ids(what[1:]) if stream else [text_of(int(what), seed) for seed in range(batch)]
    run = make(engine, path, threads, None if stream else (batch, int(what)))
    batches = [padded(texts[t:t + batch]) for t in range(0, len(texts), batch)]

    def all_batches():
        for x in batches:
            pooled(run(x), x["attention_mask"])

    ms = least_time(all_batches, threads)
    print(json.dumps({"threads": threads, "batch": batch, "n": 0 if stream else int(what), "ms": round(ms, 5),
                      "tokens_per_s": round(sum(map(len, texts)) / ms * 1000, 1)}), flush=True)


def embed(engine, path, ids, out):
    run = make(engine, path, 1, None)
    rows = []
    for text in read_ids(ids):
        x = padded([text])
        rows.append(pooled(run(x), x["attention_mask"])[0].astype(np.float32))
    np.concatenate(rows).tofile(out)


def quantise(path, ids, out):
    import nncf
    import openvino
    model = openvino.Core().read_model(path)
    data = nncf.Dataset([padded([text]) for text in read_ids(ids)[:300]])
    nncf.set_log_level(40)
    quantised = nncf.quantize(model, data, preset=nncf.QuantizationPreset.MIXED, model_type=nncf.ModelType.TRANSFORMER,
                              subset_size=300)
    openvino.save_model(quantised, out, compress_to_fp16=False)


def main():
    if sys.argv[1] == "nncf":
        quantise(*sys.argv[2:])
    elif sys.argv[3] == "embed":
        embed(sys.argv[1], sys.argv[2], sys.argv[4], sys.argv[5])
    else:
        for job in sys.argv[3:]:
            time_job(sys.argv[1], sys.argv[2], job)


main()
