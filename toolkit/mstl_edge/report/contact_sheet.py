"""A data set on one page, to look through: pictures of each class, pairs that are nearly the same, labels that are hard to believe.

They may be patients' images; the file is made only where it is asked for, and belongs where the images are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstl_edge.data.audit import Audit
from mstl_edge.data.files.labelled import DataSource
from mstl_edge.data.workers import in_order
from mstl_edge.preprocess import load_image
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.report.answers.thumbnails import data_address
from mstl_edge.report.html import wording
from mstl_edge.report.html.blocks import Part, Section
from mstl_edge.report.html.markup import Markup, tag
from mstl_edge.report.page import page

PIXELS = 112
MOST_OF_A_CLASS = 60
MOST_PAIRS = 20
KEEP = "Patients' images, perhaps: keep this file where the images are."


@dataclass(frozen=True)
class Doubted:
    """An image whose label is hard to believe, and why, in words."""

    name: str
    why: str


def contact_sheet(
    source: DataSource,
    audit: Audit,
    preprocess: PreprocessSpec,
    doubted: Sequence[Doubted] = (),
    reporter: Reporter = SILENT,
) -> str:
    """Return the HTML document.

    Args:
        source: The data set; of each class at most `MOST_OF_A_CLASS` pictures are shown, evenly over the sorted names.
        audit: What was found.
        preprocess: How an image is read; none is stretched here.
        doubted: Labels to look at first.
        reporter: Told of progress.
    """
    unusable = {lost.name for lost in audit.unreadable} | {left.name for left in audit.left_out}
    classes = {
        label: [image.name for image in source.images if image.label == label and image.name not in unusable]
        for label in source.labels
    }
    shown = {label: _evenly(names, MOST_OF_A_CLASS) for label, names in classes.items()}
    pairs = audit.near_duplicates[:MOST_PAIRS]
    labels = {image.name: image.label for image in source.images}
    wanted = [
        *(name for names in shown.values() for name in names),
        *(name for pair in pairs for name in (pair.first, pair.second)),
        *(entry.name for entry in doubted),
        *(name for same in audit.conflicts for name in same),
    ]
    pictures = _pictures(source, dict.fromkeys(wanted), preprocess, reporter)
    sections = [
        _section(
            "Labels to look at", [(entry.name, f"{labels[entry.name]}: {entry.why}") for entry in doubted], pictures
        ),
        _section(
            "One picture under two labels",
            [(name, labels[name]) for same in audit.conflicts for name in same],
            pictures,
        ),
        *(
            _section(f"{label}: {_count(len(names), len(classes[label]))}", [(name, "") for name in names], pictures)
            for label, names in shown.items()
        ),
        _section(
            f"Nearly the same: {_count(len(pairs), len(audit.near_duplicates), 'pair')}",
            [(name, f"{labels[name]}, {pair.similarity:.2f}") for pair in pairs for name in (pair.first, pair.second)],
            pictures,
        ),
    ]
    told = [f"{wording.count_of(audit.images, 'image')} in {wording.count_of(len(audit.classes), 'class')}.", KEEP]
    found = [shortcut.words.replace("%", " %") for shortcut in audit.shortcuts if shortcut.tells]
    missing = tuple(f"{lost.name}: {lost.reason}" for lost in audit.unreadable)
    part = Part(
        (*told, *(f"{words[0].upper()}{words[1:]}." for words in found)), tuple(filter(None, sections)), missing
    )
    return page("Contact sheet", source.source, part)


def _pictures(
    source: DataSource, names: Iterable[str], preprocess: PreprocessSpec, reporter: Reporter
) -> Mapping[str, str]:
    """Return small pictures by name, as `data:` addresses."""
    listed = list(names)
    whole = PreprocessSpec(aspect="pad", window=preprocess.window, max_pixels=preprocess.max_pixels)
    found = {}
    with reporter.bar("contact sheet", len(listed)) as advance:
        read = in_order(lambda name: load_image(source.folder / name, PIXELS, whole, name=name), listed)
        for name, pixels in zip(listed, read, strict=True):
            found[name] = data_address(pixels)
            advance(1)
    return found


def _section(title: str, entries: Sequence[tuple[str, str]], pictures: Mapping[str, str]) -> Section | None:
    if not entries:
        return None
    cards = [_card(name, told, pictures[name]) for name, told in entries]
    return Section(title, (tag("div", cards, class_="sheet"),))


def _card(name: str, told: str, picture: str) -> Markup:
    caption = tag("figcaption", name, *([tag("br"), tag("b", told)] if told else []))
    return tag("figure", tag("img", src=picture, alt=name, width=PIXELS, height=PIXELS, loading="lazy"), caption)


def _evenly(names: Sequence[str], most: int) -> list[str]:
    ordered = sorted(names)
    places = np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int)
    return [ordered[place] for place in dict.fromkeys(places.tolist())]


def _count(shown: int, total: int, what: str = "image") -> str:
    return wording.count_of(total, what) if shown == total else f"{shown:,} of {wording.count_of(total, what)}"
