#!/bin/sh
# Installs what building and testing lowrank needs on Debian or Ubuntu, as root or through sudo. Safe to run again: what is there
# is left alone. The one list of dependencies; names after the options are further packages wanted.
set -eu

packages="g++ meson ninja-build pkg-config libopenblas-openmp-dev liblapacke-dev libeigen3-dev librandom123-dev libfmt-dev libhwy-dev
libre2-dev nlohmann-json3-dev libcli11-dev zlib1g-dev doctest-dev $*"

# Any OpenBLAS does; the OpenMP build shares its threads with the library's own loops.
if pkg-config --exists openblas 2>/dev/null; then packages=$(echo "$packages" | sed 's/libopenblas-openmp-dev//'); fi

missing=
for package in $packages; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null; then as_root=sudo; else
  echo "bootstrap: these packages are missing, and neither root nor sudo is there to install them:$missing" >&2
  exit 3
fi
echo "installing:$missing"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
