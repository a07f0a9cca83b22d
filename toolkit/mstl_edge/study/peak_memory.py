"""The most memory that this process held at once since it was last asked to forget, where Linux tells."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_FORGET_PEAK = "5"


def forget_peak() -> None:
    """Begin anew; where the system does not allow it, the peak is that of the whole process."""
    with suppress(OSError):
        _CLEAR.write_text(_FORGET_PEAK)


def peak_bytes() -> int | None:
    """Return the peak since then in bytes, of resident memory; None where nothing tells it."""
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return None if found is None else 1024 * int(found[1])
    return None
