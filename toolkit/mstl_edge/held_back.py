"""What libraries write to the descriptor of stderr: held back, and shown only where the work fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_READ_AT_ONCE = 65_536


@contextmanager
def held_back() -> Iterator[int]:
    """Hold back what is written to descriptor 2, by any thread and any child process, and write it after all if an error is raised.

    C++ libraries greet and warn there whatever their log level is ("Created TensorFlow Lite XNNPACK delegate for CPU"). A
    process that dies without an exception (a failed check of a C++ library) takes what was held back with it.

    Yields:
        A descriptor that leads where stderr leads otherwise; nowhere, if that is closed.
    """
    _flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed; and nothing shall be written into the next file that is opened
        kept = os.open(os.devnull, os.O_WRONLY)
    held = os.memfd_create("stderr")
    failed = False
    try:
        os.dup2(held, 2)
        yield kept
    except Exception:
        failed = True
        raise
    finally:
        _flush()
        os.dup2(kept, 2)
        if failed:
            _show(held)
        os.close(kept)
        os.close(held)


def _flush() -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, full, or none at all
        sys.stderr.flush()


def _show(held: int) -> None:
    os.lseek(held, 0, os.SEEK_SET)
    with suppress(OSError):  # a stderr that takes nothing
        while part := os.read(held, _READ_AT_ONCE):
            os.write(2, part)
