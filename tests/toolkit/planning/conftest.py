"""Small drawn images, a folder for each class, and a home without ImageNet weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.planning import plan

Folder = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(plan, "can_download", lambda found: False)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a folder of drawn images; `side` pixels, `each` a class, in colour if wanted."""

    def draw(*labels: str, each: int = 10, side: int = 48, colour: bool = False, name: str = "scans") -> Path:
        for number, label in enumerate(labels):
            (tmp_path / name / label).mkdir(parents=True, exist_ok=True)
            for image in range(each):
                rng = np.random.default_rng(1000 * number + image)
                coarse = rng.integers(0, 256, (16, 16, 3) if colour else (16, 16), dtype=np.uint8)
                picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
                picture.save(tmp_path / name / label / f"{image:02d}.png")
        return tmp_path / name

    return draw
