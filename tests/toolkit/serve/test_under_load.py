"""Ten clients at once with whole and mutated images: no answer swapped, no 500, memory constant; slow ones cost nothing."""

from __future__ import annotations

import io
import random
import re
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from served import serving

from mstl_edge.classifier import load_classifier
from mstl_edge.errors import DataError

pytestmark = pytest.mark.slow
REQUESTS, CLIENTS = 1000, 10
GROWTH_BYTES = 30 << 20


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        buffer, "PNG" if seed % 4 else "JPEG"
    )
    return buffer.getvalue()


def mutated(content: bytes, seed: int) -> bytes:
    chance, damaged = random.Random(seed), bytearray(content)
    for _ in range(chance.choice((1, 2, 8))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged[: chance.choice((len(damaged), chance.randrange(1, len(damaged))))])


def resident(process: int) -> int:
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_thousand_requests_of_ten_clients_keep_their_answers_apart(exported: Callable[[str], Path]) -> None:
    model = exported("tiny_int8")
    local = load_classifier(model)
    files = [picture(seed) if seed % 2 else mutated(picture(seed), seed) for seed in range(REQUESTS)]

    def wanted(content: bytes) -> dict[str, float] | None:
        try:
            return local.predict(content).probabilities
        except DataError:
            return None

    expected = [wanted(content) for content in files]
    assert sum(one is not None for one in expected) > REQUESTS // 2
    assert sum(one is None for one in expected) > REQUESTS // 10
    with serving(model, "--rate", "0") as (address, process):

        def ask(numbers: range) -> list[tuple[int, httpx.Response]]:
            with httpx.Client(base_url=address, timeout=60) as client:
                return [
                    (number, client.post("/v1/predict", files={"image": (f"{number}.png", files[number])}))
                    for number in numbers
                ]

        def all_of(first: int, last: int) -> list[tuple[int, httpx.Response]]:
            with ThreadPoolExecutor(CLIENTS) as pool:
                parts = pool.map(ask, [range(first + n, last, CLIENTS) for n in range(CLIENTS)])
                return [one for part in parts for one in part]

        found = all_of(0, 200)
        before = resident(process.pid)
        found += all_of(200, REQUESTS)
        grown = resident(process.pid) - before
    assert len(found) == REQUESTS
    for number, response in found:
        told = response.json()
        if expected[number] is None:
            assert response.status_code == 422, told
            assert told["error"].startswith("expected ")
        else:
            assert response.status_code == 200, told
            assert told["probabilities"] == expected[number]
        assert told["image"] == f"{number}.png"
    assert grown < GROWTH_BYTES


def test_slow_and_dropped_clients_cost_the_others_nothing(exported: Callable[[str], Path]) -> None:
    with serving(exported("tiny_int8"), "--rate", "0") as (address, _):
        where = urlsplit(address)
        head = (
            f"POST /v1/predict HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            'Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
        ).encode()
        slow = [socket.create_connection((where.hostname, where.port)) for _ in range(20)]
        for one in slow:
            one.sendall(head + bytes(1000))
        for one in slow[10:]:
            one.close()
        with httpx.Client(base_url=address, timeout=20) as client:
            started = time.monotonic()
            for seed in range(20):
                assert client.post("/v1/predict", files={"image": ("a.png", picture(seed))}).status_code == 200
            assert time.monotonic() - started < 15  # none of them waits for the slow ones
        for one in slow[:10]:
            one.close()
