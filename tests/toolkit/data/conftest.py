"""Small drawn images in the layouts that public data sets have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def draw() -> Draw:
    """Write an image of smooth noise; another seed is another picture."""

    def write(path: Path, seed: int, *, side: int = 48, mode: str = "L") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).convert(mode).save(path)
        return path

    return write


@pytest.fixture
def two_classes(tmp_path: Path, draw: Draw) -> Path:
    """Return a folder with the classes `cat` and `dog`, 12 images each, two per patient (`p03_1.png`)."""
    folder = tmp_path / "pets"
    for number in range(12):
        draw(folder / "cat" / f"p{number // 2:02d}_{number % 2}.png", number)
        draw(folder / "dog" / f"p{6 + number // 2:02d}_{number % 2}.png", 100 + number)
    return folder
