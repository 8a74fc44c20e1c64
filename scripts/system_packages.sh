#!/bin/sh
# system_packages.sh [PACKAGE ...]: makes sure that Debian packages are there. As root it installs
# what is missing; as an ordinary user it says which command does. Then the tests that need them are
# skipped, or fail if CI is set.
set -eu

missing=
for package in "$@"; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Not installed:$missing. Run: sudo apt-get install -y --no-install-recommends$missing" >&2
    echo "Without it the tests that need it are skipped." >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  one word for each package
apt-get install -y -qq --no-install-recommends $missing
