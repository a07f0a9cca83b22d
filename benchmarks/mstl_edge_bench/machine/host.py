"""The machine under the benchmark: what it is, and how it feels before and after.

Everything is read below a root folder, so that tests bring their own /proc and /sys, and everything may be absent.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mstl_edge.schemas.bench import Conditions, Host
from mstl_edge_bench.machine.cpu import cpu_features, cpu_name, parse_cpuinfo
from mstl_edge_bench.machine.emulation import emulated_because

ROOT = Path("/")
_BOARD_FILES = (
    "proc/device-tree/model",
    "sys/firmware/devicetree/base/model",
    "sys/devices/virtual/dmi/id/product_name",
)
_CORES = "sys/devices/system/cpu"
_CPU0 = f"{_CORES}/cpu0/cpufreq"
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_PACKAGES = ("mstl-edge", "ai-edge-litert", "tflite-runtime", "numpy", "pillow")

Vcgencmd = Callable[[str], str]
"""Asks a Raspberry Pi's firmware: command → answer, empty where there is none to ask."""


def ask_vcgencmd(command: str) -> str:
    """Return what `vcgencmd COMMAND` prints; empty where the tool is absent or refuses."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return ""
    try:
        answered = subprocess.run([tool, command], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answered.stdout if answered.returncode == 0 else ""


def describe_host(root: Path = ROOT) -> Host:
    """Return what the machine is; `unknown` or None where it does not tell."""
    blocks = parse_cpuinfo(_text(root / "proc/cpuinfo"))
    return Host(
        board=_first(_text(root / name) for name in _BOARD_FILES) or "unknown",
        cpu=cpu_name(blocks),
        architecture=platform.machine(),
        bits=8 * struct.calcsize("P"),
        cores=len(os.sched_getaffinity(0)),
        features=cpu_features(blocks),
        governor=_text(root / _CPU0 / "scaling_governor") or None,
        max_clock_mhz=_scaled(root / _CPU0 / "cpuinfo_max_freq", 1e-3),
        memory_bytes=_memory_bytes(root),
        system=_system(root),
        kernel=_kernel(),
        python=platform.python_version(),
        versions=_versions(),
        emulated=emulated_because(root),
    )


def read_conditions(
    root: Path = ROOT, vcgencmd: Vcgencmd = ask_vcgencmd, *, cores: Iterable[int] | None = None
) -> Conditions:
    """Return clock, temperature, throttling and load at this moment.

    Args:
        root: Where `proc` and `sys` are.
        vcgencmd: Asks the firmware.
        cores: Those whose clock counts; by default the ones this process may run on.
    """
    return Conditions(
        clock_mhz=_clock_mhz(root, sorted(os.sched_getaffinity(0) if cores is None else cores)),
        temperature_c=_temperature_c(root),
        throttled=_throttled(root, vcgencmd),
        load_1min=_load(root),
    )


def resident_bytes(root: Path = ROOT) -> tuple[int, int]:
    """Return this process's resident memory now and at its peak, in bytes; 0 where the kernel does not tell."""
    text = _text(root / "proc/self/status")
    found = {key: int(value) * 1024 for key, value in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.MULTILINE)}
    return found.get("VmRSS", 0), found.get("VmHWM", 0)


def _text(path: Path) -> str:
    try:
        # A device tree ends its strings by NUL.
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:
        return ""


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _scaled(path: Path, factor: float) -> float | None:
    text = _text(path)
    return float(text) * factor if _is_number(text) else None


def _clock_mhz(root: Path, cores: Sequence[int]) -> float | None:
    """Return the clock of the fastest of some cores: which of them did the work isn't known, but idle ones are slower."""
    known = [_scaled(root / _CORES / f"cpu{core}" / "cpufreq/scaling_cur_freq", 1e-3) for core in cores]
    clocks = [clock for clock in known if clock is not None]
    if not clocks:
        blocks = parse_cpuinfo(_text(root / "proc/cpuinfo"))
        named = [block for block in blocks if block.get("processor", "") in {str(core) for core in cores}]
        said = [block.get("cpu MHz", "") for block in named or blocks]
        clocks = [float(text) for text in said if _is_number(text)]
    return max(clocks, default=None)


def _temperature_c(root: Path) -> float | None:
    """Return the hottest thermal zone that speaks of the CPU, else the hottest of all."""
    zones = {
        path.parent: _scaled(path, 1e-3) for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    }
    of_cpu = [value for zone, value in zones.items() if re.search("cpu|x86_pkg|soc", _text(zone / "type"))]
    known = [value for value in of_cpu or zones.values() if value is not None]
    return max(known, default=None)


def _throttled(root: Path, vcgencmd: Vcgencmd) -> int | None:
    text = _text(root / _THROTTLED) or vcgencmd("get_throttled").strip().removeprefix("throttled=")
    digits = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", text)
    return int(digits.group(1), 16) if digits else None


def _load(root: Path) -> float | None:
    first = _text(root / "proc/loadavg").split(" ")[0]
    return float(first) if _is_number(first) else None


def _memory_bytes(root: Path) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def _system(root: Path) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text(root / "etc/os-release"), re.MULTILINE)
    return found.group(1) if found else platform.system()


def _kernel() -> str:
    """Return the kernel's number without the builder's suffix."""
    return (re.match(r"[\d.]+", platform.release()) or [platform.release()])[0]


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
