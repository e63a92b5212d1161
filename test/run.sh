#!/bin/sh
# Installs what is missing, builds, and runs all the tests. The last line is "N passed, N failed, N skipped".
# Arguments go to the test program, e.g. --test-case='*rank*'. BUILD names another build folder.
set -eu
cd "$(dirname "$0")/.."
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-2000}"
build=${BUILD:-build}

sh tools/bootstrap.sh dataset-fashion-mnist
[ -f "$build/build.ninja" ] || meson setup "$build"
ninja -C "$build"
exec "$build/test/lowrank-tests" "$@"
