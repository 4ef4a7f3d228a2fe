#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Python package from this checkout into a fresh environment and runs tests/python there. Where other versions
# of Python are on the PATH, the package is also built for the first that has the stable interface (3.12 or later), and
# that one wheel is imported by all of these, which run the tests that need NumPy alone.
#
#   tests/python/run.sh [pytest options]
set -eu
cd "$(dirname "$0")/../.."
env=build/venv-python
wheels=build-python/wheels
python=${HCCS_WHEEL_PYTHON:-python3}

rm -rf "$env" build-python
"$python" -m venv "$env"
pip="$env/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --requirement tests/python/requirements.txt
# With the custom operators for ONNX Runtime, where its header can be had.
headers=$PWD/build/ort-headers
with_ort=
if ort/fetch-headers.sh "$headers"; then
  with_ort="--config-settings=cmake.define.HCCS_BUILD_ORT=ON --config-settings=cmake.define.HCCS_ORT_INCLUDE=$headers"
else
  echo "tests/python: the header of ONNX Runtime cannot be had: its custom operators are not tested"
fi
$pip wheel --no-deps --wheel-dir "$wheels" $with_ort .
$pip install --no-deps "$wheels"/*.whl
# Away from the root: what is imported is the installed package.
root=$PWD
(cd tests/python && "$root/$env/bin/python" -m pytest --quiet -p no:cacheprovider "$@" .)

for version in 3.11 3.12 3.13 3.14; do
  other=python$version
  # The tests above were run by this one.
  if [ "$version" = "$("$env/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" ]; then continue; fi
  if ! "$other" --version >/dev/null 2>&1; then
    echo "tests/python: $other is not installed: the wheel was not imported by it"
    continue
  fi
  rm -rf "$env-$version"
  if ! "$other" -m venv "$env-$version"; then
    echo "tests/python: $other has no venv: the wheel was not imported by it"
    continue
  fi
  pip="$env-$version/bin/python -m pip --disable-pip-version-check --quiet"
  if [ "$version" = 3.11 ]; then tag=cp311; else tag=abi3; fi
  wheel=$(ls "$wheels"/hccs-*-$tag-*.whl 2>/dev/null | head -n 1)
  if [ -z "$wheel" ]; then
    find build-python -mindepth 1 -maxdepth 1 ! -name wheels -exec rm -rf {} +
    $pip wheel --no-deps --wheel-dir "$wheels" $with_ort .
    wheel=$(ls "$wheels"/hccs-*-$tag-*.whl)
  fi
  $pip install numpy pytest "$wheel"
  (cd tests/python && "$root/$env-$version/bin/python" -m pytest --quiet -p no:cacheprovider test_softmax.py \
    test_arrays.py test_attention.py test_params.py)
  echo "tests/python: $(basename "$wheel") serves Python $version"
done
