"""The labelled images that accuracy is measured on: a run's own test split, or a data source that was named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mstl_edge.data.sources import open_source, source_folder
from mstl_edge.data.splits import load_manifest
from mstl_edge.errors import DataError
from mstl_edge.moved import check_same_data, read_places
from mstl_edge.runs import RunFolder

SplitChoice = Literal["auto", "test", "all"]


@dataclass(frozen=True)
class TestImage:
    """One file and its label; `sha256` is what the run's manifest says, None where there is none."""

    path: Path
    label: str
    sha256: str | None = None


@dataclass(frozen=True)
class TestSet:
    """Images to be scored on; `description` says which, without naming a place on this machine."""

    description: str
    images: tuple[TestImage, ...]
    caution: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({image.label for image in self.images}))


def test_split_of(run: RunFolder, moved: str | None = None) -> TestSet:  # noqa: PT028 - no test
    """Return the test split of a run's last stage; nothing was fitted to it or chosen by it.

    Args:
        run: The run.
        moved: Where the stage's data lies now, if it has moved.

    Raises:
        DataError: The manifest or the data set it speaks of is gone, or what was named is another one.
    """
    stage = run.recipe().stages[-1]
    manifest = load_manifest(run.manifest(stage.name))
    rows = manifest.part("test")
    source = read_places(run.places_file).get(stage.name, manifest.source)
    folder = source_folder(source) if moved is None else check_same_data(stage, moved, rows)
    images = tuple(TestImage(folder / row.name, row.label, row.sha256) for row in rows)
    if not images:
        raise DataError("test images in the run's split", received=f"none for stage {stage.name}")
    return TestSet(f"test split of stage {stage.name} ({_public(moved or source)})", images)


def moved_data(run: RunFolder | None, named: str) -> str | None:
    """Return PATH where `named` is `STAGE=PATH` of the run's last stage; None where it is a data source."""
    stage, separator, place = named.partition("=")
    if run is None or not separator or Path(named).exists() or stage != run.recipe().stages[-1].name:
        return None
    return place


def images_of(source: str, split: SplitChoice = "auto") -> TestSet:
    """Return the labelled images of a data source.

    Args:
        source: See `data.sources.open_source`.
        split: `test` takes the folder of that name, `all` every image, `auto` the test folder where there is one.

    Raises:
        DataError: See `open_source`, or there is no test folder.
    """
    found = open_source(source)
    declared = tuple(image for image in found.images if image.declared == "test")
    if split == "test" and not declared:
        raise DataError("a test/ folder in the data", received=source, hint="Measure on all of it: --split all")
    chosen = declared if declared and split != "all" else found.images
    images = tuple(TestImage(found.folder / image.name, image.label) for image in chosen)
    what = "test folder" if chosen is declared else "all images"
    caution = "" if chosen is declared else "images that the model was trained on flatter it"
    return TestSet(f"{what} of {_public(source)}", images, caution)


def check_labels(labels: Iterable[str], known: Iterable[str], model: str) -> dict[str, int]:
    """Return the data set's labels as class numbers of the model; case does not count.

    Raises:
        DataError: A label that the model doesn't have.
    """
    numbers = {label.casefold(): number for number, label in enumerate(known)}
    strangers = sorted(label for label in labels if label.casefold() not in numbers)
    if strangers:
        raise DataError(
            f"labels that {model} has ({', '.join(known)})",
            received=", ".join(strangers[:5]) + (" …" if len(strangers) > 5 else ""),
            hint="Rename the classes of the data, or measure speed alone: --no-accuracy",
        )
    return {label: numbers[label.casefold()] for label in labels}


def _public(source: str) -> str:
    """Return a source's name without the way to it."""
    return source if source.startswith(("phantom:", "kaggle:")) else Path(source).name
