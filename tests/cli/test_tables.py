"""Tables on a narrow terminal: names wrap, numbers are never cut."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from mstl_edge.schemas.bench_reading import read_report
from mstl_edge_bench.output import tables
from mstl_edge_cli.console import print_table

REPORT = read_report(Path(__file__).parents[1] / "data" / "bench" / "bench-1.json")
LONG = "a-recipe-of-a-lab-whose-name-says-everything-about-it-2026-11-int8"


class NarrowTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, columns: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> str:
    terminal = NarrowTerminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        patched.setenv("COLUMNS", str(width))
        print_table("title", columns, rows)
    return re.sub("\x1b\\[[0-9;]*m", "", terminal.getvalue())


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", ["phantom-int8", LONG])
def test_no_number_of_a_benchmark_is_cut_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, name: str
) -> None:
    for columns, rows in (
        (tables.DECIDING_COLUMNS, tables.deciding_rows(REPORT)),
        (tables.SPEED_COLUMNS, tables.speed_rows(REPORT)),
        (tables.ACCURACY_COLUMNS, tables.accuracy_rows(REPORT)),
        (tables.FOOTPRINT_COLUMNS, tables.footprint_rows(REPORT)),
    ):
        text = shown(monkeypatch, columns, [(name, *row[1:]) for row in rows], width)
        assert "…" not in text
        numbers = [cell for row in rows for cell in row if re.match(r"[~\d]", cell)]
        assert [cell for cell in numbers if cell not in text] == []


def test_what_a_person_decides_by_fits_into_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, tables.DECIDING_COLUMNS, tables.deciding_rows(REPORT), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) == 2 + len(REPORT.results)


def test_a_long_name_wraps_and_is_there_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, tables.DECIDING_COLUMNS, [(LONG, *tables.deciding_rows(REPORT)[0][1:])], 80)
    lines = text.splitlines()
    width = lines[1].index("threads") - 2
    assert "".join(line[:width].strip() for line in lines[2:]) == LONG
    assert max(map(len, text.splitlines())) <= 80


def test_a_pipe_gets_a_line_for_each_row_however_long_a_name_is(capsys: pytest.CaptureFixture[str]) -> None:
    name = LONG * 4
    print_table("title", tables.DECIDING_COLUMNS, [(name, *row[1:]) for row in tables.deciding_rows(REPORT)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(REPORT.results)
    assert all(line.startswith(name) for line in lines[2:])
