"""Pictures as addresses that hold them, for a page that fetches nothing."""

from __future__ import annotations

import base64


def png_address(png: bytes) -> str:
    """Return the `data:` address of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
