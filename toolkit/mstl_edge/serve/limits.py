"""What one client, and all of them together, may ask for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CLIENTS_KEPT = 10_000


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Attributes:
        upload_bytes: Of one request.
        per_second: Requests that one client may make, on average; 0 for any number.
        burst: Requests that it may make at once.
        waiting: Images that wait for a model, of all clients.
        memory_bytes: Of all uploads that are under way or wait.
        upload_seconds: In which an upload must have arrived.
        connections: At once; further ones are told to come back.
    """

    upload_bytes: int = 32_000_000
    per_second: float = 10.0
    burst: int = 60
    waiting: int = 32
    memory_bytes: int = 64_000_000
    upload_seconds: float = 60.0
    connections: int = 64


class Held:
    """What one request has taken of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def take(self, size: int) -> bool:
        """Take bytes, and say whether there were so many."""
        if self._budget.taken + size > self._budget.most:
            return False
        self._budget.taken += size
        self.taken += size
        return True


class Budget:
    """Bytes that all requests together may hold; used by one event loop.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Let a request take bytes, and give them back with its answer."""
        held = Held(self)
        try:
            yield held
        finally:
            self.taken -= held.taken


class RateLimiter:
    """A bucket of requests for each client, refilled as time goes by; memory is bounded however many clients come.

    Args:
        limits: Their `per_second` and `burst`.
        clock: Tells seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Count a request, and return in how many seconds it may be made: 0 for now."""
        if not self._limits.per_second:
            return 0.0
        now = self._clock()
        left, seen = self._left.pop(client, (float(self._limits.burst), now))
        left = min(float(self._limits.burst), left + (now - seen) * self._limits.per_second)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        while len(self._left) > CLIENTS_KEPT:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._limits.per_second
