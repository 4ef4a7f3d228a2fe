#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# copy.sh SOURCE TO: the sources without what was built. A build beside such a copy names its files as the project's own
# build does, so that a compiler cache knows them.
set -eu
mkdir -p "$2"
for entry in "$1"/*; do
  case ${entry##*/} in
    build*) ;;
    *) cp -R "$entry" "$2" ;;
  esac
done
