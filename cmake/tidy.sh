#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy.sh BUILD_FOLDER all|changed: clang-tidy on the sources that the build compiles: all, or those that the commits since
# HCCS_TIDY_SINCE changed, by default since the fifth before HEAD. A header that changed is checked through the source of
# its name, if there is one. The Python package and the custom operators are built apart, by pip: where `make test-python`
# has left its environment, their sources are checked too.
set -eu
build=$1
case $2 in
  all) files=$(git ls-files '*.cc') ;;
  changed)
    since=${HCCS_TIDY_SINCE:-$(git rev-list --max-count=6 --first-parent HEAD | tail -n 1)}
    files=$(git diff --name-only --diff-filter=d "$since" HEAD | sed -n 's/\.\(h\|cc\)$/.cc/p' | sort -u)
    ;;
esac

# $1: a build folder, whose database has the flags of what it compiles. Of `files` those that are in it and in no earlier
# one are checked.
seen=' '
check() {
  list=$1/tidy-files.txt
  for file in $files; do
    # clang-tidy 14 cannot parse libtorch's headers.
    if [ "$file" = training/bert.cc ]; then continue; fi
    case $seen in *" $file "*) continue ;; esac
    if grep -q "/$file\"" "$1/compile_commands.json"; then
      echo "$file"
      seen="$seen$file "
    fi
  done >"$list"
  echo "clang-tidy: $(wc -l <"$list") sources of $1"
  xargs -r -P 2 -n 4 clang-tidy -p "$1" --quiet <"$list"
}
check "$build"

case " $(echo $files) " in *" python/src/"* | *" ort/"*) ;; *) exit 0 ;; esac
python=$PWD/build/venv-python/bin/python
if ! "$python" -c 'import nanobind, numpy' 2>/dev/null; then
  echo "clang-tidy: python/src and ort are not checked: make test-python makes build/venv-python, which that needs"
  exit 0
fi
ort=
if [ -e build/ort-headers/onnxruntime_c_api.h ]; then
  ort="-D HCCS_BUILD_ORT=ON -D HCCS_ORT_INCLUDE=$PWD/build/ort-headers"
fi
cmake --preset release -B "$build/tidy-python" -D HCCS_BUILD_PYTHON=ON -D Python_EXECUTABLE="$python" $ort \
  -D HCCS_BUILD_AIE=OFF -D HCCS_BUILD_TESTS=OFF -D HCCS_BUILD_TOOLS=OFF -D HCCS_BUILD_TRAINING=OFF >"$build/tidy-python.log"
check "$build/tidy-python"
