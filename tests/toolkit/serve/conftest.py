from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mstl_edge.classifier import load_classifier
from mstl_edge.serve.answering import Model
from mstl_edge.serve.api import make_app
from mstl_edge.serve.guard import Access
from mstl_edge.serve.limits import Limits

FREE = Limits(per_second=0)


@pytest.fixture
def client(doubting_model: Path, exported: Callable[[str], Path]) -> Iterator[Callable[..., TestClient]]:
    """Return a client of two models, of which the first says its doubt; keywords are those of `make_app` and `Access`."""
    opened: list[TestClient] = []

    def make(
        token: str = "", limits: Limits = FREE, waiting: int = 8, host: str = "127.0.0.1", **given: Any
    ) -> TestClient:
        files = (doubting_model, exported("tiny_float32"))
        models = [Model(file.name, load_classifier(file), waiting) for file in files]
        app = make_app(models, Access(host, token), limits, **given)
        opened.append(TestClient(app, base_url="http://127.0.0.1:8337", client=("127.0.0.1", 5000)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
