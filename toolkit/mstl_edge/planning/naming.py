"""What a run, its files and its model are called when nobody named them: after their data."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

from mstl_edge.data.labels.table import is_table

_GENERIC = {
    "archive",
    "data",
    "dataset",
    "folder",
    "images",
    "img",
    "imgs",
    "labels",
    "label",
    "metadata",
    "train",
    "test",
}
"""Names that say nothing; the folder above them says more."""
_LONGEST = 60


def name_after(source: str) -> str:
    """Return a name for what is made from a data source: `scans` for `./scans/`, `head-ct` for `phantom:head-ct?count=9`.

    Letters, digits, `.`, `_` and `-` alone, the first a letter or digit, at most 60.
    """
    kind, _, rest = source.partition(":")
    if kind == "phantom":
        return _plain(f"phantom-{rest.partition('?')[0]}") or "phantom"
    if kind == "kaggle":
        return _plain(rest.rpartition("/")[2]) or "kaggle"
    path = PurePath(source)
    for part in (path.stem if is_table(path.name) else path.name, path.parent.name, path.parent.parent.name):
        name = _plain(part)
        if name and name.casefold() not in _GENERIC:
            return name
    return _plain(path.name) or "images"


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:_LONGEST]
