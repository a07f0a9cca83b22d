from __future__ import annotations

import numpy as np
import pytest

from mstl_edge.data import shortcuts
from mstl_edge.data.duplicates import SIDE
from mstl_edge.data.scan import ImageFacts
from mstl_edge.data.shortcuts import FEWEST, Shortcut, find_shortcuts

LABELS = [("bleed", "normal")[number % 2] for number in range(120)]
ALONE = [f"g{number}" for number in range(120)]


def facts(pixels: np.ndarray, width: int = 200, height: int = 200, mode: str = "L") -> ImageFacts:
    return ImageFacts("", width, height, mode, pixels.astype(np.uint8).tobytes(), grey=mode == "L")


def noise(seed: int, count: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE))


def by_kind(found: tuple[Shortcut, ...]) -> dict[str, Shortcut]:
    return {shortcut.kind: shortcut for shortcut in found}


def test_a_mark_in_the_frame_is_noticed_and_not_taken_for_size() -> None:
    pixels = noise(0)
    for number, label in enumerate(LABELS):
        if label == "bleed":
            pixels[number, 0, 2:14] = 255
    found = by_kind(find_shortcuts([facts(picture) for picture in pixels], LABELS, ALONE))
    assert found["frame"].tells
    assert found["frame"].balanced_accuracy.value > 0.85
    assert not found["size"].tells
    assert found["size"].balanced_accuracy.value == 0.5
    assert found["frame"].words.startswith(
        "the outermost tenth of the pictures alone tells the class: balanced accuracy "
    )
    assert found["frame"].words.endswith("chance 50.0%, n = 120")


def test_files_of_another_size_or_format_are_noticed() -> None:
    pixels, draw = noise(1), np.random.default_rng(2)
    sized = [
        facts(picture, width=200 + int(draw.integers(0, 40)) + 25 * (label == "bleed"))
        for picture, label in zip(pixels, LABELS, strict=True)
    ]
    assert by_kind(find_shortcuts(sized, LABELS, ALONE))["size"].tells
    coloured = [
        facts(picture, mode="RGB" if label == "bleed" else "L") for picture, label in zip(pixels, LABELS, strict=True)
    ]
    assert by_kind(find_shortcuts(coloured, LABELS, ALONE))["size"].balanced_accuracy.value == 1.0


@pytest.mark.parametrize("seeds", [8, pytest.param(25, marks=pytest.mark.long)])
def test_where_nothing_tells_nothing_is_said(seeds: int) -> None:
    said = 0
    for seed in range(seeds):
        draw = np.random.default_rng(1000 + seed)
        some = [facts(picture, int(draw.integers(100, 400)), int(draw.integers(100, 400))) for picture in noise(seed)]
        found = find_shortcuts(some, LABELS, ALONE)
        assert {shortcut.kind for shortcut in found} == {"size", "frame", "thumbnail"}
        assert all(0.2 < shortcut.balanced_accuracy.value < 0.8 for shortcut in found)
        said += sum(shortcut.tells for shortcut in found)
    assert said <= 1


def test_what_tells_the_patient_does_not_tell_the_class() -> None:
    # Five pictures of each patient with one frame: a split by picture would be right on nearly all.
    groups = [f"p{number // 5}" for number in range(300)]
    labels = [("bleed", "normal")[number // 5 % 2] for number in range(300)]
    frames, own = noise(3, 60), noise(4, 300)
    own[:, :3], own[:, -3:] = np.repeat(frames, 5, axis=0)[:, :3], np.repeat(frames, 5, axis=0)[:, -3:]
    found = by_kind(find_shortcuts([facts(picture) for picture in own], labels, groups))
    assert not found["frame"].tells
    leaking = by_kind(
        find_shortcuts([facts(picture) for picture in own], labels, [str(number) for number in range(300)])
    )
    assert leaking["frame"].tells


def test_of_three_classes_chance_is_a_third_and_a_thumbnail_is_never_a_shortcut() -> None:
    pixels, labels = noise(5, 150) // 2, [("a", "b", "c")[number % 3] for number in range(150)]
    for number, label in enumerate(labels):
        pixels[number, 12:20, 12:20] += 40 * "abc".index(label)
    found = by_kind(
        find_shortcuts([facts(picture) for picture in pixels], labels, [str(number) for number in range(150)])
    )
    assert found["thumbnail"].balanced_accuracy.value > 0.9
    assert found["thumbnail"].chance == pytest.approx(1 / 3)
    assert not found["thumbnail"].tells
    assert not found["frame"].tells


def test_too_few_independent_images_say_nothing() -> None:
    few = [facts(picture) for picture in noise(6, 2 * FEWEST - 2)]
    assert find_shortcuts(few, LABELS[: len(few)], ALONE[: len(few)]) == ()
    assert find_shortcuts([facts(picture) for picture in noise(7)], LABELS, ["one"] * 60 + ALONE[:60]) != ()
    assert find_shortcuts([facts(picture) for picture in noise(7)], LABELS, ["one"] * 100 + ALONE[:20]) == ()


def test_of_very_many_images_a_rare_class_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "MOST_IMAGES", 300)
    labels = ["rare"] * 20 + ["usual"] * 1500
    found = find_shortcuts([facts(picture) for picture in noise(8, 1520)], labels, [str(n) for n in range(1520)])
    assert {shortcut.images for shortcut in found} == {20 + round(1500 * 300 / 1520)}
    assert all(0 < shortcut.balanced_accuracy.value < 1 for shortcut in found)
