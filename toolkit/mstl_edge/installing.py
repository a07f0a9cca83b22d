"""What to type to install an extra: it depends on where this package came from."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mstl_edge.errors import typed

_PACKAGE = "mstl-edge"


def install_extra(extra: str) -> str:
    """Return how to install an extra from where this package came from, since no index has it.

    That is its checkout, or the wheel; both are named where it is not recorded, or no longer there.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    place = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    if place and not Path(place).exists():
        url = place = ""
    if place and "dir_info" in origin:
        editable = ["-e"] if origin["dir_info"].get("editable") else []
        return typed("pip", "install", *editable, f"{place}[{extra}]")
    if place:
        return typed("pip", "install", f"{place}[{extra}]")
    if url:
        return typed("pip", "install", f"{_PACKAGE}[{extra}] @ {_with_revision(url, origin.get('vcs_info', {}))}")
    wheel = f"mstl_edge-VERSION-py3-none-any.whl[{extra}]"
    return f"pip install '.[{extra}]' in a checkout, or pip install './{wheel}' beside the wheel"


def _origin() -> dict[str, Any]:
    """Return what the installer recorded of where this package came from (PEP 610); empty where it did not."""
    try:
        text = metadata.distribution(_PACKAGE).read_text("direct_url.json")
        origin: dict[str, Any] = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return {}
    return origin


def _with_revision(url: str, control: dict[str, Any]) -> str:
    return f"{control['vcs']}+{url}@{control['commit_id']}" if {"vcs", "commit_id"} <= control.keys() else url
