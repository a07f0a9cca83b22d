from __future__ import annotations

from mstl_edge.serve import limits as module
from mstl_edge.serve.limits import Limits, RateLimiter


def test_a_client_may_burst_and_then_waits_as_long_as_it_is_told() -> None:
    now = [100.0]
    limiter = RateLimiter(Limits(per_second=2.0, burst=3), lambda: now[0])
    assert [limiter.wait("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limiter.wait("b") == 0.0
    now[0] += 0.5
    assert limiter.wait("a") == 0.0
    assert limiter.wait("a") == 0.5
    now[0] += 1000
    assert [limiter.wait("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_no_rate_is_no_limit_and_memory_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "CLIENTS_KEPT", 10)
    free, bound = RateLimiter(Limits(per_second=0)), RateLimiter(Limits())
    assert all(free.wait("a") == 0.0 for _ in range(1000))
    for number in range(100):
        bound.wait(str(number))
    assert len(bound._left) == 10
