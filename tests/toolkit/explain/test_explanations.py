"""What a person sees of an explanation, by either method."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.classifier import load_classifier
from mstl_edge.explain.evidence import Evidence
from mstl_edge.explain.occlusion import CELLS, occlusion_maps
from mstl_edge.explain.overlay import PANEL_PIXELS, coloured, overlaid, overlay_png
from mstl_edge.prediction import Explanation, Unreadable, to_record

Picture = Callable[[Path, int], Path]


@pytest.mark.parametrize("model", ["tiny_float32", "tiny_int8", "three_classes"])
@pytest.mark.parametrize("runtime", ["litert", "reference"])
def test_the_grid_explains_the_label_that_predict_gives(
    explaining: Callable[[str], Path], model: str, runtime: Any, tmp_path: Path, picture: Picture
) -> None:
    classifier, path = load_classifier(explaining(model), runtime=runtime), picture(tmp_path / "a.png", 3)
    explained = classifier.explain(path)
    assert explained.prediction == classifier.predict(path)
    assert explained.evidence.method == "class map"
    assert explained.evidence.bias is not None
    assert explained.grid.shape == (16, 16)
    logits = explained.evidence.maps.mean(axis=(1, 2)) + explained.evidence.bias
    odds = logits[explained.class_number] - np.delete(logits, explained.class_number).mean()
    biases = explained.evidence.bias
    shift = biases[explained.class_number] - np.delete(biases, explained.class_number).mean()
    assert float(explained.grid.mean()) + shift == pytest.approx(odds, abs=1e-4)


def test_a_file_of_one_output_is_explained_by_occlusion(
    exported: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    classifier, path = load_classifier(exported("tiny_int8")), picture(tmp_path / "a.png", 3)
    explained = classifier.explain(path.read_bytes())
    assert explained.evidence.method == "occlusion"
    assert explained.prediction == classifier.predict(path)
    assert explained.grid.shape == (CELLS, CELLS)


def test_occlusion_finds_the_part_that_decides() -> None:
    pixels = np.full((64, 64, 3), 50, np.uint8)
    pixels[40:48, 8:16] = 250

    def bright_corner(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        share = np.float32(image[40:48, 8:16].mean() / 255)
        return np.array([share, 1 - share], np.float32)

    maps = occlusion_maps(bright_corner, bright_corner(pixels), pixels)
    assert np.unravel_index(maps[0].argmax(), maps[0].shape) == (5, 1)
    assert maps[0].max() > 0 > maps[1].min()
    assert not maps[:, :, 4:].any()


def test_several_files_are_explained_in_order_and_damaged_ones_are_said(
    explaining: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    good = [picture(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abcdefgh")]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    outcomes = list(load_classifier(explaining("tiny_int8")).explain_many([*good[:4], bad, *good[4:]]))
    assert [path.name for path, _ in outcomes] == [
        *(f"{n}.png" for n in "abcd"),
        "bad.png",
        *(f"{n}.png" for n in "efgh"),
    ]
    assert [type(outcome) for _, outcome in outcomes] == [*[Explanation] * 4, Unreadable, *[Explanation] * 4]


def test_the_record_has_the_grid_and_the_method(
    explaining: Callable[[str], Path], tmp_path: Path, picture: Picture
) -> None:
    explained = load_classifier(explaining("tiny_int8")).explain(picture(tmp_path / "a.png", 1))
    record = to_record("a.png", explained)
    assert record["map_method"] == "class map"
    np.testing.assert_allclose(record["map"], explained.grid, atol=1e-4)
    assert record["label"] == explained.prediction.label


def test_the_grid_is_evidence_against_the_mean_of_the_others() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.testing.assert_array_equal(Evidence("occlusion", maps).grid(2), maps[2] - (maps[0] + maps[1]) / 2)


def test_only_what_speaks_for_the_class_is_coloured() -> None:
    grid = np.zeros((4, 4), np.float32)
    grid[0, 0], grid[3, 3] = 2.0, -5.0
    pixels = np.full((40, 40, 3), 100, np.uint8)
    shown = np.asarray(overlaid(pixels, grid, 40)).astype(int)
    assert np.abs(shown[2, 2] - 100).max() > 60
    assert (shown[30:, 30:] == 100).all()
    assert (np.asarray(overlaid(pixels, -np.ones((4, 4), np.float32), 40)) == 100).all()


def test_colours_grow_lighter_all_the_way() -> None:
    lightness = coloured(np.linspace(0, 1, 100, dtype=np.float32)) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize("side", [32, 224, 500])
@pytest.mark.parametrize("grid", [np.ones((7, 7)), -np.ones((7, 7)), np.zeros((1, 1))])
def test_the_picture_holds_view_and_overlay_side_by_side(side: int, grid: NDArray[np.float64]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    told = {"label": "a label of more than twenty-four letters: ünïcode, 脳", "probability": 0.5, "method": "class map"}
    content = overlay_png(pixels, grid.astype(np.float32), **told)  # type: ignore[arg-type]
    assert content == overlay_png(pixels, grid.astype(np.float32), **told)  # type: ignore[arg-type]
    image = Image.open(io.BytesIO(content))
    panel = -(-PANEL_PIXELS // side) * side if side < PANEL_PIXELS else side
    assert image.width == 2 * panel + 36
    assert image.height > panel
