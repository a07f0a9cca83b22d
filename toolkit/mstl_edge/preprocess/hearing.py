"""What decoders say about a file (Python warnings, log lines, libtiff's own messages), heard by the thread that reads it.

Said on the terminal, such a line breaks a progress bar and names no file. All three ways out are global to the process, so they are
redirected for as long as any thread listens, and what a thread that doesn't listen causes goes where it went before.
"""

from __future__ import annotations

import ctypes
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TextIO

from PIL import _imaging

MOST_REMARKS = 5
"""Remarks kept of one file: the first ones say what is wrong, a damaged TIFF can say a thousand."""
LONGEST_REMARK = 200

_HEARD = (UserWarning, RuntimeWarning)
"""Kinds of warnings that speak of a file; others speak of a program."""
_RULES = [
    *(("always", None, category, re.compile(r"PIL\."), 0) for category in _HEARD),
    # What pydicom warns of quotes values of the file, which may name a patient.
    ("ignore", None, Warning, re.compile(r"(pydicom|pylibjpeg|libjpeg|openjpeg|rle)\b"), 0),
]
_here = threading.local()


def remark(text: str) -> None:
    """Say something about the file that this thread is reading; nothing happens where nobody listens."""
    text = one_line(text)
    for remarks in _listening():
        if text and text not in remarks and len(remarks) < MOST_REMARKS:
            remarks.append(text)


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what is said in this thread meanwhile, each remark once; listening within listening hears for both."""
    remarks: list[str] = []
    stack = _listening()
    if not stack:
        _REDIRECTION.enter()
    stack.append(remarks)
    try:
        yield remarks
    finally:
        stack.pop()
        if not stack:
            _REDIRECTION.leave()


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, cut to `LONGEST_REMARK`."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(printable.split()).rstrip(".")
    return line if len(line) <= LONGEST_REMARK else f"{line[: LONGEST_REMARK - 1]}…"


def _listening() -> list[list[str]]:
    if not hasattr(_here, "stack"):
        _here.stack = []
    stack: list[list[str]] = _here.stack
    return stack


class _LogLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        remark(record.getMessage())


class _Redirection:
    """Held while at least one thread listens; `warnings.catch_warnings` would undo, and miss, what other threads do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.listeners = 0
        self.shown_before = warnings.showwarning
        self.log_lines = _LogLines(logging.WARNING)

    def enter(self) -> None:
        """Redirect, unless it is done already."""
        with self.lock:
            self.listeners += 1
            if self.listeners > 1:
                return
            _hear_libtiff()
            logging.getLogger("PIL").addHandler(self.log_lines)
            # Not by filterwarnings, which makes the process forget what it has warned of already, once for each image.
            warnings.filters[:0] = _RULES  # type: ignore[index]  # a list, typed as a Sequence
            # Left behind by someone else's catch_warnings, ours may still be there.
            if warnings.showwarning != self.show:
                self.shown_before = warnings.showwarning
                warnings.showwarning = self.show

    def leave(self) -> None:
        """Put everything back when the last one leaves."""
        with self.lock:
            self.listeners -= 1
            if self.listeners:
                return
            logging.getLogger("PIL").removeHandler(self.log_lines)
            for rule in _RULES:
                if rule in warnings.filters:
                    warnings.filters.remove(rule)  # type: ignore[attr-defined]  # a list, typed as a Sequence
            if warnings.showwarning == self.show:
                warnings.showwarning = self.shown_before

    def show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Stand in for `warnings.showwarning`."""
        if _listening() and issubclass(category, _HEARD):
            remark(str(message))
        else:
            self.shown_before(message, category, filename, lineno, file, line)


_REDIRECTION = _Redirection()
_LibtiffHandler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
"""`void (*TIFFErrorHandler)(const char* module, const char* format, va_list)`; a `va_list` is handed on as one pointer on x86-64,
aarch64 and armv7."""


@cache
def _hear_libtiff() -> Any:
    """Hear the errors that Pillow's libtiff prints to C's stderr, once for the process; return what must stay alive for it.

    Capturing file descriptor 2 instead would take other threads' output with it, and fail where it is closed.
    Without a shared libtiff (a static build) its messages stay where they were.
    """
    if sys.platform != "linux":
        return None
    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        vsnprintf = ctypes.CDLL(None).vsnprintf
    except (OSError, AttributeError):
        return None
    vsnprintf.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def hear(module: bytes | None, form: bytes, values: int | None) -> None:
        if _listening():
            text = ctypes.create_string_buffer(4 * LONGEST_REMARK)
            vsnprintf(text, len(text), form, values)
            where = (module or b"").decode("utf-8", "replace").removeprefix("tempfile.tif")
            told = text.value.decode("utf-8", "replace")
            remark(f"{where}: {told}" if where else told)
        elif before:
            before(module, form, values)

    handler = _LibtiffHandler(hear)
    set_handler.restype = ctypes.c_void_p
    address = set_handler(handler)
    before = _LibtiffHandler(address) if address else None
    return handler, before
