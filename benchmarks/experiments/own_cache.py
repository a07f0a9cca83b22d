"""A cache of an experiment's own, so that what the user has computed is neither found nor removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from mstl_edge.storage import CACHE_VARIABLE, cache_folder


@contextmanager
def own_cache() -> Iterator[Path]:
    """Point the cache, of child processes as well, at an empty folder on the same disk, and remove that folder at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="experiment-", dir=cache_folder()) as folder,
        mock.patch.dict(os.environ, {CACHE_VARIABLE: folder}),
    ):
        yield Path(folder)
