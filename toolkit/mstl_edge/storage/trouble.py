"""What a file system refuses, said in one line that names the file."""

from __future__ import annotations

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from mstl_edge.errors import MstlEdgeError
from mstl_edge.storage.cache import CACHE_VARIABLE

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
"""What the choice of the path decides; whatever else goes wrong lies with the disk."""


def explained(error: OSError, path: Path) -> MstlEdgeError:
    """Return the error for a file or folder that could not be written.

    Args:
        error: What the system said.
        path: What was written.
    """
    if error.errno in _FULL:
        return no_space(path)
    reason = error.strerror or str(error)
    if error.errno in _CLOSED:
        return MstlEdgeError(
            "an output folder that can be written",
            received=f"{path} ({reason})",
            hint="Choose another one, by --out where the command has it.",
        )
    if error.errno == errno.EFBIG:
        hint = (
            "The file system or a limit ('ulimit -f') allows no file of that size: use another disk or raise the limit."
        )
    else:
        hint = (
            f"See whether the disk is sound and mounted, or use another one; {CACHE_VARIABLE} names that of the cache."
        )
    return MstlEdgeError("a disk that takes the whole file", received=f"{path} ({reason})", hint=hint)


def no_space(path: Path, needed_bytes: int | None = None) -> MstlEdgeError:
    """Return the error for a full disk at `path`."""
    needed = f"{needed_bytes / 1e6:,.0f} MB" if needed_bytes is not None else "more space"
    return MstlEdgeError(
        f"{needed} on the disk of {path}",
        received=_free(path),
        hint=f"Free some, try 'mstl-edge runs clean', or set {CACHE_VARIABLE} to a folder on a larger disk.",
    )


def _free(path: Path) -> str:
    for folder in (path, *path.absolute().parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB free"
    return "no space left"
