"""Where a study's tasks may run, as the command line names it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mstl_edge.errors import RunError

_LOCAL = re.compile(r"local:([1-9]\d{0,3})")
_REMOTE = re.compile(r"(?:ray://)?[A-Za-z0-9._-]+:\d{1,5}")


@dataclass(frozen=True)
class Place:
    """A cluster.

    Attributes:
        address: As Ray takes it; empty where the workers are started here.
        workers: How many are started here; 0 for a cluster that runs already.
    """

    address: str = ""
    workers: int = 0


def parse_place(text: str) -> Place:
    """Read `auto`, `ray://HOST:PORT`, `HOST:PORT` or `local:N`.

    Raises:
        RunError: It is something else.
    """
    local = _LOCAL.fullmatch(text)
    if local:
        return Place(workers=int(local[1]))
    if text == "auto" or (_REMOTE.fullmatch(text) and not text.startswith("local:")):
        return Place(address=text)
    raise RunError(
        "--cluster auto, ray://HOST:PORT or local:N",
        received=text,
        hint="For two workers on this machine: --cluster local:2",
    )
