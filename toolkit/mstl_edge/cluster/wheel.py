"""This very project as a wheel, for machines of a cluster that lack it: from an installation or a checkout, with no build tool."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from mstl_edge.storage import replacing

PROJECT = "mstl-edge"
PACKAGES = ("mstl_edge", "mstl_edge_models")
"""What a worker imports; the command line stays here."""
_TAG = "py3-none-any"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder and return its path (PEP 427); equal sources give equal bytes.

    Raises:
        MstlEdgeError: The disk does not take it.
    """
    version = metadata.version(PROJECT)
    info = f"{PROJECT.replace('-', '_')}-{version}.dist-info"
    told = (
        metadata.distribution(PROJECT).read_text("METADATA")
        or f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: {version}\n"
    )
    members = {name: path.read_bytes() for name, path in _sources()}
    members[f"{info}/METADATA"] = told.encode()
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: {PROJECT}\nRoot-Is-Purelib: true\nTag: {_TAG}\n".encode()
    )
    rows = [f"{name},sha256={_hash(content)},{len(content)}" for name, content in members.items()]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{PROJECT.replace('-', '_')}-{version}-{_TAG}.whl"
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return path


def _sources() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{package}/{path.relative_to(root).as_posix()}", path


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
