from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstl_edge.data.files.chosen import PassedOver, chosen_files
from mstl_edge.errors import DataError


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "b.jfif", "c.JPE", "IM0001", "scan.dcm", "notes.txt", "deep/d.png", "deep/Thumbs.db"):
        (tmp_path / "my scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "my scans" / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return Path("my scans")


def names(*named: str, passed_over: PassedOver | None = None) -> list[str]:
    return [path.as_posix() for path in chosen_files(named, passed_over)]


EVERY = ["IM0001", "a.png", "b.jfif", "c.JPE", "scan.dcm", "deep/d.png"]


def test_of_a_folder_every_file_is_taken_but_what_is_counted(scans):
    (scans / "deep" / "up").symlink_to("..")
    (scans / "linked").symlink_to("deep")
    (scans / "dead.png").symlink_to("nowhere")
    passed_over = PassedOver()
    found = names(str(scans), passed_over=passed_over)
    assert sorted(found) == sorted(f"my scans/{name}" for name in [*EVERY, "dead.png"])
    assert passed_over.lines() == [
        "passed over: 1 entry, no image by its name: notes.txt",
        "passed over: 1 entry, hidden, or left behind by a system: deep/Thumbs.db",
        "passed over: 1 entry, leads to deep/, which was read already: linked/",
        "passed over: 1 entry, leads to the folder itself, which was read already: deep/up/",
    ]


def test_a_folder_that_cannot_be_looked_into_is_taken_so_that_it_gets_its_error(scans, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "my scans/deep" in names(str(scans))


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("my scans/*.png", ["a.png"]),
        ("my scans/**/*.png", ["a.png", "deep/d.png"]),
        ("my scans/**", EVERY),
        ("my scans/**/?.[jp]*", ["a.png", "b.jfif", "deep/d.png"]),
        ("my */deep/*.png", ["deep/d.png"]),
        ("**/d.png", ["deep/d.png"]),
    ],
)
def test_globs_find_what_they_say(scans, glob, expected):
    assert names(glob) == [f"my scans/{name}" for name in expected]


def test_a_glob_over_folders_that_are_linked_in_a_circle_ends(scans):
    (scans / "up").symlink_to(".")
    (scans / "deep" / "up").symlink_to("..")
    assert names("my scans/**/*.png") == ["my scans/a.png", "my scans/deep/d.png"]


def test_a_glob_takes_no_pipe(scans):
    os.mkfifo(scans / "pipe.png")
    passed_over = PassedOver()
    assert names("my scans/*.png", passed_over=passed_over) == ["my scans/a.png"]
    assert passed_over.lines() == ["passed over: 1 entry, a named pipe, no file: my scans/pipe.png"]


def test_names_that_no_file_can_have_are_passed_on_to_get_their_error(scans):
    assert names("a" * 300, "missing.png", "~nobody9/x.png") == ["a" * 300, "missing.png", "~nobody9/x.png"]


def test_a_folder_without_images_says_what_lies_there_instead(scans):
    for name in ("IM0001", "a.png", "b.jfif", "c.JPE", "scan.dcm", "deep/d.png"):
        (scans / name).unlink()
    with pytest.raises(DataError, match=r"my scans, a folder without any; passed over: 1 entry, no image by its name"):
        names(str(scans))
