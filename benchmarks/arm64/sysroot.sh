#!/usr/bin/env bash
# Build a folder in which `mstl-edge` runs as on a Raspberry Pi: an arm64 Debian with its Python (bookworm 3.11, trixie 3.13),
# one TFLite runtime and the wheel, run by qemu-user, without Docker, binfmt or chroot; about 20 seconds. Times measured there
# mean nothing. As root, or as a user who may make user namespaces.
#
#   benchmarks/arm64/sysroot.sh DIR litert|tflite-runtime WHEEL [bookworm|trixie]
#   DIR/mstl-edge predict model-int8.tflite image.png             # a Pi 4's core (Cortex-A72)
#   QEMU_CPU=cortex-a76 DIR/python script.py                      # a Pi 5's core
#
# Needs qemu-user and mmdebstrap, and a python3 with pip (PYTHON names another one). The host must be Debian 12 or have its
# debian-archive-keyring.
set -euo pipefail

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
[ $# -eq 3 ] || [ $# -eq 4 ] || usage
case $2 in
  litert) extra='[dicom]' ;;
  tflite-runtime) extra='[tflite-runtime]' ;;
  *) usage ;;
esac
release=${4:-bookworm}
case $release in
  bookworm) version=3.11 ;;
  trixie) version=3.13 ;;
  *) usage ;;
esac
for tool in qemu-aarch64 mmdebstrap; do
  command -v "$tool" >/dev/null || { echo "$0: $tool is missing; apt-get install qemu-user mmdebstrap" >&2; exit 1; }
done
[ -f "$3" ] || { echo "$0: no wheel $3; build one with: python -m build --wheel" >&2; exit 1; }
mkdir -p "$1"
dir=$(realpath "$1") wheel=$(realpath "$3") python=${PYTHON:-python3}
root=$dir/root site=$dir/site
if [ -e "$root" ] || [ -e "$site" ]; then echo "$0: $dir holds a sysroot already; name an empty folder" >&2; exit 1; fi

# `extract` unpacks the packages and runs none of their scripts, so that no arm64 program runs while this is built.
mmdebstrap --quiet --variant=extract --architectures=arm64 --include=python3,libstdc++6 "$release" "$root"
# From trixie on, /lib is a link that the package of the whole system makes.
[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"

# pip takes a platform tag literally, so every glibc up to Debian 12's is named. Markers are evaluated for the host's
# Python and machine, which is right as long as no dependency tells arm64 and x86-64 apart.
platforms=(--platform manylinux2014_aarch64)
for minor in $(seq 36 -1 17); do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$site" --only-binary=:all: \
  --python-version "$version" --implementation cp "${platforms[@]}" "$wheel$extra"

# qemu looks for a file below its prefix first. /proc/cpuinfo and /sys would otherwise be the host's: LiteRT reads them to
# choose kernels, and crashes on an x86 one. One prefix for each core, alike but for these files.
cpu_files() { # name, part, revision, features as the Raspberry Pi's kernel prints them
  local prefix=$dir/$1 core entry
  mkdir -p "$prefix/proc" "$prefix/sys/devices/system/cpu"
  for entry in "$root"/*; do
    case ${entry##*/} in proc | sys | tmp | dev) ;; *) ln -s "../root/${entry##*/}" "$prefix/" ;; esac
  done
  for core in 0 1 2 3; do
    printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\n' "$core" "$4"
    printf 'CPU variant\t: 0x%d\nCPU part\t: %s\nCPU revision\t: %d\n\n' "${3%r*}" "$2" "${3#*r}"
  done >"$prefix/proc/cpuinfo"
  for core in 0 1 2 3; do
    mkdir -p "$prefix/sys/devices/system/cpu/cpu$core/topology"
    echo "$core" >"$prefix/sys/devices/system/cpu/cpu$core/topology/core_id"
    echo 0 >"$prefix/sys/devices/system/cpu/cpu$core/topology/physical_package_id"
  done
  for entry in possible present online; do echo 0-3 >"$prefix/sys/devices/system/cpu/$entry"; done
}
cpu_files cortex-a72 0xd08 0r3 'fp asimd evtstrm crc32 cpuid'
cpu_files cortex-a76 0xd0b 4r1 \
  'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp'

cat >"$dir/python" <<LAUNCHER
#!/bin/sh
# Python $version for arm64 under qemu-user. QEMU_CPU: cortex-a72 (default) or cortex-a76; QEMU_ARGS: more options for qemu.
cpu=\${QEMU_CPU:-cortex-a72}
[ -d "$dir/\$cpu" ] || { echo "QEMU_CPU: expected cortex-a72 or cortex-a76. Received: \$cpu" >&2; exit 2; }
exec qemu-aarch64 -L "$dir/\$cpu" -cpu "\$cpu" \$QEMU_ARGS \\
  -E PYTHONNOUSERSITE=1 -E PYTHONPATH="$site" "$root/usr/bin/python$version" "\$@"
LAUNCHER
cat >"$dir/mstl-edge" <<LAUNCHER
#!/bin/sh
# The wheel's own entry point.
exec "$dir/python" "$site/bin/mstl-edge" "\$@"
LAUNCHER
chmod +x "$dir/python" "$dir/mstl-edge"
