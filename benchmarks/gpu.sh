#!/usr/bin/env bash
# Measures pod-dist on a machine that has a GPU's driver, and perhaps PyTorch, and nothing else.
# Here, with registries:       benchmarks/gpu.sh pack FOLDER [IMAGES.tar.gz]
# There, FOLDER brought along: FOLDER/gpu.sh run OUT [SECONDS]
# Parts are of at most 48 MB. OUT gets gpu.json and gpu.md, after each measurement.
set -euo pipefail

pack() {
  local folder=$1 images=${2:-} root work
  root=$(cd "$(dirname "$0")/.." && pwd)
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/pod-dist" "$folder"
  rm -f "$folder"/part-*
  cd "$root"
  npm run --silent build
  cp -r dist configs package.json package-lock.json "$work/pod-dist/"
  find "$work/pod-dist/dist" \( -name '*.map' -o -name '*.d.ts' \) -delete
  rm -rf "$work/pod-dist/dist/test"
  (cd "$work/pod-dist" && npm ci --silent --omit=dev --ignore-scripts --no-audit --no-fund)
  # Of packages with binaries only those for this platform are wanted.
  find "$work/pod-dist/node_modules" -name '*.map' -delete
  find "$work/pod-dist/node_modules/webgpu/dist" -name '*.dawn.node' ! -name 'linux-x64*' -delete
  find "$work/pod-dist/node_modules/zeromq/build" -mindepth 1 -maxdepth 1 ! -name linux ! -name manifest.json -exec rm -rf {} +
  cp "$(command -v node)" "$work/pod-dist/node"
  [ -z "$images" ] || cp "$images" "$work/pod-dist/images.tar.gz"
  tar -C "$work" -c pod-dist | xz -T0 -6 | split -b 48m - "$folder/part-"
  cp benchmarks/gpu.sh "$folder/"
  ls -l "$folder"
}

run() {
  local out=$1 seconds=${2:-480} here place images=()
  here=$(cd "$(dirname "$0")" && pwd)
  place=${TMPDIR:-/tmp}/pod-dist-gpu-$(id -u)
  mkdir -p "$place" "$out"
  out=$(cd "$out" && pwd)
  [ -x "$place/pod-dist/node" ] || cat "$here"/part-* | xz -dc | tar -C "$place" -x
  cd "$place/pod-dist"
  if [ -f images.tar.gz ]; then
    mkdir -p images
    [ -n "$(ls images)" ] || tar -C images -xf images.tar.gz
    images=(--images "$(dirname "$(find "$PWD/images" -maxdepth 2 -type d -name train | head -1)")")
  fi
  export PATH=$PWD:$PATH
  ./node dist/benchmarks/gpu/index.js --out "$out" --seconds "$seconds" "${images[@]}" ${BACKENDS:+--backends "$BACKENDS"}
}

case ${1:-} in
  pack | run) [ $# -ge 2 ] && "$@" ;;
  *)
    sed -n '2,5s/^# //p' "$0"
    exit 2
    ;;
esac
