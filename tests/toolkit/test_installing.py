"""What installs an extra depends on where the package came from, and works from any folder."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from mstl_edge.installing import install_extra


@pytest.fixture
def came_from(monkeypatch: pytest.MonkeyPatch):
    """Let the installer have recorded something."""

    def record(text: str | None) -> None:
        class Distribution:
            def read_text(self, name: str) -> str | None:
                assert name == "direct_url.json"
                return text

        monkeypatch.setattr(metadata, "distribution", lambda _: Distribution())

    return record


def test_a_checkout_is_named_and_stays_editable(came_from, tmp_path: Path) -> None:
    place = tmp_path / "my checkout"
    place.mkdir()
    came_from(json.dumps({"url": place.as_uri(), "dir_info": {"editable": True}}))
    assert install_extra("train") == f"pip install -e '{place}[train]'"
    came_from(json.dumps({"url": place.as_uri(), "dir_info": {}}))
    assert install_extra("train") == f"pip install '{place}[train]'"


def test_a_wheel_is_named_by_its_path(came_from, tmp_path: Path) -> None:
    wheel = tmp_path / "mstl_edge-0.1.0-py3-none-any.whl"
    wheel.touch()
    came_from(json.dumps({"url": wheel.as_uri(), "archive_info": {}}))
    assert install_extra("train") == f"pip install '{wheel}[train]'"


@pytest.mark.parametrize(
    ("recorded", "place"),
    [
        ({"url": "https://a.example/w.whl", "archive_info": {}}, "https://a.example/w.whl"),
        (
            {"url": "https://a.example/r.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://a.example/r.git@abc",
        ),
    ],
)
def test_what_came_over_the_network_comes_so_again(came_from, recorded: dict[str, object], place: str) -> None:
    came_from(json.dumps(recorded))
    assert install_extra("train") == f"pip install 'mstl-edge[train] @ {place}'"


@pytest.mark.parametrize("text", [None, "", "{", '{"url": "file:///no/such/folder", "dir_info": {"editable": true}}'])
def test_where_nothing_is_recorded_or_left_both_ways_are_named(came_from, text: str | None) -> None:
    came_from(text)
    assert "'.[train]' in a checkout" in install_extra("train")
    assert ".whl[train]'" in install_extra("train")


def test_a_package_that_was_never_installed_has_no_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", unknown)
    assert ".whl[train]'" in install_extra("train")
