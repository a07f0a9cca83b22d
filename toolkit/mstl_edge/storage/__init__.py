"""Files that are whole or absent, folders that belong to one process, and arrays on disk that are computed once.

Everything the toolkit writes goes to a temporary name first and is renamed when it is complete, so that a killed
process leaves either the old file or the new one.
"""

from mstl_edge.storage.cache import (
    CACHE_VARIABLE,
    LIMIT_GB,
    LIMIT_VARIABLE,
    cache_folder,
    cache_used_bytes,
    check_cache_limit,
)
from mstl_edge.storage.claims import CLAIM, claim_numbered, claimed
from mstl_edge.storage.files import load_arrays, replacing, save_arrays, write_bytes, write_text
from mstl_edge.storage.hashing import digest
from mstl_edge.storage.locks import alone_in, waiting_for_others
from mstl_edge.storage.places import expanded
from mstl_edge.storage.rows import KEY_BYTES, Rows, RowStore
from mstl_edge.storage.trouble import explained, no_space

__all__ = [
    "CACHE_VARIABLE",
    "CLAIM",
    "KEY_BYTES",
    "LIMIT_GB",
    "LIMIT_VARIABLE",
    "RowStore",
    "Rows",
    "alone_in",
    "cache_folder",
    "cache_used_bytes",
    "check_cache_limit",
    "claim_numbered",
    "claimed",
    "digest",
    "expanded",
    "explained",
    "load_arrays",
    "no_space",
    "replacing",
    "save_arrays",
    "waiting_for_others",
    "write_bytes",
    "write_text",
]
