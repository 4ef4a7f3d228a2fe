#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch-headers.sh FOLDER: puts ONNX Runtime's C header into FOLDER, for HCCS_ORT_INCLUDE, from PyPI's package amd-quark
# (2.7 MB, MIT), which has it whole. Needs python3 with pip; HCCS_WHEEL_PYTHON names another.
set -eu
folder=$1
python=${HCCS_WHEEL_PYTHON:-python3}
[ ! -f "$folder/onnxruntime_c_api.h" ] || exit 0
mkdir -p "$folder"
part=$(mktemp -d)
trap 'rm -rf "$part"' EXIT
"$python" -m pip --disable-pip-version-check --quiet download --no-deps --dest "$part" amd-quark==0.13
"$python" - "$part"/*.whl "$folder" <<'END'
import pathlib, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
(name,) = [n for n in wheel.namelist() if n.endswith("/core/session/onnxruntime_c_api.h")]
pathlib.Path(sys.argv[2], "onnxruntime_c_api.h").write_bytes(wheel.read(name))
END
