#!/bin/sh
# Installs the build folder $1 into a fresh prefix and builds main.cpp against it with nothing but pkg-config.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$1" --quiet >/dev/null
pc=$(find "$prefix" -name lowrank.pc)
[ -n "$pc" ] || { echo "outside: no lowrank.pc was installed" >&2; exit 1; }
root=$(sed -n 's/^prefix=//p' "$pc")
flags=$(PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR= pkg-config --define-variable=prefix="$prefix$root" --cflags --libs lowrank)
lib=$(dirname "$(dirname "$pc")")
${CXX:-g++} -std=c++20 -Wall -Wextra -Werror "$here/main.cpp" $flags -o "$prefix/outside"
LD_LIBRARY_PATH=$lib "$prefix/outside"
