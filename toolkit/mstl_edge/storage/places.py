"""`~` in a path, where a home folder may be unknown."""

from __future__ import annotations

from pathlib import Path

from mstl_edge.errors import MstlEdgeError


def expanded(path: str | Path) -> Path:
    """Return a path with `~` and `~user` replaced by the home folder.

    Raises:
        MstlEdgeError: No such user, or a process without HOME and without an entry in the list of users.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        name = Path(path).parts[0]
        raise MstlEdgeError(
            f"a path whose {name} is the home folder of somebody known here",
            received=path,
            hint=f"Write the whole path, or ./{name} for a folder of that name.",
        ) from error
