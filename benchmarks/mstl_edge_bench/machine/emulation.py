"""Is this CPU real? Emulated milliseconds say nothing about a device, so they are never published."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

EMULATED_VARIABLE = "MSTL_EDGE_EMULATED"
"""Set to 1 by scripts that run the toolkit under an emulator; 0 says that a board which QEMU made runs on real silicon."""

_VIRTUAL_TREES = (
    "proc/device-tree/compatible", "proc/device-tree/model", "sys/firmware/devicetree/base/compatible",
    "sys/firmware/devicetree/base/model",
)  # fmt: skip
_VIRTUAL_TREE = "linux,dummy-virt"
"""What QEMU's board `virt` calls itself in its device tree (hw/arm/virt.c)."""
_VIRTUAL_DMI = "QEMU Virtual Machine"
"""What the same board calls itself by SMBIOS where QEMU translates; under KVM it says `KVM Virtual Machine`."""
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
    board = _virtual_board(root) if machine.lower() in _ARM else None
    if board is not None and said != "0":
        return f"the board calls itself {board}; if KVM runs it on real silicon, set {EMULATED_VARIABLE}=0"
    return None


def _virtual_board(root: Path) -> str | None:
    """Return what QEMU's ARM board calls itself, None on another one."""
    if any(_VIRTUAL_TREE in _text(root / name).split("\0") for name in _VIRTUAL_TREES):
        return _VIRTUAL_TREE
    dmi = _text(root / "sys/devices/virtual/dmi/id/product_name").strip()
    return dmi if dmi == _VIRTUAL_DMI else None


def _field(path: Path, key: str) -> str:
    """Return the value of the first line `key : value`, empty where there is none."""
    for line in _text(path).splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == key:
            return value.strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
