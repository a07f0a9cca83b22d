"""A benchmark's report: any number of candidates and devices, names that do not cover each other, axes that outliers do not set."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstl_edge.report import write_report
from mstl_edge.report.bench.bench_figures import model_names
from mstl_edge.report.draw.axis import unit_axis
from mstl_edge.report.draw.chart import Frame
from mstl_edge.report.draw.labels import Box, Point, place_labels
from mstl_edge.schemas.bench import Host, Result

CANDIDATES = {
    "phantom-float32.tflite": "float32",
    "phantom-int8.tflite": "int8",
    "phantom-int8-ptq.tflite": "int8",
    "phantom-int8-mixed.tflite": "int8",
}
FRAME = Frame(unit_axis("x"), unit_axis("y"), height=300)

places = st.tuples(
    st.floats(50, 320), st.floats(30, 255), st.floats(2.5, 12), st.sampled_from(["int8 (2)", "int8-mixed (4)"])
)


@given(st.lists(places, min_size=1, max_size=12))
def test_names_keep_clear_of_each_other_and_of_every_point_and_stay_inside(given_places: list[Any]) -> None:
    points = [Point(*place, "a") for place in given_places]
    placed = place_labels(FRAME, points)
    boxes = [entry.box for entry in placed]
    assert len(boxes) == len(points) or len(points) > 8
    assert not [pair for pair in combinations(boxes, 2) if pair[0].meets(pair[1])]
    discs = [Box(one.x - one.radius, one.y - one.radius, one.x + one.radius, one.y + one.radius) for one in points]
    assert not [(box, disc) for box in boxes for disc in discs if box.meets(disc)]
    assert all(FRAME.left <= box.left and box.right <= FRAME.width for box in boxes)
    assert all(FRAME.top <= box.top and box.bottom <= FRAME.height - FRAME.bottom for box in boxes)


def test_a_name_without_room_is_left_out_and_not_drawn_over_another() -> None:
    points = [Point(180, 140, 3, "a name as wide as half of the drawing", "a") for _ in range(80)]
    placed = place_labels(FRAME, points)
    assert 0 < len(placed) < 80
    assert not [pair for pair in combinations([entry.box for entry in placed], 2) if pair[0].meets(pair[1])]


@pytest.fixture
def devices(bench_file: Path) -> list[Path]:
    """Benchmarks of two boards with four candidates and two numbers of threads each, all of the same accuracy."""
    tree = json.loads(bench_file.read_text())
    row, written = tree["results"][0], []
    for board, slow in (("Board A", 1.0), ("Board B", 3.0)):
        results = []
        for number, (model, scheme) in enumerate(CANDIDATES.items()):
            for threads in (1, 2):
                raw = [round(slow * (3 - number / 3) / threads * (1 + 0.01 * (i % 9)), 4) for i in range(100)]
                raw[7] = 500.0
                timing = {"median": float(np.median(raw)), "p90": 9.0, "p99": 9.0, "raw": raw}
                changed = {"model": model, "scheme": scheme, "threads": threads, "latency_ms": timing}
                results.append({**row, **changed, "valid": True, "invalid_because": None})
        comparisons = [
            {"model": model, "by_threads": [{"threads": 2, "speedup": 1 + number / 10, "low": 1.05, "high": 1.4}]}
            for number, model in enumerate(CANDIDATES)
            if number
        ]
        host = {**tree["host"], "board": board}
        path = bench_file.with_name(f"{board[-1]}.json")
        changed = {"host": host, "results": results, "comparison": comparisons[0], "comparisons": comparisons}
        path.write_text(json.dumps({**tree, **changed}))
        written.append(path)
    return written


def test_every_candidate_on_every_device_is_named_in_the_picture(devices: list[Path]) -> None:
    text = write_report(devices).path.read_text(encoding="utf-8")
    picture = text[text.index("Accuracy, latency, size</title>") :]
    picture = picture[: picture.index("</svg>")]
    names = re.findall(r'class="note [ab]"[^>]*>([^<]+)<', picture)
    assert sorted(names) == sorted(2 * ["float32 (2)", "int8 (2)", "int8-ptq (2)", "int8-mixed (2)"])
    assert len(re.findall(r'class="dot disc', picture)) == 6
    assert len(re.findall(r'class="dot ring', picture)) == 2


def test_the_speedup_told_is_that_of_the_file_that_is_told(
    devices: list[Path], report_words: Callable[..., str]
) -> None:
    words = report_words(*devices)
    assert "On Board A, the fastest int8 file, phantom-int8-mixed.tflite, answers in 1.04 ms" in words
    assert "(median, 2 threads); against float32: 1.3 times as fast (1.1 to 1.4)." in words


def test_a_candidate_that_was_not_chosen_is_named_as_the_export_calls_it_and_leads_no_headline(
    devices: list[Path], report_words: Callable[..., str]
) -> None:
    tree = json.loads(devices[0].read_text())
    for row in tree["results"]:
        kind = row["model"].removesuffix(".tflite").rpartition("-")[2]
        row["candidate"] = f"int8-{kind}" if kind in ("ptq", "mixed") else None
    devices[0].write_text(json.dumps(tree))
    words = report_words(devices[0])
    assert (
        "On Board A, int8 answers in 1.39 ms (median, 2 threads); against float32: 1.1 times as fast (1.1 to 1.4)."
        in words
    )
    assert "int8-ptq (2)" in words
    assert "int8-mixed phantom-int8-mixed.tflite Board A" in words


def test_one_slow_time_does_not_stretch_the_axis_and_is_counted(devices: list[Path]) -> None:
    text = write_report(devices).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert text.count("1 of 100 beyond") == 16
    assert "16 of all 1,600 times lie beyond it, the longest at 500 ms" in text
    drawings = re.findall(r"<title>Latency, Board [AB]</title>.*?</svg>", text)
    assert len(drawings) == 2
    ticks = [float(tick) for drawing in drawings for tick in re.findall(r'class="tick"[^>]*>([\d.,]+)<', drawing)]
    assert max(ticks) < 15


def test_times_that_are_not_valid_stand_back_and_are_called_so(bench_file: Path) -> None:
    tree = json.loads(bench_file.read_text())
    for row in tree["results"]:
        row["valid"] = row["scheme"] == "float32" and row["threads"] == 1
    bench_file.write_text(json.dumps(tree))
    text = write_report([bench_file]).path.read_text(encoding="utf-8")
    assert ">float32 (1)<" in text
    assert ">int8 (2, not valid)<" in text


def test_files_of_one_scheme_are_told_apart_by_their_names() -> None:
    def row(model: str, scheme: str) -> tuple[Host, Result]:
        return Host(), Result(model=model, scheme=scheme, runtime="r", threads=1, parameters=1, macs=1, size_bytes=1)

    alone = [row("a-float32.tflite", "float32"), row("a-int8.tflite", "int8")]
    assert model_names(alone) == {"a-float32.tflite": "float32", "a-int8.tflite": "int8"}
    several = [row(model, scheme) for model, scheme in CANDIDATES.items()]
    assert list(model_names(several).values()) == ["float32", "int8", "int8-ptq", "int8-mixed"]
    bare = [row("a.tflite", "int8"), row("a-b.tflite", "int8"), row("c-b.tflite", "int8")]
    assert list(model_names(bare).values()) == ["a", "a-b", "c-b"]


@pytest.fixture
def unsettled(tmp_path: Path) -> Path:
    """What `bench` measured on a busy machine: only int8 with two threads held still."""
    return Path(shutil.copy(Path(__file__).parents[2] / "data" / "bench" / "bench-1.json", tmp_path / "busy.json"))


def test_times_whose_blocks_do_not_agree_lead_no_headline_and_give_no_speedup(
    unsettled: Path, report_words: Callable[..., str]
) -> None:
    words = report_words(unsettled)
    assert "int8 answers in 0.262 ms (median, 2 threads)." in words
    assert "times as fast" not in words
    assert "times slower" not in words
    assert "2 threads: no speed-up, since the times of phantom-float32.tflite are not valid" in words


def test_such_times_carry_their_spread_and_are_not_valid(unsettled: Path, report_words: Callable[..., str]) -> None:
    words = report_words(unsettled)
    rows = re.findall(r"LiteRT 2\.3\.0, \d threads? (\S+ \(\d+ %\)|\S+) .*? (yes|no) (?=float32|int8|[A-Z])", words)
    assert rows == [("~0.186 (32 %)", "no"), ("~0.25 (24 %)", "no"), ("~0.209 (241 %)", "no"), ("0.262", "yes")]
    assert "medians of the blocks differ by 32 % (phantom-float32.tflite, 1 thread), 24 % (phantom-int8" in words
    assert "~: medians of the blocks of times differ by more than 15 %" in words


def test_where_no_time_of_int8_is_valid_the_headline_says_so_and_holds_none(
    unsettled: Path, report_words: Callable[..., str]
) -> None:
    tree = json.loads(unsettled.read_text())
    tree["results"] = tree["results"][:3]
    unsettled.write_text(json.dumps(tree))
    words = report_words(unsettled)
    assert "no time of an int8 file is valid; why, and what to do, stands below the table" in words
    assert "answers in" not in words


def test_a_speedup_that_could_be_none_is_said_to_tell_nothing(
    bench_file: Path, report_words: Callable[..., str]
) -> None:
    tree = json.loads(bench_file.read_text())
    tree["comparison"]["by_threads"][0] |= {"speedup": 0.81, "low": 0.62, "high": 1.08}
    bench_file.write_text(json.dumps(tree))
    assert "against float32: 1.2 times slower (0.9 to 1.6): cannot tell." in report_words(bench_file)


def test_no_number_behind_a_long_name_is_cut_in_a_drawing(bench_file: Path) -> None:
    tree = json.loads(bench_file.read_text())
    for number, row in enumerate(tree["results"]):
        row["model"] = f"{'a-long-name-' * 6}{number // 2}.tflite"
        row["scheme"] = "int8"
    bench_file.write_text(json.dumps(tree))
    text = write_report([bench_file]).path.read_text(encoding="utf-8")
    labels = re.findall(r'class="note">([^<]*LiteRT[^<]*)<', text)
    assert len(labels) == 4
    assert all(re.search(r", LiteRT 2\.3\.0, \d threads?(, not valid)?$", label) for label in labels)
