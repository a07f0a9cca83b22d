"""The page in a real browser: images dropped, pasted and chosen by keyboard; map, doubt, comparison, CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, WITHOUT, Browser, running
from PIL import Image
from served import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)]
READY = "!document.getElementById('work').hidden"
STATUS = "document.getElementById('status').textContent"
DROP = """
(() => {
  const data = new DataTransfer();
  for (const [name, content] of FILES) data.items.add(new File([Uint8Array.from(atob(content), one => one.charCodeAt(0))], name));
  KIND === 'paste' ? dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))
    : document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
})()
"""
CSV = """
new Promise(found => {
  const whole = URL.createObjectURL;
  URL.createObjectURL = blob => { blob.text().then(found); URL.createObjectURL = whole; return whole(blob); };
  document.getElementById('csv').click();
})
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(doubting_model: Path, exported: Callable[[str], Path]) -> Iterator[str]:
    with serving(doubting_model, exported("tiny_float32"), "--rate", "0") as (found, _):
        yield found


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def give(browser: Browser, files: dict[str, bytes], kind: str = "drop") -> None:
    listed = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    browser.value(DROP.replace("FILES", json.dumps(listed)).replace("KIND", json.dumps(kind)))


def answered(browser: Browser, count: int) -> None:
    browser.until(f"{STATUS} === '{count} of {count} answered'")


def test_dropped_images_are_answered_with_map_doubt_and_a_second_opinion(browser: Browser, address: str) -> None:
    browser.open(address, 1400)
    browser.until(READY)
    assert browser.value("document.getElementById('table').hidden")
    give(browser, {"one.png": encoded(1)})
    answered(browser, 1)
    card = browser.value("document.querySelector('article').innerText")
    assert "one.png" in card
    assert "unlike the training images" in card
    assert "uncertain: " in card
    assert "evidence by class map" in card
    assert card.count("threshold of hemorrhage") == 2  # both models
    plain = browser.until(
        "document.querySelector('canvas').width === 32 && document.querySelector('canvas').toDataURL()"
    )
    browser.value(
        "(() => { const one = document.getElementById('strength'); one.value = 0; one.dispatchEvent(new Event('input')); })()"
    )
    time.sleep(0.3)
    assert browser.value("document.querySelector('canvas').toDataURL()") != plain
    assert browser.value("document.querySelector('canvas').getAttribute('aria-label')").endswith("with its evidence")
    assert browser.errors == []
    assert all(url.startswith((address, "blob:")) for url in browser.requests)


def test_a_file_without_its_feature_map_shows_evidence_when_asked(
    browser: Browser, exported: Callable[[str], Path]
) -> None:
    with serving(exported("tiny_int8"), "--rate", "0") as (address, _):
        browser.open(address, 1400)
        browser.until(READY)
        give(browser, {"one.png": encoded(1)})
        answered(browser, 1)
        assert "evidence by" not in browser.value("document.querySelector('article').innerText")
        browser.value("document.querySelector('article button').click()")
        browser.until("document.querySelector('article').innerText.includes('evidence by occlusion')")
        assert browser.value("document.querySelector('article button')") is None


def test_several_images_become_a_table_and_a_csv(browser: Browser, address: str) -> None:
    browser.open(address, 1400)
    browser.until(READY)
    give(browser, {"a.png": encoded(1), '=cmd|"x".png': encoded(2), "notes.txt": b"no picture"})
    answered(browser, 3)
    give(browser, {"pasted.png": encoded(3)}, "paste")
    answered(browser, 4)
    assert browser.value("document.querySelectorAll('#table tbody tr').length") == 4
    assert "expected an image file" in browser.value("document.querySelector('#table').innerText")
    rows = list(csv.DictReader(io.StringIO(browser.value(CSV))))
    assert len(rows) == 2 * 3 + 1
    assert {row["model"] for row in rows if row["model"]} == {"doubting.tflite", "tiny_float32.tflite"}
    first = rows[0]
    assert float(first["p_normal"]) + float(first["p_hemorrhage"]) == pytest.approx(1, abs=0.01)
    assert first["familiar"] == "no"
    assert [row["image"] for row in rows if row["image"].startswith("'=")] == ['\'=cmd|"x".png'] * 2
    assert "expected an image file" in rows[-2]["error"] or any(
        "expected an image file" in row["error"] for row in rows
    )
    browser.value("document.getElementById('clear').click()")
    assert browser.value("document.querySelectorAll('article').length") == 0


def test_images_are_chosen_by_the_keyboard_alone(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.open(address, 1400)
    browser.until(READY)
    (tmp_path / "scan.png").write_bytes(encoded(4))
    for _ in range(6):
        browser.ask("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if browser.value("document.activeElement.id") == "files":
            break
    assert browser.value("document.activeElement.id") == "files"
    label = "getComputedStyle(document.querySelector('label[for=files]')).outlineStyle"
    assert browser.value(label) == "solid"  # what has the focus is seen
    browser.ask("Page.setInterceptFileChooserDialog", enabled=True)
    browser.events.clear()
    # A file dialog opens for a key alone.
    browser.ask(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
    )
    browser.ask("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.wait_for("Page.fileChooserOpened")
    opened = next(event for event in browser.events if event["method"] == "Page.fileChooserOpened")
    browser.ask(
        "DOM.setFileInputFiles", files=[str(tmp_path / "scan.png")], backendNodeId=opened["params"]["backendNodeId"]
    )
    answered(browser, 1)
    assert "scan.png" in browser.value("document.querySelector('article').innerText")


BUTTONS_ARE_LARGE = """
[...document.querySelectorAll('button, .button')].filter(one => one.checkVisibility())
  .every(one => one.getBoundingClientRect().height >= 24)
"""


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_screen(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width)
    browser.until(READY)
    give(browser, {f"{'long' * 30}-{number}.png": encoded(number) for number in range(3)})
    answered(browser, 3)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(BUTTONS_ARE_LARGE)


def test_a_token_is_asked_for_and_taken_from_behind_the_hash(browser: Browser, exported: Callable[[str], Path]) -> None:
    token = "a-token-of-this-test"
    with serving(exported("tiny_int8"), MSTL_EDGE_TOKEN=token) as (address, _):
        browser.open(address, 1400)
        browser.until("!document.getElementById('entrance').hidden")
        browser.value(
            f"document.getElementById('token').value = '{token}'; document.querySelector('#entrance button').click()"
        )
        browser.until(READY)
        browser.value("sessionStorage.clear()")
        browser.open("about:blank", 1400)
        browser.open(f"{address}#token={token}", 1400)
        browser.until(READY)
        assert browser.value("location.hash") == ""
        give(browser, {"a.png": encoded(1)})
        answered(browser, 1)
