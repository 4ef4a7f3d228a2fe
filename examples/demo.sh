#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end: a pre-trained transformer in, calibrated heads and a measured accuracy out.
# Run from the repository's root, after the build; `make demo` does both.
set -eu
demo=build/demo
hccs=build/hccs
mkdir -p "$demo" build/results

echo "== model: all-MiniLM-L6-v2" >&2
examples/fetch-model.sh "$demo/model"

echo "== calibrate: every head, on glosses that the evaluation does not use" >&2
started=$(date +%s)
calibrate() { # NAME, then options
  name=$1
  shift
  "$hccs" calibrate --model "$demo/model" --task wordnet "$@" -o "$demo/params-$name.json" >"$demo/report-$name.txt"
  tail -n 1 "$demo/report-$name.txt"
}
calibrate paper --knees 1 --limits paper --length 64
calibrate k1 --knees 1
calibrate k2 --knees 2
calibrate k3 --knees 3
seconds=$(($(date +%s) - started))

echo "== quantise: everything in integers, K = 3" >&2
"$hccs" quantise --model "$demo/model" --task wordnet --knees 3 -o "$demo/minilm-k3.hccs"

echo "== evaluate: nearest neighbours among WordNet glosses" >&2
"$hccs" evaluate --model "$demo/model" --task wordnet --calibration-seconds "$seconds" --json build/results/demo.json \
  --integers "$demo/minilm-k3.hccs" \
  --params "$demo/params-paper.json" "$demo/params-k1.json" "$demo/params-k2.json" "$demo/params-k3.json"
