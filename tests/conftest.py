"""Tiny models that stand for exported ones, made by `tests/data/models/make_tiny_models.py`, and small drawn images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

MODELS = Path(__file__).parent / "data" / "models"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-screens", action="store_true", help="Keep what tests/cli/test_screens.py shows now.")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with `tiny_float32`, `tiny_int8`, `three_classes` and `not_a_classifier`, all card-less `.tflite`."""
    return MODELS


@pytest.fixture(scope="session")
def tiny_card() -> Callable[..., Any]:
    """Make a card that fits one of the tiny models; keywords replace its fields."""
    import msgspec

    from mstl_edge.artifact import Card, input_contract, inspect_flatbuffer, without_paths
    from mstl_edge.recipe import PreprocessSpec, load_recipe, to_tree

    def make(model: str = "tiny_int8", **fields: Any) -> Card:
        facts = inspect_flatbuffer((MODELS / f"{model}.tflite").read_bytes())
        card = Card(
            name="tiny",
            recipe=without_paths(to_tree(load_recipe("phantom"))),
            labels=("normal", "hemorrhage") if facts.output.shape[1] == 2 else ("a", "b", "c"),
            positive="hemorrhage" if facts.output.shape[1] == 2 else "c",
            input=input_contract(facts, PreprocessSpec()),
            scheme="int8" if facts.full_integer else "float32",
        )
        return msgspec.structs.replace(card, **fields)

    return make


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_card: Callable[..., Any]) -> Callable[[str], Path]:
    """Return one of the tiny models as `mstl-edge export` would write it: with card and golden samples."""
    from mstl_edge.artifact import write_artifact
    from mstl_edge.runtime import record_golden

    folder = tmp_path_factory.mktemp("exported")

    def export(model: str = "tiny_int8") -> Path:
        path = folder / f"{model}.tflite"
        if not path.exists():
            flatbuffer = (MODELS / f"{model}.tflite").read_bytes()
            write_artifact(path, flatbuffer, tiny_card(model), record_golden(flatbuffer))
        return path

    return export


@pytest.fixture(scope="session")
def doubting_model(tmp_path_factory: pytest.TempPathFactory, models: Path, tiny_card: Callable[..., Any]) -> Path:
    """The tiny int8 model with its feature map, sets of labels that leave most answers open, and a bound that nothing passes."""
    import msgspec

    from mstl_edge.artifact import write_artifact
    from mstl_edge.artifact.doubt import Doubt, LabelSets, familiarity_record
    from mstl_edge.artifact.feature_output import with_feature_output
    from mstl_edge.metrics.familiarity import fit_familiar
    from mstl_edge.runtime import record_golden

    familiar = fit_familiar(np.random.default_rng(1).gamma(2.0, size=(60, 16)))
    assert familiar is not None
    origin = "24 validation images and 104 cross-fitted images"
    sets = LabelSets(level=0.9, kind="class-conditional", lowest=(0.35, 0.35), images=(64, 64), origin=origin)
    looks = familiar.looks(np.random.default_rng(2).gamma(2.0, size=(128, 16)))
    record = msgspec.structs.replace(familiarity_record(familiar, looks), bound=0.1)
    path = tmp_path_factory.mktemp("doubting") / "doubting.tflite"
    flatbuffer = with_feature_output((models / "tiny_int8.tflite").read_bytes())
    card = tiny_card("tiny_int8", doubt=Doubt(sets=sets, familiarity=record))
    write_artifact(path, flatbuffer, card, record_golden(flatbuffer), familiar)
    return path


@pytest.fixture
def picture() -> Callable[[Path, int], Path]:
    """Write a random 40×40 PNG."""

    def write(path: Path, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def draw_classes() -> Callable[..., Path]:
    """Draw `count` images per class into a folder each: smooth noise, brighter with the number of the class."""

    def draw(folder: Path, labels: Sequence[str] = ("cat", "dog"), *, count: int = 10, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for number, label in enumerate(labels):
            (folder / label).mkdir(parents=True)
            for image in range(count):
                coarse = Image.fromarray(rng.integers(40 * number, 150 + 40 * number, (16, 16), dtype=np.uint8))
                coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / label / f"{label}{image:02d}.png")
        return folder

    return draw
