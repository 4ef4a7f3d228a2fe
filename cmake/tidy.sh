#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy.sh BUILD_FOLDER all|changed: clang-tidy on the sources that the build compiles: all, or those that the commits since
# HCCS_TIDY_SINCE changed, by default since the fifth before HEAD. A header that changed is checked through the source of
# its name, if there is one.
set -eu
build=$1
case $2 in
  all) files=$(git ls-files '*.cc') ;;
  changed)
    since=${HCCS_TIDY_SINCE:-$(git rev-list --max-count=6 --first-parent HEAD | tail -n 1)}
    files=$(git diff --name-only --diff-filter=d "$since" HEAD | sed -n 's/\.\(h\|cc\)$/.cc/p' | sort -u)
    ;;
esac
list=$build/tidy-files.txt
for file in $files; do
  # clang-tidy 14 cannot parse libtorch's headers.
  if [ "$file" = training/bert.cc ]; then continue; fi
  # Only what the build compiles has its flags in the database.
  if grep -q "/$file\"" "$build/compile_commands.json"; then echo "$file"; fi
done >"$list"
echo "clang-tidy: $(wc -l <"$list") sources"
xargs -r -P 2 -n 4 clang-tidy -p "$build" --quiet <"$list"
