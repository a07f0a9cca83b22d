"""Models that answer one image after the other, off the event loop, with a bounded number of images waiting."""

from __future__ import annotations

import asyncio
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.classifier import Classifier
from mstl_edge.data_address import png_address
from mstl_edge.errors import DataError
from mstl_edge.prediction import Explanation, Unreadable, to_record
from mstl_edge.preprocess import Stored


class BusyError(Exception):
    """So many images wait that another one would wait too long."""


class GoneError(Exception):
    """Whoever asked does not listen any more."""


@dataclass
class Asked:
    """One image, and whether anybody still waits for its answer."""

    content: Stored
    name: str
    explain: bool
    gone: bool = False


@dataclass
class Model:
    """A loaded model with a thread of its own: an interpreter answers one image at a time.

    Attributes:
        file: Name of its file.
        classifier: The model.
        waiting: How many images may wait for it.
    """

    file: str
    classifier: Classifier
    waiting: int
    _queued: int = 0
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="answer"))

    @property
    def exact_maps(self) -> bool:
        """Whether a map costs no further inference."""
        return self.classifier.artifact.head is not None

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """Return the fields of one line of `predict --json`, and `milliseconds` from bytes to answer.

        With `explain` also `map` and `map_method`, and `picture`, what the network saw, as a `data:` address.

        Raises:
            BusyError: Too many images wait.
            GoneError: Whoever asked has gone before it was its turn.
        """
        if self._queued >= self.waiting:
            raise BusyError
        self._queued += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answered, asked)
        finally:
            self._queued -= 1

    def _answered(self, asked: Asked) -> dict[str, Any]:
        if asked.gone:
            raise GoneError
        started = time.perf_counter()
        try:
            ask = self.classifier.explain if asked.explain else self.classifier.predict
            outcome = ask(asked.content)
            record = to_record(asked.name, outcome) | {"milliseconds": 1000 * (time.perf_counter() - started)}
            return record | ({"picture": _address(outcome.pixels)} if isinstance(outcome, Explanation) else {})
        except DataError as error:
            return to_record(asked.name, Unreadable(str(error)))

    def about(self) -> dict[str, Any]:
        """Return what the page says of the model."""
        card = self.classifier.card
        return {
            "file": self.file,
            "runtime": self.classifier.runtime.name,
            "why": self.classifier.runtime.why,
            "replayed_lsb": self.classifier.replayed_lsb,
            "exact_maps": self.exact_maps,
            "parameters": self.classifier.artifact.facts.parameters,
            "size_bytes": self.classifier.artifact.facts.size_bytes,
            "card": msgspec.to_builtins(card),
        }

    def close(self) -> None:
        """Let its thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _address(pixels: NDArray[np.uint8]) -> str:
    """Return a picture as a `data:` address; hardly compressed, since it goes no farther than a cable."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return png_address(buffer.getvalue())
