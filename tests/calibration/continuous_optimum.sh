#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# continuous_optimum.sh DUMP_LOGITS HCCS: calibrates a real model's dumped logits, K = 1, 2, 3, and compares with the
# best fit that continuous_optimum.py finds. Skipped (77) without a model, WordNet, or a Python with SciPy.
set -eu
model=${HCCS_MODEL:-build/demo/model}
for needed in "$model/config.json" /usr/share/wordnet/data.noun; do
  test -e "$needed" || { echo "skipped: no $needed"; exit 77; }
done
"${HCCS_PYTHON:-python3}" -c 'import numpy, scipy' || { echo 'skipped: HCCS_PYTHON names no Python with SciPy'; exit 77; }

logits=$(mktemp -d)
trap 'rm -r "$logits"' EXIT
"$1" "$model" "$logits" 300
for knees in 1 2 3; do
  "$2" calibrate --logits "$logits" --rows 100000 --knees $knees -o "$logits/k$knees.json"
done
# SciPy's threads only disturb each other on arrays of this size.
OMP_NUM_THREADS=1 "${HCCS_PYTHON:-python3}" tests/calibration/continuous_optimum.py "$logits" "$logits"/k?.json
