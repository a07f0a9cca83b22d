"""`mstl-edge doctor`: what works here, said in words, with what to type where it does not."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest

import mstl_edge

ROOT = Path(__file__).parents[2]


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let some packages be not installed, as far as their metadata tell."""
    version = importlib.metadata.version

    def told(name: str) -> str:
        if name in names:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", told)


def test_the_version_is_printed(mstl_edge):
    from mstl_edge import __version__

    ended = mstl_edge("--version")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, f"mstl-edge {__version__}\n", "")


def test_the_version_is_that_of_the_package():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert mstl_edge.__version__ == told


def test_what_works_here_ends_with_a_verdict(mstl_edge):
    ended = mstl_edge("doctor")
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert lines[-1] == "verdict: models run here, and training works"
    told = [line.split()[:4] for line in lines]
    assert ["predict,", "bench,", "inspect", "yes"] in told
    assert any(line.startswith("cache ") and " of 50 GB used" in line for line in lines)


def test_the_json_has_the_machine_the_packages_and_every_extra(mstl_edge):
    tree = json.loads(mstl_edge("doctor", "--json").stdout)
    assert tree["schema"] == "mstl-edge/doctor/1"
    assert (tree["works"], tree["trains"]) == (True, True)
    assert tree["host"]["cores"] >= 1
    assert tree["packages"]["msgspec"]
    assert {check["name"] for check in tree["checks"]} >= {"cache", "kaggle: data", "ImageNet weights", "stdout"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [extra["name"] for extra in tree["extras"]] == list(extras)
    train = tree["extras"][0]
    assert train["packages"]["tensorflow"]
    assert train["unmet"] == []
    assert all(f"[{extra['name']}]" in extra["command"] for extra in tree["extras"])


def test_a_device_without_tensorflow_works_and_is_told_what_training_takes(mstl_edge, monkeypatch):
    without(monkeypatch, "tensorflow", "scipy")
    ended = mstl_edge("doctor")
    assert ended.exit_code == 0
    last = ended.stdout.splitlines()[-1]
    assert last.startswith(
        "verdict: models run here; training does not: lacks scipy>=1.13, tensorflow<2.22,>=2.21. Install"
    )
    assert last.endswith("[train]'")


def test_without_a_runtime_the_exit_code_is_1_and_the_verdict_says_what_to_type(mstl_edge, monkeypatch):
    monkeypatch.setattr("mstl_edge.runtime.choice.installed", lambda kind: False)
    for arguments in ((), ("--json",)):
        assert mstl_edge("doctor", *arguments).exit_code == 1
    last = mstl_edge("doctor").stdout.splitlines()[-1]
    assert last == "verdict: no model runs here: none installed. Install one: pip install ai-edge-litert."


def test_a_runtime_that_does_not_import_is_none(mstl_edge, monkeypatch):
    import importlib

    import_module = importlib.import_module

    def broken(name: str, *rest: object):
        if name.startswith("ai_edge_litert"):
            raise ImportError("libfoo.so.1: cannot open shared object file")
        return import_module(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)
    monkeypatch.setattr("mstl_edge.runtime.choice.usable", lambda kind: kind == "litert")
    ended = mstl_edge("doctor")
    assert ended.exit_code == 1
    assert "no model runs here: libfoo.so.1: cannot open shared object file. Install it: pip install" in ended.stdout


def test_a_cache_that_cannot_be_written_is_said(mstl_edge, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MSTL_EDGE_CACHE", str(tmp_path / "file"))
    checks = {check["name"]: check for check in json.loads(mstl_edge("doctor", "--json").stdout)["checks"]}
    assert checks["cache"] == {
        "name": "cache", "works": False, "told": str(tmp_path / "file"), "hint": "Set MSTL_EDGE_CACHE to one that can."
    }  # fmt: skip


def test_imagenet_weights_are_found_where_keras_keeps_them(mstl_edge, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "ImageNet weights: Keras downloads a file at the first use" in mstl_edge("doctor").stdout
    (tmp_path / ".keras" / "models").mkdir(parents=True)
    (tmp_path / ".keras" / "models" / "mobilenet_2_5_224_tf_no_top.h5").write_bytes(b"")
    checks = {check["name"]: check for check in json.loads(mstl_edge("doctor", "--json").stdout)["checks"]}
    assert checks["ImageNet weights"]["told"] == f"{tmp_path}/.keras/models: mobilenet_2_5_224_tf_no_top.h5"
