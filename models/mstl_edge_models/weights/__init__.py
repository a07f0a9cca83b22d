"""The small weights that ship with the project; `models/pretrain` in the repository trains them.

They come from procedural images only: no photograph, no radiograph and no other network had a part in them.
"""

from __future__ import annotations

from pathlib import Path


def path(name: str) -> Path:
    """Return where the weights file `name` lives inside this package; it may be absent."""
    return Path(__file__).with_name(name)
