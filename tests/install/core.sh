#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# core.sh SOURCE WORK static|shared: the core alone, as that kind of library: built, installed, and used from C++ and C by
# find_package and pkg-config; and what it shows and needs.
set -eu
source=$1 work=$2 kind=$3
rm -rf "$work"
"$source/tests/install/copy.sh" "$source" "$work"
shared=OFF
[ "$kind" = static ] || shared=ON
log() { # NAME, command
  name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 || { cat "$work/$name.log"; echo "$name: failed"; exit 1; }
}
log configure cmake -S "$work" -B "$work/build" -G Ninja -D HCCS_CORE_ONLY=ON -D BUILD_SHARED_LIBS=$shared
log build cmake --build "$work/build" --parallel 2
log install cmake --install "$work/build" --prefix "$work/prefix"

lib=$(dirname "$(find "$work/prefix" -name 'libhccs.*' | head -n 1)")
export LD_LIBRARY_PATH="$lib"
export PKG_CONFIG_PATH="$lib/pkgconfig"
installed=$(cd "$lib" && find . -maxdepth 1 -name 'lib*' | sort | tr '\n' ' ')
if [ "$kind" = static ]; then
  [ "$installed" = "./libhccs.a " ] || { echo "installed: $installed"; exit 1; }
  # What a program that links it needs beside Highway: the C++ library and libc.
  nm -C --undefined-only "$lib/libhccs.a" | sed -n 's/^ *[Uw] //p' | sort -u >"$work/undefined"
  foreign=$(grep -E '^(icu|u_|u8_|utf8_|dnnl|GOMP|omp_|XXH|fmt::|nlohmann::)' "$work/undefined" || true)
  [ -z "$foreign" ] || { echo "undefined: $foreign"; exit 1; }
else
  version=$(sed -n 's/^set(PACKAGE_VERSION "\(.*\)")/\1/p' "$lib/cmake/hccs/hccs-config-version.cmake")
  [ "$installed" = "./libhccs.so ./libhccs.so.${version%%.*} ./libhccs.so.$version " ] || { echo "installed: $installed"; exit 1; }
  readelf -d "$lib/libhccs.so" >"$work/dynamic"
  grep -q "SONAME.*\[libhccs.so.${version%%.*}\]" "$work/dynamic"
  foreign=$(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$work/dynamic" | grep -Ev '^(libhwy|libstdc\+\+|libgcc_s|libm|libc|ld-linux.*)\.so' || true)
  [ -z "$foreign" ] || { echo "needs: $foreign"; exit 1; }
  # Public symbols alone: hccs_... of C, hccs:: of C++ without hccs::internal:: but for what Expected calls.
  nm -D --defined-only -C "$lib/libhccs.so" | cut -d' ' -f3- | sed 's/@@HCCS_[0-9]*$//' | sort -u >"$work/symbols"
  others=$(grep -Ev '^(hccs_[a-z0-9_]+|HCCS_[0-9]+|((typeinfo( name)?|vtable) for )?hccs::.*)$' "$work/symbols" || true)
  internal=$(grep 'hccs::internal::' "$work/symbols" | grep -v '^hccs::internal::abort_without_value(' || true)
  [ -z "$others$internal" ] || { echo "visible, but not public: $others $internal"; exit 1; }
  grep -q '^hccs_softmax_run$' "$work/symbols" && grep -q '^hccs::read_param_file(' "$work/symbols"
fi

consumer() { # NAME, cmake options
  name=$1
  shift
  log "$name" cmake -S "$source/tests/install/$name" -B "$work/$name" -G Ninja -D CMAKE_PREFIX_PATH="$work/prefix" "$@"
  log "$name-build" cmake --build "$work/$name"
}
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source/docs/c-interface.md" >"$work/example.c"
grep -q hccs_softmax_run "$work/example.c"
runs() { # PROGRAM: the example, on the consumer's parameter file
  "$1" "$work/params.json" >"$work/out"
  [ "$(tail -n 1 "$work/out")" = "row 1: 127 127 0" ] || { cat "$work/out"; echo "$1: another result"; exit 1; }
  if "$1" "$work/none.json" 2>"$work/refused"; then echo "$1: took a file that is not there"; exit 1; fi
  grep -q "i/o error: .*none.json" "$work/refused"
}

consumer consumer
(cd "$work" && "$work/consumer/consumer")
[ -e "$work/params.json" ]
consumer consumer_c -D PROGRAM="$work/example.c"
runs "$work/consumer_c/consumer_c"
echo "$kind, find_package: ok"

# shellcheck disable=SC2046  # one word a flag
c++ "$source/tests/install/consumer/main.cc" $(pkg-config --cflags --libs hccs) -o "$work/by_pkg_config"
(cd "$work" && "$work/by_pkg_config")
for compiler in gcc clang; do
  command -v $compiler >/dev/null || { echo "$compiler: not here"; continue; }
  # shellcheck disable=SC2046
  $compiler -std=c99 -Wall -Wextra -pedantic -Werror "$work/example.c" $(pkg-config --cflags --libs hccs-c) -o "$work/c_by_$compiler"
  runs "$work/c_by_$compiler"
done
if [ "$kind" = shared ]; then
  ldd "$work/c_by_gcc" | grep -q "libhccs.so.0 => $lib/libhccs.so.0"
fi
echo "$kind, pkg-config: ok"
