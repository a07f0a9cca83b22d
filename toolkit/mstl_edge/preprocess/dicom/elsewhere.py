"""Decoding in processes beside this one: pydicom's decoders hold Python's lock, so that threads alone do not scale over cores.

Only where many files are read (`many_files`), and only after the first few: a process takes a third of a second to start and 40 MB.
A decoder that crashes over a damaged file takes its process with it, and nothing else.
"""

from __future__ import annotations

import atexit
import io
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

_PATIENCE_S = 0.5
LONGEST_S = 60.0
"""For one picture; a mammogram takes one."""
FIRST_HERE = 12
"""Files that are decoded here before a process is started."""
_HEADER = struct.Struct("<qQ")
_GOOD, _BAD = 0, 1
_here = threading.local()


@contextmanager
def many_files() -> Iterator[None]:
    """Let files that this thread reads meanwhile be decoded elsewhere."""
    before, _here.many = getattr(_here, "many", False), True
    try:
        yield
    finally:
        _here.many = before


def decoded_elsewhere(content: bytes, frame: int) -> NDArray[np.generic] | None:
    """Return one picture of a file as it is stored; None where it is to be decoded here.

    Args:
        content: The file's bytes.
        frame: Which of its pictures, counted from 0.

    Raises:
        DecoderError: It cannot be decoded; the message is the name of what was raised there.
    """
    return _POOL.decoded(content, frame) if getattr(_here, "many", False) else None


class DecoderError(ValueError):
    """A decoder raised something, or died."""


class _Pool:
    """One process for each core, started when it is needed; each serves one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._seen = 0
        self._started = 0
        self._up: set[int] = set()
        self._cores = len(os.sched_getaffinity(0))

    def decoded(self, content: bytes, frame: int) -> NDArray[np.generic] | None:
        """See `decoded_elsewhere`."""
        worker = self._worker()
        if worker is None:
            return None
        try:
            if not self._is_up(worker):
                return None
            with _deadline(worker):
                kind, answer = _ask(worker, content, frame)
        except (OSError, EOFError):
            self._bury(worker)
            raise DecoderError("the decoder crashed") from None
        except BaseException:  # an interrupt, say, leaves half an answer in the pipe
            self._bury(worker)
            raise
        self._idle.put(worker)
        if kind == _BAD:
            raise DecoderError(answer.decode())
        return cast(NDArray[np.generic], np.load(io.BytesIO(answer), allow_pickle=False))

    def _is_up(self, worker: subprocess.Popen[bytes]) -> bool:
        """Say whether a process has begun; one that can't leaves the work to this one from now on."""
        if worker.pid not in self._up:
            try:
                _exactly(cast(BinaryIO, worker.stdout), _HEADER.size)
            except EOFError:
                self._cores = 0
                self._bury(worker)
                return False
            self._up.add(worker.pid)
        return True

    def _worker(self) -> subprocess.Popen[bytes] | None:
        """Return a process that has nothing to do; None for the first files, on one core, and where none can be started."""
        self._seen += 1  # about right, whichever threads count at once
        if self._seen <= FIRST_HERE or self._cores < 2 or not sys.executable:
            return None
        while self._cores > 1:
            with self._lock:
                try:
                    return self._idle.get_nowait()
                except queue.Empty:
                    if self._started < self._cores:
                        try:
                            worker = _start()
                        except OSError:
                            return None
                        self._started += 1
                        return worker
            # All are busy; one that dies is not put back, so that waiting without an end could be for ever.
            with suppress(queue.Empty):
                return self._idle.get(timeout=_PATIENCE_S)
        return None

    def _bury(self, worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()
        self._up.discard(worker.pid)
        with self._lock:
            self._started -= 1

    def stop(self) -> None:
        """End the processes."""
        while True:
            try:
                self._bury(self._idle.get_nowait())
            except queue.Empty:
                return


def _start() -> subprocess.Popen[bytes]:
    # Not multiprocessing, which would run a user's script once more in each of them. Ctrl-C is this process's to answer.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __spec__.name],  # -P: nothing of the working folder is imported
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def _deadline(worker: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process that takes far too long over one picture."""
    timer = threading.Timer(LONGEST_S, worker.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _ask(worker: subprocess.Popen[bytes], content: bytes, frame: int) -> tuple[int, bytes]:
    asked, told = cast(BinaryIO, worker.stdin), cast(BinaryIO, worker.stdout)
    asked.write(_HEADER.pack(frame, len(content)))
    asked.write(content)
    asked.flush()
    kind, size = _HEADER.unpack(_exactly(told, _HEADER.size))
    return kind, _exactly(told, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer one file after the other, until `asked` ends."""
    from mstl_edge.preprocess.dicom.decoding import decoded, parsed
    from mstl_edge.preprocess.dicom.values import hush

    hush()
    told.write(_HEADER.pack(_GOOD, 0))
    told.flush()
    while header := asked.read(_HEADER.size):
        frame, size = _HEADER.unpack(header)
        content = asked.read(size)
        try:
            buffer = io.BytesIO()
            np.save(buffer, decoded(parsed(content, ""), frame), allow_pickle=False)
            kind, answer = _GOOD, buffer.getvalue()
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            kind, answer = _BAD, type(error).__name__.encode()
        told.write(_HEADER.pack(kind, len(answer)))
        told.write(answer)
        told.flush()


_POOL = _Pool()
atexit.register(_POOL.stop)

if __name__ == "__main__":
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what a decoder prints is no answer
    serve(sys.stdin.buffer, answers)
