#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# recipes.sh SOURCE WORK: runs the recipes of docs/library.md as they stand there, in order, in a copy of the sources.
set -eu
source=$1 work=$2
rm -rf "$work"
"$source/tests/install/copy.sh" "$source" "$work/hccs"
cd "$work/hccs"

# The code block after <!-- recipe: NAME -->.
recipe() { awk -v mark="<!-- recipe: $1 -->" '$0 == mark { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' docs/library.md; }

[ "$(grep -c '^```cpp$' README.md)" -eq 1 ] || { echo "README.md has more than one program: the recipes take one"; exit 1; }
names=$(sed -n 's/^<!-- recipe: \(.*\) -->$/\1/p' docs/library.md)
[ "$(echo "$names" | wc -l)" -eq 7 ] || { echo "not 7 recipes: $names"; exit 1; }
for name in $names; do
  if [ "$name" = arm ] && ! { command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64; } >/dev/null; then
    echo "arm: skipped, there is no cross compiler or no qemu"
    continue
  fi
  recipe "$name" >"$work/$name.sh"
  [ -s "$work/$name.sh" ] || { echo "$name: no code"; exit 1; }
  sh -eu "$work/$name.sh" >"$work/$name.log" 2>&1 || { cat "$work/$name.log"; echo "$name: failed"; exit 1; }
  case $name in
    core) [ -e build/prefix/lib/libhccs.a ] || { echo "core: not installed"; exit 1; } ;;
    *) [ "$(tail -n 1 "$work/$name.log")" = "row 1: 127 127 0" ] || { cat "$work/$name.log"; echo "$name: another result"; exit 1; } ;;
  esac
  echo "$name: ok"
done
[ ! -e build/prefix/bin ] || { echo "core: a program was installed"; exit 1; }
