from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mstl_edge.data.files.walk import EMPTY, LeftOut, Unreadable, may_be_image, walk
from mstl_edge.data.sources import open_source
from mstl_edge.errors import DataError, printable


def files(root: Path) -> list[str]:
    return [entry for entry in walk(root) if isinstance(entry, str)]


def aside(root: Path) -> dict[str, str]:
    return {entry.name: entry.reason for entry in walk(root) if not isinstance(entry, str)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.png", "a/2.png", "a/1.png", "a/deep/3.png", "c/4.png"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(b"x")
    return tmp_path / "tree"


def test_names_are_sorted_within_a_folder_and_its_files_come_before_its_subfolders(tree):
    assert files(tree) == ["b.png", "a/1.png", "a/2.png", "a/deep/3.png", "c/4.png"]


def test_links_that_lead_back_do_not_make_the_walk_endless_and_are_named(tree):
    for link in ("a/up", "c/up", "a/deep/up"):
        (tree / link).symlink_to("..")
    (tree / "a" / "top").symlink_to("/")
    assert files(tree) == ["b.png", "a/1.png", "a/2.png", "a/deep/3.png", "c/4.png"]
    told = aside(tree)
    assert told["a/up/"] == told["c/up/"] == "leads to the folder itself, which was read already"
    assert told["a/deep/up/"] == "leads to a/, which was read already"
    assert told["a/top/"] == "leads to /, which was read already"


def test_a_linked_folder_is_read_once_and_a_folder_keeps_its_own_name(tree, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "5.png").write_bytes(b"x")
    (tree / "a" / "first").symlink_to("../c")
    (tree / "z1").symlink_to(tmp_path / "elsewhere")
    (tree / "z2").symlink_to(tmp_path / "elsewhere")
    assert files(tree) == ["b.png", "a/1.png", "a/2.png", "a/deep/3.png", "c/4.png", "z1/5.png"]
    assert aside(tree) == {
        "a/first/": "leads to c/, which was read already",
        "z2/": "leads to z1/, which was read already",
    }


def test_only_regular_files_are_files(tree):
    os.mkfifo(tree / "pipe.png")
    (tree / "zero.png").symlink_to("/dev/null")
    (tree / "status.png").symlink_to("/proc/self/status")
    (tree / "proc").symlink_to("/proc")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(tree / "socket.png"))
    told = aside(tree)
    assert told["pipe.png"] == "a named pipe, no file"
    assert told["zero.png"] == "a device, no file"
    assert told["socket.png"] == "a socket, no file"
    assert "operating system" in told["status.png"]
    assert "operating system" in told["proc/"]
    assert len(files(tree)) == 5


def test_links_to_nowhere_and_to_themselves_are_unreadable(tree):
    (tree / "dead.png").symlink_to("gone.png")
    (tree / "loop.png").symlink_to("loop.png")
    assert [entry for entry in walk(tree) if isinstance(entry, Unreadable)] == [
        Unreadable("dead.png", "a link to a file that is not there"),
        Unreadable("loop.png", os.strerror(40)),
    ]


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "Thumbs.db", "._1.png", "__MACOSX/a.png", ".ipynb_checkpoints/a.png", "System Volume Information/x.dat",
     "desktop.ini", "@eaDir/a.png/SYNOFILE_THUMB_M.png", "$RECYCLE.BIN/a.png", "lost+found/a.png"],
)  # fmt: skip
def test_what_systems_leave_behind_is_left_out(tree, name):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_bytes(b"x")
    assert len(files(tree)) == 5
    assert list(aside(tree).values()) == ["hidden, or left behind by a system"]


def test_a_folder_that_cannot_be_looked_into_is_named(tree, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert Unreadable("a/deep/", "Permission denied") in list(walk(tree))
    assert "a/2.png" in files(tree)


def test_empty_folders_are_named(tree):
    (tree / "nothing").mkdir()
    assert LeftOut("nothing/", EMPTY) in list(walk(tree))


def test_what_may_be_an_image_is_whatever_is_no_document():
    assert all(map(may_be_image, ("a.png", "a.JPE", "b.jfif", "IM000001", "1.2.840.113619.2", "c.dcm", "d.nii.gz")))
    assert not any(map(may_be_image, ("a.txt", "b.CSV", "README.md", "LICENSE", "x.json", "y.zip")))


def test_names_are_shown_on_one_line_and_in_utf8():
    assert printable("Schädel (1).png") == "Schädel (1).png"
    assert printable(os.fsdecode(b"Sch\xe4del.png")) == r"Sch\xe4del.png"
    assert printable("a\nb\u2028c.png") == r"a\nb\u2028c.png"


def test_a_file_whose_name_is_not_utf8_is_unreadable_and_a_class_of_them_is_refused(two_classes):
    odd = os.fsdecode(b"Sch\xe4del.png")
    (two_classes / "cat" / "p00_0.png").rename(two_classes / "cat" / odd)
    source = open_source(str(two_classes))
    assert source.unreadable == (Unreadable(r"cat/Sch\xe4del.png", "a name that is not UTF-8"),)
    assert len(source.images) == 23
    (two_classes / "dog").rename(two_classes / os.fsdecode(b"d\xf6g"))
    with pytest.raises(DataError, match=r"files of class d\\xf6g that can be used.*convmv"):
        open_source(str(two_classes))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a" * 300, "File name too long"),
        ("a\0b", "null byte"),
        (os.fsdecode(b"M\xe4r"), r"Received: M\\xe4r"),
        ("/dev/null", "a device"),
    ],
)
def test_a_path_that_cannot_be_a_source_is_one_clear_line(tmp_path, path, reason):
    with pytest.raises(DataError, match=reason) as caught:
        open_source(path)
    assert "\n" not in str(caught.value)


def test_what_is_lost_beside_a_folder_that_is_stepped_into_is_named_and_is_no_class(two_classes, tmp_path):
    (tmp_path / "outer").mkdir()
    two_classes.rename(tmp_path / "outer" / "pets")
    (tmp_path / "outer" / "dead.png").symlink_to("nowhere")
    (tmp_path / "outer" / "gone").symlink_to("gone")
    source = open_source(str(tmp_path / "outer"))
    assert source.labels == ("cat", "dog")
    assert [entry.name for entry in source.unreadable] == ["../dead.png", "../gone"]
    (tmp_path / "outer" / "pets" / "bird").mkdir()
    (tmp_path / "outer" / "pets" / "bird" / "dead.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"files of class bird that can be used.*Bring them back"):
        open_source(str(tmp_path / "outer"))


def test_a_root_in_which_proc_is_a_plain_folder_hides_no_file(tmp_path, picture, monkeypatch):
    """Seen in an emulated userland: `/proc` lay on the disk of everything else, and no image was found."""
    for name in ("proc", "sys"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("mstl_edge.data.files.walk._KERNEL", (str(tmp_path / "proc"), str(tmp_path / "sys")))
    monkeypatch.setattr("mstl_edge.data.files.walk._DISK", (str(tmp_path),))
    picture(tmp_path / "scans" / "a.png", 1)
    assert [entry for entry in walk(tmp_path / "scans") if isinstance(entry, str)] == ["a.png"]
