#!/bin/sh
# Installs the build folder $1 into a fresh prefix and builds main.cpp and README.md's program against it with nothing but pkg-config.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$1" --no-rebuild --quiet >/dev/null
pc=$(find "$prefix" -name lowrank.pc)
[ -n "$pc" ] || { echo "outside: no lowrank.pc was installed" >&2; exit 1; }
root=$(sed -n 's/^prefix=//p' "$pc")
sed -i "s|^prefix=.*|prefix=$prefix$root|" "$pc"
flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs lowrank)
sed -n '/^```cpp$/,/^```$/{/^```/!p;/^```$/q}' "$here/../../README.md" > "$prefix/readme.cpp"  # The first one.
for program in "$here/main.cpp" "$prefix/readme.cpp"; do
  ${CXX:-g++} -std=c++20 -Wall -Wextra -Werror "$program" $flags -o "$prefix/program"
  LD_LIBRARY_PATH=$(dirname "$(dirname "$pc")") "$prefix/program"
done
