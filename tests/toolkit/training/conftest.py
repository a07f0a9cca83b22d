"""Small image folders and recipes that train in seconds, and a tail that trains in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.recipe import Recipe, resolve


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def image_folders(tmp_path_factory: pytest.TempPathFactory, draw_classes: Callable[..., Path]) -> dict[str, Path]:
    """Three data sets that share no image: two, three and two classes."""
    base = tmp_path_factory.mktemp("images")
    return {
        "bridge": draw_classes(base / "bridge", seed=1),
        "middle": draw_classes(base / "middle", ("a", "b", "c"), seed=2),
        "target": draw_classes(base / "target", ("healthy", "ill"), seed=3),
    }


@pytest.fixture(scope="session")
def tiny_recipe(image_folders: dict[str, Path]) -> Callable[..., Recipe]:
    """Return a recipe on the bundled MobileNet 0.25 at 32 pixels; one stage per named data set."""

    def make(*stages: str, seed: int = 0, backbone: dict[str, Any] | None = None, **stage_keys: Any) -> Recipe:
        tables = [
            {
                "name": name,
                "data": str(image_folders[name]),
                "unfreeze_from": "conv_dw_13",
                "epochs": 2,
                "batch_size": 4,
                "learning_rate": 1e-3,
                **stage_keys,
            }
            for name in stages
        ]
        net = {"alpha": 0.25, "input_size": 32, "weights": "bundled", **(backbone or {})}
        return resolve({"name": "tiny", "seed": seed, "backbone": net, "stages": tables})

    return make
