"""The kind of CPU that this process runs on: answers of two kinds may differ in their last bits."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_DECIDING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")
"""Extensions by which kernels are chosen."""


def cpu_kind() -> str:
    """Return model and deciding extensions, such as `AMD EPYC 9V74 (avx2 avx512f avx512_vnni)`."""
    text = ""
    with suppress(OSError):
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = [name for name in _DECIDING if flags is not None and name in flags[1].split()]
    return f"{model[1].strip() if model else platform.machine()} ({' '.join(found) or 'no extensions known'})"
