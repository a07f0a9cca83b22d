#!/usr/bin/env bash
# Prove the wheel on an emulated Raspberry Pi: an arm64 Debian 12 with LiteRT, another with tflite-runtime, and the tests
# marked arm64, none of which may be skipped. Debian 12, as root where packages are missing; about five minutes on two cores.
#
#   .ci/arm64.sh                              # with the project's Python 3.11 environment active (pip install -e '.[dev]')
#   MSTL_EDGE_ARM64_RUN=RUN .ci/arm64.sh      # with an exported run instead of one that the tests train
#
# Everything but pip's own cache lives in one temporary folder that is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(command -v "${PYTHON:-python}")
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { echo "arm64: expected Python 3.11, for which tflite-runtime has wheels. Received: $("$python" --version)"; exit 1; }

packages=()
command -v qemu-aarch64 >/dev/null || packages+=(qemu-user)
command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}" >/dev/null
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MSTL_EDGE_CACHE=$folder/cache

echo "arm64: wheel"
"$python" -m build --wheel --outdir "$folder/dist" . >/dev/null
wheel=$(ls "$folder"/dist/*.whl)

echo "arm64: Debian with LiteRT, Debian with tflite-runtime, and an environment of this machine with tflite-runtime"
PYTHON=$python benchmarks/arm64/sysroot.sh "$folder/litert" litert "$wheel" &
first=$!
PYTHON=$python benchmarks/arm64/sysroot.sh "$folder/tflite-runtime" tflite-runtime "$wheel" &
second=$!
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "${wheel}[tflite-runtime]"
wait "$first"
wait "$second"

export MSTL_EDGE_ARM64_LITERT=$folder/litert MSTL_EDGE_ARM64_TFLITE=$folder/tflite-runtime
export MSTL_EDGE_TFLITE_PYTHON=$folder/venv/bin/python
echo "arm64: tests"
"$python" -m pytest tests/arm64 tests/toolkit/runtime/test_tflite_environment.py -rs --durations=8 | tee "$folder/report"
if grep -qE '[1-9][0-9]* skipped' "$folder/report"; then
  echo "arm64: a test was skipped"
  exit 1
fi
