from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mstl_edge.data.audit import audit_source
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import open_source
from mstl_edge.recipe import PreprocessSpec
from mstl_edge.report.contact_sheet import KEEP, MOST_OF_A_CLASS, Doubted, contact_sheet


def test_every_class_pairs_and_doubts_are_shown_and_nothing_else_is_asked_for(
    draw_classes: Callable[..., Path], tmp_path: Path
) -> None:
    folder = draw_classes(tmp_path / "pets", ("cat", "dog", "a&b"), count=70)
    twin = Image.open(folder / "cat" / "cat03.png")
    twin.resize((80, 80)).save(folder / "cat" / "twin.png")
    shutil.copy(folder / "cat" / "cat05.png", folder / "dog" / "copy.png")
    (folder / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(np.zeros((90, 30), np.uint8) + np.arange(30, dtype=np.uint8)).save(folder / "a&b" / "tall <1>.png")
    source = open_source(str(folder))
    audit = audit_source(source, scan_source(source, PreprocessSpec()))
    page = contact_sheet(source, audit, PreprocessSpec(), [Doubted("cat/cat01.png", "answered dog, 3.0%")])
    assert KEEP.replace("'", "&#x27;") in page or KEEP in page
    for title in (
        "Labels to look at",
        "One picture under two labels",
        "cat: 60 of 71 images",
        "a&amp;b: 60 of 71 images",
        "Nearly the same",
    ):
        assert f"<h2>{title}" in page, title
    assert page.count("<img") >= 3 * MOST_OF_A_CLASS + 1 + 2 + 2
    assert "dog/broken.png: a PNG file that is damaged" in page
    assert "tall &lt;1&gt;.png" in page
    assert "tall <1>.png" not in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert "cat: answered dog, 3.0" in page


def test_the_same_set_gives_the_same_bytes(draw_classes: Callable[..., Path], tmp_path: Path) -> None:
    source = open_source(str(draw_classes(tmp_path / "pets")))
    audit = audit_source(source, scan_source(source, PreprocessSpec()))
    assert contact_sheet(source, audit, PreprocessSpec()) == contact_sheet(source, audit, PreprocessSpec())
