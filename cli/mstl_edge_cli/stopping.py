"""Ctrl-C and SIGTERM end the program with exit code 130, whatever it is doing at that moment.

Python raises KeyboardInterrupt wherever the program happens to be, and not every place hands it on: a callback of the garbage
collector loses it, and imports catch it, or turn it into an ImportError. Inside an import there is nothing to lose, so the
program ends there at once; what a callback has lost is asked for again.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal; after SIGTERM too."""
AGAIN_AFTER_S = 0.05
ONE_REQUEST_S = 1.0
"""`timeout` and shells send a signal to the process and to its group: twice, and meant once."""
ABOVE_THE_STANDARD_ONES = 10
"""Descriptors from here on take no place of a standard one that is closed."""
_SIGNALS: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""The signals, with the handler that Python gives them; another one is left alone, such as a background job's SIG_IGN."""


class _Asked:
    """Whether a signal has asked the program to stop."""

    def __init__(self) -> None:
        self.once = False
        self.number, self.asked_at = int(signal.SIGINT), 0.0
        self.hook = sys.unraisablehook
        self.stderr: int | None = None
        with suppress(OSError):  # closed; kept, since it is muted while TensorFlow is imported
            self.stderr = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, ABOVE_THE_STANDARD_ONES)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise KeyboardInterrupt, or end at once when asked again and inside an import."""
        if self.once and time.monotonic() - self.asked_at < ONE_REQUEST_S:
            return
        if self.once or _imports(frame):
            self.end_at_once()
        self.once, self.number, self.asked_at = True, number, time.monotonic()
        raise KeyboardInterrupt

    def again(self, lost: Any) -> None:
        """Ask again for an interruption that a callback of the garbage collector has lost."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            self.hook(lost)
            return
        self.once = False
        timer = threading.Timer(AGAIN_AFTER_S, os.kill, (os.getpid(), self.number))
        timer.daemon = True
        timer.start()

    def end_at_once(self) -> None:
        """End the program without another line of Python."""
        if self.stderr is not None:
            with suppress(OSError):  # nobody to tell
                os.write(self.stderr, b"mstl-edge: stopped\n")
        os._exit(INTERRUPTED)

    def close(self) -> None:
        """Give back what was kept."""
        if self.stderr is not None:
            os.close(self.stderr)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into SystemExit with `INTERRUPTED`, whatever else was made of the interruption on its way."""
    asked = _Asked()
    replaced = [number for number, usual in _SIGNALS.items() if _take(number, usual, asked)]
    if replaced:
        sys.unraisablehook = asked.again
    try:
        yield
    except KeyboardInterrupt:
        raise stopped() from None
    except BaseException as ended:
        if asked.once and not (isinstance(ended, SystemExit) and ended.code == INTERRUPTED):
            raise stopped() from None
        raise
    else:
        if asked.once:
            raise stopped()
    finally:
        if replaced:
            sys.unraisablehook = asked.hook
        for number in replaced:
            signal.signal(number, _SIGNALS[number])
        asked.close()


def stopped() -> SystemExit:
    """Say that the program was stopped, and return what ends it."""
    with suppress(OSError, ValueError, AttributeError):  # a stderr that is closed, full or gone
        sys.stderr.write("mstl-edge: stopped\n")
        sys.stderr.flush()
    return SystemExit(INTERRUPTED)


def _take(number: signal.Signals, usual: Any, handler: _Asked) -> bool:
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(number) != usual:
        return False
    signal.signal(number, handler)
    return True
