#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE BUILD WORK: installs BUILD into a prefix, then builds and runs a consumer by find_package, by pkg-config and by
# add_subdirectory; then moves the prefix and builds by find_package again.
set -eu
source=$1 build=$2 work=$3
consumer=$source/tests/install/consumer
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"

build_and_run() { # NAME, cmake options
  name=$1
  shift
  cmake -S "$consumer" -B "$work/$name" -G Ninja "$@" >"$work/$name.log"
  cmake --build "$work/$name" >>"$work/$name.log" || { cat "$work/$name.log"; exit 1; }
  "$work/$name/consumer"
  echo "$name: ok"
}
build_and_run find_package -D CMAKE_PREFIX_PATH="$work/prefix"
build_and_run find_package_components -D CMAKE_PREFIX_PATH="$work/prefix" -D "HCCS_COMPONENTS=formats;encoder"
build_and_run add_subdirectory -D HCCS_SOURCE="$source"
[ ! -e "$work/add_subdirectory/hccs/tests" ] || { echo "add_subdirectory built the tests"; exit 1; }

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name hccs.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # one word a flag
c++ -std=c++20 "$consumer/main.cc" $(pkg-config --cflags --libs hccs) -o "$work/by_pkg_config"
"$work/by_pkg_config"
echo "pkg-config: ok"

mv "$work/prefix" "$work/moved"
build_and_run moved_prefix -D CMAKE_PREFIX_PATH="$work/moved"
