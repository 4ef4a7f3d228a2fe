#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE BUILD WORK: installs BUILD into a prefix, then builds and runs a consumer by find_package, by pkg-config and by
# add_subdirectory; then moves the prefix and builds by find_package again.
set -eu
source=$1 build=$2 work=$3
consumer=$source/tests/install/consumer
example=$source/examples/deploy
rm -rf "$work"
"$source/tests/install/copy.sh" "$source" "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"

build_and_run() { # NAME, cmake options
  name=$1
  shift
  cmake -S "$consumer" -B "$work/$name" -G Ninja "$@" >"$work/$name.log"
  cmake --build "$work/$name" >>"$work/$name.log" || { cat "$work/$name.log"; exit 1; }
  (cd "$work" && "$work/$name/consumer")
  echo "$name: ok"
}
build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix"
build_and_run find_package_components -D CMAKE_PREFIX_PATH="$work/prefix" -D "HCCS_COMPONENTS=formats;encoder"
build_and_run add_subdirectory -D HCCS_SOURCE="$work"

# The example of docs/library.md, on a parameter file of its own.
cat >"$work/params.json" <<END
{"format": "hccs-params", "version": 1, "model": "made up", "layers": 2, "heads": 1, "head_dimension": 32, "sequence_length": 64,
 "knees": 3, "limits": "native", "share": "layer", "seed": 1, "data_digest": "none", "parameters": [
 {"layer": 0, "head": 0, "B": 300, "knees": [[4, 60]], "step": 0.05, "kl": 0, "kl_continuous": 0, "rows": 1, "max_probability": 0.9, "default": false},
 {"layer": 1, "head": 0, "B": 4690, "knees": [[86, 21], [34, 47], [14, 85]], "step": 0.05, "kl": 0, "kl_continuous": 0, "rows": 1, "max_probability": 0.9, "default": false}]}
END
cmake -S "$example" -B "$work/deploy" -G Ninja -D CMAKE_PREFIX_PATH="$work/prefix" >"$work/deploy.log"
cmake --build "$work/deploy" >>"$work/deploy.log" || { cat "$work/deploy.log"; exit 1; }
"$work/deploy/deploy" "$work/params.json" 1 | tee "$work/deploy.txt"
grep -q '^made up, layer 1, head 0, .*: [0-9 ]*$' "$work/deploy.txt"
if "$work/deploy/deploy" "$work/params.json" 2 2>"$work/refused.txt"; then echo "layer 2 of 2 was taken"; exit 1; fi
grep -q 'layer 2' "$work/refused.txt"
echo "example: ok"
[ ! -e "$work/add_subdirectory/hccs/tests" ] || { echo "add_subdirectory built the tests"; exit 1; }

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name hccs.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # one word a flag
c++ "$consumer/main.cc" $(pkg-config --cflags --libs hccs) -o "$work/by_pkg_config"
(cd "$work" && "$work/by_pkg_config")
echo "pkg-config: ok"

# The program of README.md and the function of docs/library.md, as they stand there.
first_program() { awk '/^```cpp$/ && !seen { inside = seen = 1; next } /^```$/ { inside = 0 } inside' "$1"; }
first_program "$source/README.md" >"$work/readme.cc"
first_program "$source/docs/library.md" >"$work/library.cc"
# shellcheck disable=SC2046  # one word a flag
c++ -Wall -Wextra -Werror "$work/readme.cc" $(pkg-config --cflags --libs hccs) -o "$work/readme"
"$work/readme"
# shellcheck disable=SC2046
c++ -Wall -Wextra -Werror -fsyntax-only "$work/library.cc" $(pkg-config --cflags hccs)
grep -q SoftmaxPlan "$work/readme.cc" && grep -q calibrate_model "$work/library.cc"
echo "documentation: ok"

mv "$work/prefix" "$work/moved"
build_and_run moved_prefix -D CMAKE_PREFIX_PATH="$work/moved"
