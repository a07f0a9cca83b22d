from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstl_edge.preprocess import UnreadableImageError, heard, load_image
from mstl_edge.preprocess.hearing import LONGEST_REMARK, MOST_REMARKS, remark
from mstl_edge.recipe import PreprocessSpec

SPEC = PreprocessSpec()
LOAD = """
import sys
from pathlib import Path
from mstl_edge.preprocess import UnreadableImageError, load_image
from mstl_edge.recipe import PreprocessSpec
for path in sys.argv[1:]:
    try:
        load_image(Path(path), 32, PreprocessSpec())
        print("read")
    except UnreadableImageError as error:
        print(error.reason)
"""


def damaged_tiff(saved, compression: str = "tiff_lzw") -> bytes:
    levels = np.random.default_rng(0).integers(0, 60_000, (64, 64)).astype(np.uint16)
    content = bytearray(saved(Image.fromarray(levels), "TIFF", compression=compression))
    content[300:400] = b"\xff" * 100
    return bytes(content)


def remarkable_tiff(tiff) -> bytes:
    levels = np.random.default_rng(0).integers(0, 60_000, (16, 16)).astype(np.uint16)
    return tiff(levels, tags={305: (5, b"aaaa")})


def test_what_pillow_warns_of_is_heard_and_not_shown(tiff, recwarn):
    with heard() as remarks:
        load_image(remarkable_tiff(tiff), 16, SPEC)
    assert remarks == ["Truncated File Read"]
    assert not recwarn.list


def test_a_users_own_filters_do_not_silence_or_raise_what_is_heard(tiff):
    for action in ("error", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            with heard() as remarks:
                load_image(remarkable_tiff(tiff), 16, SPEC)
        assert remarks == ["Truncated File Read"]


def test_listening_leaves_warnings_and_logging_as_they_were(tiff):
    before = (warnings.showwarning, list(warnings.filters), list(logging.getLogger("PIL").handlers))
    load_image(remarkable_tiff(tiff), 16, SPEC)
    assert before == (warnings.showwarning, list(warnings.filters), list(logging.getLogger("PIL").handlers))


def test_what_libtiff_says_is_part_of_the_files_error(saved, capfd):
    with pytest.raises(UnreadableImageError, match="Using code not yet in table"):
        load_image(damaged_tiff(saved), 32, SPEC)
    with pytest.raises(UnreadableImageError, match="ZIPDecode: Decoding error at scanline 0"):
        load_image(damaged_tiff(saved, "tiff_adobe_deflate"), 32, SPEC)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stderr", ["piped", "closed"])
def test_nothing_is_said_on_standard_error_even_where_it_is_closed(saved, tiff, tmp_path: Path, stderr):
    (tmp_path / "damaged.tif").write_bytes(damaged_tiff(saved))
    (tmp_path / "remarkable.tif").write_bytes(remarkable_tiff(tiff))
    redirect = "2>&-" if stderr == "closed" else "2>said.txt"
    command = f'exec "$0" -c "$1" damaged.tif remarkable.tif {redirect}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, LOAD],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert done.stdout.splitlines() == ["decoder error -2; Using code not yet in table", "read"]
    if stderr == "piped":
        assert (tmp_path / "said.txt").read_text() == ""


def test_each_thread_hears_its_own_file(saved, tiff, capfd):
    contents = [damaged_tiff(saved), remarkable_tiff(tiff), damaged_tiff(saved, "tiff_adobe_deflate")] * 20
    expected = ["code not yet in table", "Truncated File Read", "ZIPDecode"] * 20

    def listen(content: bytes) -> list[str]:
        with heard() as remarks, suppress(UnreadableImageError):
            load_image(content, 32, SPEC)
        return remarks

    with ThreadPoolExecutor(6) as pool:
        for remarks, part in zip(pool.map(listen, contents), expected, strict=True):
            assert len(remarks) == 1
            assert part in remarks[0]
    assert capfd.readouterr().err == ""


def test_a_thread_that_does_not_listen_warns_as_before():
    shown: list[str] = []

    def warn() -> None:
        warnings.warn("of another matter", UserWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with heard() as remarks:
            other = threading.Thread(target=warn)
            other.start()
            other.join()
        shown.extend(str(warning.message) for warning in caught)
    assert shown == ["of another matter"]
    assert remarks == []


def test_remarks_are_few_short_and_on_one_line():
    with heard() as outer, heard() as remarks:
        remark("two\nlines\x1b[31m and a tail" + "x" * 1000)
        for number in range(100):
            remark(f"remark {number % 50}")
    assert len(remarks) == MOST_REMARKS
    assert outer == remarks
    assert remarks[0].startswith("two lines [31m and a tail")
    assert len(remarks[0]) == LONGEST_REMARK
    remark("said to nobody")
