"""The zip behind the flatbuffer: stored entries with fixed timestamps, as the TFLite convention for associated files has it.

`unzip -l model.tflite` and Python's zipfile read it; interpreters stop reading where the flatbuffer ends.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping

from mstl_edge.errors import ArtifactError

MAX_ENTRIES = 64
MAX_ENTRY_BYTES = 16 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class _Tail(io.BytesIO):
    """Bytes that will stand at `start` of a file, so that zipfile writes offsets from the file's beginning."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self._start = start

    def tell(self) -> int:
        return super().tell() + self._start

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(position - self._start if whence == io.SEEK_SET else position, whence) + self._start


def zip_tail(start: int, entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of `entries`, in their order, to stand at byte `start` of a file; equal input gives equal bytes."""
    target = _Tail(start)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, content)
    return target.getvalue()


def split_entries(content: bytes) -> tuple[int, dict[str, bytes]]:
    """Return the length of the flatbuffer and the entries of the zip behind it (none where there is no zip).

    Nothing is unpacked on trust: entries must be stored, as large as they say, lie inside the file without overlap, and have
    relative names, and their checksums must hold.

    Raises:
        ArtifactError: The zip is damaged, lies, or is one that would expand.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, struct.error, OverflowError, NotImplementedError) as error:
        # No end-of-archive record is simply no zip; one that leads nowhere is damage.
        if zipfile.is_zipfile(io.BytesIO(content)):
            raise _bad_zip(str(error)) from error
        return len(content), {}
    with archive:
        infos = archive.infolist()
        start = _checked_start(infos, len(content))
        entries: dict[str, bytes] = {}
        for info in infos:
            try:
                entries[info.filename] = archive.read(info)
            except (
                zipfile.BadZipFile,
                EOFError,
                ValueError,
                RuntimeError,
                NotImplementedError,
                struct.error,
                OSError,
            ) as error:
                raise _bad_zip(str(error) or "an entry that ends early") from error
    return start, entries


def _checked_start(infos: list[zipfile.ZipInfo], file_bytes: int) -> int:
    """Check the directory before an entry is read; return where the zip begins."""
    if not 1 <= len(infos) <= MAX_ENTRIES:
        raise _bad_zip(f"{len(infos)} entries, 1 to {MAX_ENTRIES} expected")
    if len({info.filename for info in infos}) != len(infos):
        raise _bad_zip("two entries of one name")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if not _SAFE_NAME.fullmatch(info.filename) or info.orig_filename != info.filename:
            raise _bad_zip(f"an entry named {info.orig_filename[:80]!r}, which is no plain relative name")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise _bad_zip(f"{info.filename} is compressed or encrypted; entries are stored as they are")
        if info.file_size != info.compress_size or info.file_size > MAX_ENTRY_BYTES:
            raise _bad_zip(f"{info.filename} says it has {info.file_size:,} bytes and stores {info.compress_size:,}")
        if info.header_offset < max(end, 8) or info.header_offset + 30 + info.file_size > file_bytes:
            raise _bad_zip(f"{info.filename} lies over another part of the file or outside it")
        end = info.header_offset + 30 + len(info.orig_filename) + info.file_size
    return min(info.header_offset for info in infos)


def _bad_zip(what: str) -> ArtifactError:
    return ArtifactError(
        "a model file whose appended zip holds", received=what, hint="Copy or export it again: 'mstl-edge export'."
    )
