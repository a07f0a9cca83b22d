"""The same function over many things in threads, in order and in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

from mstl_edge.preprocess.dicom import many_files

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD_PER_WORKER = 16
"""How many results each worker may have waiting: enough to work through while the consumer flushes a block to disk, and few
enough that a slow consumer does not fill the memory."""

BATCH = 4
"""How many items a worker takes at once: handing small images over one by one costs some per cent."""


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in their order, computed on all cores.

    Threads, not processes: Pillow and hashlib let go of the interpreter while they decode, resize and hash (pydicom does not:
    `many_files` takes care of that). On two cores, 512-pixel
    JPEGs to 224: 1.6 to 1.85 times one thread, where two processes, which copy the pixels between them, reach 1.2 to 1.5.
    """
    workers = usable_cores()
    remaining = iter(items)

    def work(batch: list[Item]) -> list[Result]:
        with many_files():
            return [function(item) for item in batch]

    batches = iter(lambda: list(islice(remaining, BATCH)), [])
    ahead = AHEAD_PER_WORKER * workers // BATCH
    with closing(ahead_in_order(work, batches, threads=workers, ahead=ahead, name="mstl-edge-images")) as done:
        for results in done:
            yield from results


def ahead_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int, name: str
) -> Generator[Result]:
    """Yield `function(item)` for each item, in their order, computed in threads.

    Args:
        function: What to compute.
        items: Taken one by one; what was begun and is not wanted any more, since nobody goes on asking, is called off.
        threads: How many.
        ahead: So many items are in work or waiting while the first of them is asked for.
        name: Of the threads.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix=name) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for pending in waiting:
                pending.cancel()
