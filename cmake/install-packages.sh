#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what debian-packages.txt names and this machine lacks. Needs root, or sudo, only if something is missing.
set -eu
list=$(dirname "$0")/../debian-packages.txt
missing=
for package in $(sed 's/#.*//' "$list"); do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086  # one word a package
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
