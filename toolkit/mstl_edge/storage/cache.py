"""Where what can be computed again is kept, and how much of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage.places import expanded

CACHE_VARIABLE = "MSTL_EDGE_CACHE"
LIMIT_VARIABLE = "MSTL_EDGE_CACHE_GB"
LIMIT_GB = 50.0
"""What the cache may grow to, in units of 10⁹ bytes, unless the variable says otherwise."""


def cache_folder(*parts: str) -> Path:
    """Return (and make) a folder of the cache: `$MSTL_EDGE_CACHE`, else `$XDG_CACHE_HOME/mstl-edge`, else `~/.cache/mstl-edge`.

    Raises:
        MstlEdgeError: It cannot be made, or there is no home folder to make it in.
    """
    folder = _cache_base().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MstlEdgeError(
            f"a cache folder that can be written ({error.strerror})",
            received=folder,
            hint=f"Set {CACHE_VARIABLE} to one that can.",
        ) from error
    return folder


def _cache_base() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return expanded(named)
    xdg = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(xdg or Path.home() / ".cache") / "mstl-edge"
    except RuntimeError as error:  # no HOME, and a user number that the list of users lacks, as in a container
        raise MstlEdgeError(
            "a home folder to keep the cache in",
            received="neither HOME nor an entry for this user",
            hint=f"Set {CACHE_VARIABLE} to a folder.",
        ) from error


def check_cache_limit(needed_bytes: int) -> None:
    """Check that the cache may take so many bytes more.

    Raises:
        MstlEdgeError: It would grow beyond its limit, or the limit is no number.
    """
    named = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit_gb = float(named or LIMIT_GB)
    except ValueError as error:
        raise MstlEdgeError(
            f"a number of gigabytes in {LIMIT_VARIABLE}", received=named, hint=f"For example {LIMIT_VARIABLE}=50"
        ) from error
    base = _cache_base()
    used_gb = _used_bytes(base) / 1e9
    if used_gb + needed_bytes / 1e9 > limit_gb:
        raise MstlEdgeError(
            f"decoded images and features within {limit_gb:g} GB at {base}",
            received=f"{used_gb:.1f} GB there already and {needed_bytes / 1e9:.1f} GB to add",
            hint=f"Empty it with 'mstl-edge runs clean --cache', raise {LIMIT_VARIABLE}, or keep features in half the space: "
            "--set stages.NAME.feature_precision=float16",
        )


def cache_used_bytes() -> int:
    """Return what the cache holds.

    Raises:
        MstlEdgeError: There is no home folder to look in.
    """
    return _used_bytes(_cache_base())


def _used_bytes(folder: Path) -> int:
    """Return the size of all files under `folder`; one that another process removes or locks away counts nothing."""
    used = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                used += Path(base, name).lstat().st_size
    return used
