# SPDX-License-Identifier: Apache-2.0
"""What hccs.torch.apply() costs a forward pass on the CPU, beside transformers' own attention functions: a BERT of
all-MiniLM-L6-v2's shape with random weights. `make bench-python` runs it in the environment of `make test-torch`.

    torch_bench.py [--threads 2]
"""

import argparse
import os
import time

import torch
import transformers

import hccs
import hccs.torch


def seconds(model, inputs):
    times = []
    with torch.no_grad():
        model(**inputs)
        while len(times) < 7 or (sum(times) < 1 and len(times) < 50):
            start = time.perf_counter()
            model(**inputs)
            times.append(time.perf_counter() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    model = transformers.BertModel(config).eval()
    entry = hccs.HeadEntry(hccs.HeadParams(4690, [(86, 21), (34, 47), (14, 85)]), 0.07)
    params = hccs.Params("random", 6, 12, [entry] * 72)
    print(f"torch {torch.__version__}, hccs on {hccs.targets()[0]}, {threads} threads, load {os.getloadavg()[0]:.1f}")
    print("ms a forward pass   " + "".join(f"{name:>10}" for name in ("eager", "sdpa", "hccs", "i-bert")))
    for texts, length in ((1, 64), (8, 64), (1, 256), (8, 256)):
        inputs = {
            "input_ids": torch.randint(1, 30000, (texts, length)),
            "attention_mask": torch.ones(texts, length, dtype=torch.long),
        }
        told = []
        for name in ("eager", "sdpa"):
            model.set_attn_implementation(name)
            told.append(seconds(model, inputs))
        for method in ("hccs", "i-bert"):
            hccs.torch.apply(model, params, method=method)
            told.append(seconds(model, inputs))
            hccs.torch.remove(model)
        print(f"{texts} texts of {length:<10}" + "".join(f"{1e3 * s:10.1f}" for s in told), flush=True)


if __name__ == "__main__":
    main()
