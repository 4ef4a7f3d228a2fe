#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs fuzzers, two at a time, from their stored corpora: run.sh BUILD_DIR SECONDS [NAME...]; NAME is as in
# tests/fuzz/NAME_fuzz.cc, or softmax or attention. What they find, and what each printed, is left in BUILD_DIR; exit code 1 if one
# found something.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
cd "$1"
export FUZZ_SOURCE="$source" FUZZ_SECONDS="$2"
shift 2
[ $# -gt 0 ] || set -- $(ls fuzzers | sed 's/_fuzz$//')
printf '%s\n' "$@" | xargs -n 1 -P 2 sh -c '
  name=$0
  stored=$FUZZ_SOURCE/tests/fuzz/corpus/$name
  [ "$name" != softmax ] || stored=$FUZZ_SOURCE/tests/softmax/corpus
  [ "$name" != attention ] || stored=$FUZZ_SOURCE/tests/attention/corpus
  mkdir -p "corpus/$name"
  # A file of a few kilobytes needs little memory and, unless the machine is busy with more, far less than a second.
  if fuzzers/${name}_fuzz -max_total_time="$FUZZ_SECONDS" -timeout=60 -rss_limit_mb=1024 -malloc_limit_mb=64 \
      -print_final_stats=1 -artifact_prefix="${name}-" -dict="$FUZZ_SOURCE/tests/fuzz/formats.dict" \
      "corpus/$name" "$stored" >"$name.log" 2>&1; then
    echo "$name: $(sed -n "s/^Done //p" "$name.log")"
  else
    tail -n 60 "$name.log"
    echo "$name: found something; $(pwd)/$name.log has it all"
    exit 1
  fi'
