"""Sentences and tables in so many characters: nothing is lost, words stay whole, what is copied works."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge_cli.layout import BETWEEN_COLUMNS, columns_in, continued, paragraph, wrapped

WORDS = st.lists(st.text("abcdefghij-_/.", min_size=1, max_size=30), min_size=1, max_size=8)
ROWS = st.integers(1, 6).flatmap(
    lambda columns: st.lists(st.lists(WORDS, min_size=columns, max_size=columns), min_size=2, max_size=4)
)


@given(WORDS, st.integers(4, 60))
def test_a_cell_loses_nothing_and_fits(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width)
    assert "".join(lines).replace(" ", "") == "".join(words)
    assert max(map(len, lines)) <= width


@given(ROWS, st.integers(40, 120))
def test_the_blocks_of_a_table_hold_every_column_and_share_the_line(rows: list[list[list[str]]], room: int) -> None:
    head, *cells = [[" ".join(words) for words in row] for row in rows]
    blocks = columns_in(head, cells, room)
    shown = [position for block in blocks for position, _ in block]
    assert set(shown) == set(range(len(head)))
    assert len(shown) == len(head) + len(blocks) - 1
    for block in blocks:
        if len(block) > 2:
            assert sum(width + BETWEEN_COLUMNS for _, width in block) - BETWEEN_COLUMNS <= room


def test_columns_that_do_not_fit_stand_below_behind_those_that_name_the_row() -> None:
    head, cells = ["model", "threads", *(f"column{n}" for n in range(6))], [["a-model", "1", *["12345678"] * 6]]
    blocks = columns_in(head, cells, 40, repeated=2)
    assert [[position for position, _ in block] for block in blocks] == [[0, 1, 2, 3], [0, 1, 4, 5], [0, 1, 6, 7]]
    assert len(columns_in(head, cells, None)) == 1


@pytest.mark.parametrize("width", [20, 40, 60])
def test_words_and_paths_are_not_broken(width: int) -> None:
    text = "model: runs/ct-hemorrhage-20260101-120000/exports/ct-hemorrhage-lite-int8.tflite is one of three-hundred"
    lines = paragraph(text, width, indent=2).split("\n")
    assert " ".join(line.strip() for line in lines) == text
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_command_in_a_sentence_is_not_broken_where_a_line_holds_it() -> None:
    text = "mstl-edge: expected a run that is finished. Received: runs/a. Go on with it: mstl-edge train --resume runs/a, or not"
    assert "mstl-edge train --resume runs/a, or not" in paragraph(text, 70, indent=2)
    text = "expected the extra. Install it with: pip install -e '/home/a/mstl-edge[train]'"
    assert paragraph(text, 60, indent=2).endswith("\n  pip install -e '/home/a/mstl-edge[train]'")


@pytest.mark.parametrize("width", [20, 50, 80, None])
def test_a_command_on_several_lines_is_one_for_a_shell(width: int | None) -> None:
    words = ["mstl-edge", "run", "my data/ct", "--set", r"stages.target.split.patient=^(\d+)_", "--resplit"]
    told = continued(shlex.join(words), width, before=6)
    assert shlex.split(told.replace("\\\n", "")) == words
    assert ("\n" in told) == (width in (20, 50, 80))
    if width == 80:
        assert max(map(len, told.split("\n"))) <= width
