"""An extra is installed from where this package came from, since no index has it."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from mstl_edge.installing import install_extra


@pytest.mark.parametrize(
    ("made", "facts", "command"),
    [
        ("my checkout", {"dir_info": {"editable": True}}, "pip install -e '{place}[train]'"),
        ("my checkout", {"dir_info": {}}, "pip install '{place}[train]'"),
        ("mstl_edge-0.1.0-py3-none-any.whl", {"archive_info": {}}, "pip install '{place}[train]'"),
        ("", {"archive_info": {}}, "pip install '.[train]' in a checkout, or pip install './mstl_edge-"),
    ],
)
def test_the_checkout_or_the_wheel_is_named_where_it_is_still_there(monkeypatch, tmp_path, made, facts, command):
    place = tmp_path / (made or "gone.whl")
    if made:
        place.mkdir()

    class Made:
        @staticmethod
        def read_text(name: str) -> str:
            assert name == "direct_url.json"
            return json.dumps({"url": place.as_uri(), **facts})

    monkeypatch.setattr(metadata, "distribution", lambda name: Made)
    assert install_extra("train").startswith(command.format(place=place))


def test_a_repository_is_named_with_its_revision(monkeypatch):
    class Made:
        @staticmethod
        def read_text(name: str) -> str:
            return json.dumps({"url": "https://host/x.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}})

    monkeypatch.setattr(metadata, "distribution", lambda name: Made)
    assert install_extra("train") == "pip install 'mstl-edge[train] @ git+https://host/x.git@ab12'"


def test_without_a_record_checkout_and_wheel_are_both_named(monkeypatch):
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert "'.[train]' in a checkout" in install_extra("train")
    assert ".whl[train]'" in install_extra("train")
