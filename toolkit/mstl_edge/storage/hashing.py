"""One hash of several parts."""

from __future__ import annotations

import hashlib


def digest(*parts: bytes | str) -> bytes:
    """Return the SHA-256 of the parts, each with its length in front so that borders count."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8") if isinstance(part, str) else part
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.digest()
