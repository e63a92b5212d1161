#!/bin/sh
# From nothing to answers: installs what is missing, builds, and works on a real matrix (60,000 pictures of clothes).
# As root or with sudo, on Debian or Ubuntu. Safe to run again.
set -eu
cd "$(dirname "$0")/.."
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-2000}"
build=${BUILD:-build}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

say "1. Install what is missing, and build"
sh tools/bootstrap.sh dataset-fashion-mnist
[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
ninja -C "$build" --quiet
mkdir -p "$build/quickstart"
cd "$build/quickstart"
build=$(cd .. && pwd)
PATH=$build/tools:$PATH

say "2. The article's example: a 10 x 10 matrix of rank 2 is 40 numbers"
run ../examples/01_rank_and_factors

say "3. A real matrix: every picture of Fashion-MNIST is a row"
pictures=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
[ -f fashion.npy ] || run lowrank convert "$pictures" fashion.npy --dtype f32
run lowrank info fashion.npy
say "What is its rank?"
run lowrank rank fashion.npy
say "Its 20 leading singular values, and a drawing of them"
run lowrank svd fashion.npy --rank 20 --plot fashion.svg
say "How small does it get when 95 % of its energy is to stay?"
run lowrank factor fashion.npy --energy 0.95 -o fashion.safetensors
say "Are W·x + b and B·(A·x) + b the same?  Within a quarter, as 95 % of the energy promises; exactly, no (exit status 1)"
run lowrank verify fashion.npy fashion.safetensors --rtol 0.25
run lowrank verify fashion.npy fashion.safetensors --quiet || true

say "4. The rest of the article, in short: train a network on the pictures, and see which clothes it gets wrong"
[ -f base.safetensors ] || run lowrank train --limit 1000 -o base.safetensors
run lowrank eval base.safetensors
say "Adapt it to shirts (class 6) with 0.24 % as many parameters; the network stays as it is, with and without the adapter"
run lowrank lora train base.safetensors --classes 6 --steps 100 -o shirts
run lowrank eval base.safetensors --adapter shirts
run lowrank lora info shirts

say "Done. The drawing is $build/quickstart/fashion.svg; next: lowrank --help, README.md"
