"""What a CPU is called, and which of its instructions decide how fast int8 is."""

from __future__ import annotations

from collections.abc import Iterable

_ARM_CORES = {
    ("0x41", "0xc07"): "Cortex-A7", ("0x41", "0xd03"): "Cortex-A53", ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55", ("0x41", "0xd07"): "Cortex-A57", ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73", ("0x41", "0xd0a"): "Cortex-A75", ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1", ("0x41", "0xd40"): "Neoverse-V1", ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xb76"): "ARM1176",
}  # fmt: skip
"""Implementer and part of the main ID register, as /proc/cpuinfo prints them (Linux, arch/arm64/include/asm/cputype.h)."""

SPEAKING = (
    "neon", "asimd", "asimdhp", "fphp", "asimddp", "i8mm", "sve", "sve2", "bf16",
    "sse4_1", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8",
)  # fmt: skip
"""The flags of /proc/cpuinfo that XNNPACK chooses kernels by."""

_DOT_PRODUCT = {
    "i8mm": "int8 matrix products (i8mm)", "asimddp": "int8 dot products (asimddp)", "amx_int8": "AMX-INT8",
    "avx512_vnni": "AVX512-VNNI", "avx_vnni": "AVX-VNNI",
}  # fmt: skip


def parse_cpuinfo(text: str) -> list[dict[str, str]]:
    """Return the blocks of /proc/cpuinfo as key → value; the last block of an ARM board may speak of the whole machine."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            blocks[-1].setdefault(key.strip(), value.strip())
        elif blocks[-1]:
            blocks.append({})
    return [block for block in blocks if block]


def cpu_name(blocks: list[dict[str, str]]) -> str:
    """Return the CPU's name; big and little cores are both named."""
    names: dict[str, None] = {}
    for block in blocks:
        part = (block.get("CPU implementer", ""), block.get("CPU part", ""))
        if all(part):
            names[_ARM_CORES.get(part, f"ARM implementer {part[0]} part {part[1]}")] = None
        elif "model name" in block:
            names[block["model name"]] = None
    return " + ".join(names) or "unknown"


def cpu_features(blocks: list[dict[str, str]]) -> tuple[str, ...]:
    """Return those of `SPEAKING` that every core has."""
    listed = [set(block.get("flags", block.get("Features", "")).split()) for block in blocks]
    listed = [flags for flags in listed if flags]
    common = set.intersection(*listed) if listed else set()
    return tuple(name for name in SPEAKING if name in common)


def dot_product(features: Iterable[str]) -> str | None:
    """Return how the CPU multiplies and sums int8 in one instruction, None where it can't."""
    have = set(features)
    return next((title for flag, title in _DOT_PRODUCT.items() if flag in have), None)
