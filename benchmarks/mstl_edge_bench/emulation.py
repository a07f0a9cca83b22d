"""Is this CPU real? Emulated milliseconds say nothing about a device, so they are never published."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

EMULATED_VARIABLE = "MSTL_EDGE_EMULATED"
"""Set to 1 by scripts that run the toolkit under an emulator."""

_ARM = ("aarch64", "arm64", "armv7l", "armv6l", "armv8l")


def emulated_because(
    root: Path = Path("/"), *, machine: str | None = None, environment: Mapping[str, str] | None = None
) -> str | None:
    """Return how this CPU was recognised as emulated, None where it looks real.

    Args:
        root: Where `proc` and `sys` are; tests bring their own tree.
        machine: `platform.machine()` by default.
        environment: `os.environ` by default.
    """
    machine = machine or platform.machine()
    environment = os.environ if environment is None else environment
    said = environment.get(EMULATED_VARIABLE, "")
    if said not in ("", "0"):
        return f"{EMULATED_VARIABLE}={said}"
    # qemu-user answers /proc/self/exe, maps, stat and cmdline itself, but passes status through: it names the emulator.
    name = _field(root / "proc/self/status", "Name")
    if name.startswith("qemu-"):
        return f"the process runs in {name}"
    cpuinfo = root / "proc/cpuinfo"
    vendor, model = _field(cpuinfo, "vendor_id"), _field(cpuinfo, "model name")
    if machine.lower() in _ARM and vendor:
        return f"an {machine} program on a CPU of {vendor}"
    if vendor == "VirtualApple":
        return "Rosetta translates x86 for an Apple CPU"
    if "QEMU" in model:
        return f"the CPU calls itself {model}"
    if machine.lower() in _ARM and _field(cpuinfo, "CPU implementer") == "0x00":
        return "the CPU names no maker, as QEMU's 'max' does"
    return None


def _field(path: Path, key: str) -> str:
    """Return the value of the first line `key : value`, empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and name.strip() == key:
            return value.strip()
    return ""
