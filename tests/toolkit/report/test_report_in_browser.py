"""Reports in a real browser: nothing from the network, no error, nothing but tables wider than a phone, and they print.

Talks to a headless Chromium by DevTools messages over a pipe, so that nothing has to be installed beside the browser.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mstl_edge.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("MSTL_EDGE_CHROMIUM") or next(
    (found for name in NAMES if (found := shutil.which(name))), None
)
PATIENCE_SECONDS = 60

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason=f"none of {', '.join(NAMES)} was found; MSTL_EDGE_CHROMIUM may name one"
    ),
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


@dataclass
class Browser:
    """A Chromium that answers on a pipe; messages end with a zero byte."""

    to_browser: int
    from_browser: int
    session: str = ""
    last: int = 0
    pending: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come in between are kept."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self.last:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self.events.append(told)

    def wait_for(self, method: str) -> None:
        """Read events until one of a kind has come."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.from_browser], [], [], PATIENCE_SECONDS)
            assert ready, "the browser does not answer"
            read = os.read(self.from_browser, 1 << 16)
            assert read, "the browser has ended"
            self.pending += read
        message, self.pending = self.pending.split(b"\0", 1)
        return dict(json.loads(message))

    def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, path: Path, width: int) -> None:
        """Load a page at a width; what it does is in `events` afterwards."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 640)
        self.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    @property
    def requests(self) -> list[str]:
        """What the page asked for, itself left out."""
        asked = [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked[1:] if not url.startswith("data:")]

    @property
    def errors(self) -> list[str]:
        """What stands in the console, and exceptions."""
        told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"])[:300] for event in self.events if event["method"] in told]


def _above_nine(end: int) -> int:
    """Return a copy of a pipe's end that a child may keep, out of the way of the two that Chromium wants."""
    copy = fcntl.fcntl(end, fcntl.F_DUPFD, 10)
    os.close(end)
    os.set_inheritable(copy, True)
    return copy


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    read_by_browser, to_browser = map(_above_nine, os.pipe())
    from_browser, written_by_browser = map(_above_nine, os.pipe())
    start = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
    flags = (
        "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}", *(["--no-sandbox"] if os.geteuid() == 0 else []),
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", start, str(read_by_browser), str(written_by_browser), CHROMIUM, *flags, "about:blank"],
        pass_fds=(read_by_browser, written_by_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_by_browser)
    os.close(written_by_browser)
    opened = Browser(to_browser, from_browser)
    try:
        target = opened.ask("Target.createTarget", url="about:blank")["targetId"]
        opened.session = opened.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            opened.ask(f"{domain}.enable")
        yield opened
    finally:
        process.terminate()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)


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
