"""Reports in a real browser: nothing from the network, no error, nothing but tables wider than a phone, and they print."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, WITHOUT, Browser, running

from mstl_edge.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT),
]

OUTSIDE = """
[...document.querySelectorAll('body *')]
  .filter(one => !one.closest('.scroll') || one.classList.contains('scroll'))
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
    || (one.scrollWidth > one.clientWidth && /auto|scroll/.test(getComputedStyle(one).overflowX)
        && !one.classList.contains('scroll')))
  .map(one => one.tagName + '.' + one.getAttribute('class'))
"""
CELLS_OUTSIDE = """
[...document.querySelectorAll('.cards td')]
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).length
"""
HIDDEN = """
[...document.querySelectorAll('section, section figure, section h2, svg[role=img], table')]
  .filter(one => !one.checkVisibility({visibilityProperty: true}) || one.getBoundingClientRect().height < 8
    || one.getBoundingClientRect().width < 20)
  .map(one => one.tagName + ' ' + one.textContent.slice(0, 40))
"""
SECTIONS = "document.querySelectorAll('section').length"
LABELS = "[...document.querySelectorAll('.cards td')].map(one => getComputedStyle(one, '::before').content)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def report(run_folder: Path, bench_file: Path, study_folder: Path, tmp_path: Path) -> Path:
    return write_report([run_folder, bench_file, study_folder], out=tmp_path / "report.html").path


@pytest.mark.parametrize("width", [390, 1400])
def test_a_report_loads_without_an_error_and_asks_the_network_for_nothing(
    browser: Browser, report: Path, width: int
) -> None:
    browser.open(report, width)
    assert browser.errors == []
    assert browser.requests == []
    assert browser.value("document.title").startswith("phantom")


@pytest.mark.parametrize("width", [390, 700, 1400])
def test_nothing_but_tables_is_wider_than_the_screen_and_every_section_is_seen(
    browser: Browser, report: Path, width: int
) -> None:
    browser.open(report, width)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(OUTSIDE) == []
    assert browser.value(HIDDEN) == []
    assert browser.value(SECTIONS) == report.read_text(encoding="utf-8").count("<section>") > 8


def test_on_a_phone_every_cell_of_a_card_is_on_the_screen_under_its_columns_name(
    browser: Browser, report: Path
) -> None:
    browser.open(report, 390)
    assert browser.value(CELLS_OUTSIDE) == 0
    assert '"Verdict"' in browser.value(LABELS)
    browser.open(report, 1400)
    assert set(browser.value(LABELS)) == {"none"}


def test_it_prints_on_several_pages(browser: Browser, report: Path) -> None:
    browser.open(report, 1400)
    printed = base64.b64decode(browser.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") >= 4


@pytest.mark.parametrize(
    ("body", "noticed"),
    [
        ('<img src="http://127.0.0.1:9/pixel.png">', "requests"),
        ("<script>console.error('broken')</script>", "errors"),
        ('<p style="width: 900px">wide</p>', OUTSIDE),
        ('<div style="width: 200px; overflow-x: auto"><p style="width: 300px">wide</p></div>', OUTSIDE),
        (
            '<div class="scroll cards"><table><tr><td style="min-width: 900px">wide</td></tr></table></div>',
            CELLS_OUTSIDE,
        ),
        ('<section style="display: none"><h2>Gone</h2></section>', HIDDEN),
        ('<section style="visibility: hidden"><h2>Gone</h2></section>', HIDDEN),
    ],
)
def test_what_these_tests_look_for_is_noticed_where_it_is(
    browser: Browser, tmp_path: Path, body: str, noticed: str
) -> None:
    path = tmp_path / "page.html"
    path.write_text(f'<!DOCTYPE html><meta name="viewport" content="width=device-width"><title>x</title>{body}')
    browser.open(path, 390)
    assert getattr(browser, noticed, None) or browser.value(noticed)
