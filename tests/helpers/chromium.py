"""A headless Chromium, told by DevTools messages over a pipe, so that nothing has to be installed beside the browser."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("MSTL_EDGE_CHROMIUM") or next(
    (found for name in NAMES if (found := shutil.which(name))), None
)
WITHOUT = f"none of {', '.join(NAMES)} was found; MSTL_EDGE_CHROMIUM may name one"
PATIENCE_SECONDS = 60


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
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Return what an expression is in the page, once it is anything but false."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            if found := self.value(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never came: {expression}; the page says: {self.value('document.body.innerText')}")

    def open(self, page: Path | str, width: int) -> None:
        """Load a file or an address at a width; what it does is in `events` afterwards."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 640)
        self.events.clear()
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
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


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile lies in `folder`, and end it."""
    assert CHROMIUM is not None
    read_by_browser, to_browser = map(_above_nine, os.pipe())
    from_browser, written_by_browser = map(_above_nine, os.pipe())
    start = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
    flags = (
        "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else []),
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
