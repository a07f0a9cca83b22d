"""The page: whole HTML, nothing from the network, the numbers of the inputs, and nobody's name or markup."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mstl_edge.report import write_report

VOID = ("meta", "br", "img")


class Page(HTMLParser):
    """Checks that elements nest, and keeps text and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _page(*named: Path, out: Path | None = None) -> Page:
    return Page(write_report(named, out=out).path.read_text(encoding="utf-8"))


def test_the_page_asks_the_network_for_nothing(run_folder: Path, bench_file: Path, study_folder: Path) -> None:
    text = write_report([run_folder, bench_file, study_folder]).path.read_text(encoding="utf-8")
    page = Page(text)
    assert not re.search(r"(?i)\b(https?:|//[a-z])|@import|url\(", text)
    assert not {name for name, _ in page.tags} & {"script", "link", "iframe", "object", "base", "form"}
    assert not [
        key for _, attributes in page.tags for key in attributes if key.startswith("on") or key in ("src", "href")
    ]
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in page.named("meta"))


def test_it_holds_the_numbers_of_the_metrics(run_folder: Path) -> None:
    words = _page(run_folder).words
    metrics = json.loads((run_folder / "metrics.json").read_text())
    for entry in metrics["stages"]:
        test = entry["test"]
        for key in ("accuracy", "sensitivity", "specificity"):
            value = test[key]
            assert f"{100 * value['value']:.1f} {100 * value['low']:.1f} to {100 * value['high']:.1f}" in words
        assert f"{test['auc']['value']:.3f} {test['auc']['low']:.3f} to {test['auc']['high']:.3f}" in words
        assert f"{entry['name']}: n = {test['n']}" in words


def test_it_begins_with_the_result_in_words(run_folder: Path) -> None:
    words = _page(run_folder).words
    test = json.loads((run_folder / "exports" / "export.json").read_text())["test"]["int8"]
    right = sum(test["confusion"][i][i] for i in range(2))
    low, high = (100 * test["accuracy"][key] for key in ("low", "high"))
    assert f"The int8 model labels {right} of {test['n']} test images right" in words
    assert f"(95 % interval {low:.1f} % to {high:.1f} %). One image is 2.5 points." in words
    assert "images of the kind it is for; 80 images cannot exclude a drop above 3 points" in words


def test_figures_and_tables_are_numbered_have_captions_and_say_n(
    run_folder: Path, bench_file: Path, study_folder: Path
) -> None:
    page = _page(run_folder, bench_file, study_folder)
    for kind in ("Figure", "Table"):
        numbers = [int(number) for number in re.findall(rf"\b{kind} (\d+)\. ", page.words)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 8
    assert len(page.named("figcaption")) == len(page.named("figure"))
    captions = re.findall(r"Figure \d+\. (.*?)(?=Figure \d|Table \d|$)", page.words)
    assert all("n = " in caption or "intervals" in caption for caption in captions)


def test_every_chart_has_a_name_and_a_description_for_a_screen_reader(
    run_folder: Path, bench_file: Path, study_folder: Path
) -> None:
    text = write_report([run_folder, bench_file, study_folder]).path.read_text(encoding="utf-8")
    charts = re.findall(r"<svg [^>]*role=\"img\"[^>]*>(.*?)</svg>", text)
    assert len(charts) >= 12
    assert all(re.match(r"<title>[^<]+</title><desc>[^<]+</desc>", chart) for chart in charts)
    assert not re.search(r"\b(nan|inf)\b", " ".join(charts))


def test_no_file_name_of_an_image_and_no_path_is_shown(run_folder: Path) -> None:
    text = write_report([run_folder]).path.read_text(encoding="utf-8")
    assert "patient-" not in text
    assert str(run_folder.parent) not in text
    assert "test row " in text.replace("\u00a0", " ")


def test_equal_inputs_give_equal_bytes(run_folder: Path, bench_file: Path, study_folder: Path, tmp_path: Path) -> None:
    named = [run_folder, bench_file, study_folder]
    first = write_report(named, out=tmp_path / "1.html").path.read_bytes()
    assert first == write_report(named, out=tmp_path / "2.html").path.read_bytes()


def _relabel(run: Path, old: str, new: str) -> None:
    """Call a class something else in every file of a run."""
    for file in run.rglob("*.json"):
        file.write_text(file.read_text().replace(old, json.dumps(new)[1:-1]))
    for file in run.rglob("*.csv"):
        with file.open(newline="") as handle:
            rows = [[cell.replace(old, new) for cell in row] for row in csv.reader(handle)]
        with file.open("w", newline="") as handle:
            csv.writer(handle).writerows(rows)


def test_on_a_phone_the_rows_of_wide_tables_are_cards_whose_cells_carry_their_columns_names(
    run_folder: Path, bench_file: Path, study_folder: Path
) -> None:
    text = write_report([run_folder, bench_file, study_folder]).path.read_text(encoding="utf-8").replace("\u00a0", " ")
    cards = re.findall(r'<div class="scroll cards">(.*?)</div></figure>', text, flags=re.S)
    assert len(cards) >= 8
    for table in cards:
        head = re.findall(r"<th[^>]*>(.*?)</th>", table)
        for row in re.findall(r"<tr[^>]*>(<td.*?)</tr>", table, flags=re.S):
            assert re.findall(r'data-label="([^"]*)"', row) == head[1:]
    verdicts = [table for table in cards if ">Verdict</th>" in table]
    assert len(verdicts) == 3
    assert all(re.findall(r"<th[^>]*>(.*?)</th>", table)[1] == "Verdict" for table in verdicts)
    plain = re.findall(r'<div class="scroll">(.*?)</div></figure>', text, flags=re.S)
    assert max(table.count("<th") for table in plain) <= 5  # four columns, and <thead>


def test_verdicts_are_said_once_and_negative_numbers_have_minus_signs(study_folder: Path, bench_file: Path) -> None:
    page = _page(study_folder, bench_file)
    assert "cannot tell cannot tell" not in page.words.lower()
    assert not re.search(r"(?<![\w.])-\d", page.words)


def test_a_drawing_by_itself_shares_its_row_with_the_caption(run_folder: Path) -> None:
    figures = [attributes.get("class") for attributes in _page(run_folder).named("figure")]
    assert figures.count("lone") == 1  # float32 against int8


def test_hostile_labels_are_text_and_nothing_else(run_folder: Path) -> None:
    hostile = '<script>alert("1")</script>&<b a=\'x'
    _relabel(run_folder, "hemorrhage", hostile)
    page = _page(run_folder)
    assert hostile in page.words
    assert not page.named("script")
    assert all("a" not in attributes for attributes in page.named("b"))


def test_a_device_and_a_study_bring_their_figures(bench_file: Path, study_folder: Path) -> None:
    words = _page(bench_file, study_folder).words
    assert "On Drawn Board 1, int8 answers in" in words
    assert "against float32: 1.6 times as fast (1.5 to 1.7)." in words
    assert "Not valid: phantom-int8.tflite, 2 threads, Drawn Board 1: two cores were busy" in words
    assert (
        "Did the bridge help? Cannot tell with n = 24: −2.1 (−8.1 to +2.9) points (single → multi in float32)" in words
    )
    for heading in ("Accuracy, latency, size", "Latency, Drawn Board 1", "Learning curve", "Accuracy of each arm"):
        assert heading in words


def test_two_runs_are_told_apart(run_folder: Path, tmp_path: Path) -> None:
    import shutil

    other = Path(shutil.copytree(run_folder, tmp_path / "other"))
    words = _page(run_folder, other).words
    assert "Stages – run" in words
    assert "Stages – other" in words
    assert "other: The int8 model labels" in words


@pytest.mark.parametrize("needle", ["not a medical device", "Model card", "Worst mistakes", "probability of the truth"])
def test_it_says_what_it_is(run_folder: Path, needle: str) -> None:
    assert needle.lower() in _page(run_folder).words.lower()
