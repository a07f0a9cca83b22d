"""Time as a function, so that tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds since some fixed moment, never backwards."""

MONOTONIC: Clock = time.perf_counter_ns
NS_PER_MS = 1e6
NS_PER_S = 1e9
