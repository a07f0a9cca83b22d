"""The zip behind the flatbuffer: stored entries with fixed timestamps, as the TFLite convention for associated files has it.

`unzip -l model.tflite` and Python's zipfile read it; interpreters stop reading where the flatbuffer ends. Other programs may
add entries and comments of their own, or write the zip anew in another order: what is ours in it is found and checked all the same.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping

from mstl_edge.artifact.doubt import CHANGED_FILE, FAMILIARITY_FILE
from mstl_edge.errors import ArtifactError

MAX_ENTRIES = 64
MAX_ENTRY_BYTES = 16 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
CARD_FILE = "card.json"
LABELS_FILE = "labels.txt"
_ENTRIES = "|".join(map(re.escape, (CARD_FILE, LABELS_FILE, FAMILIARITY_FILE, CHANGED_FILE)))
_OURS = re.compile(rf"{_ENTRIES}|golden/[0-9]+\.png")
_LOCAL_RECORD = struct.Struct("<4s5H3I2H")
_END_RECORD = struct.Struct("<4s4H2IH")
_DIRECTORY_BYTES, _LENGTHS_AT, _LENGTHS = 46, 28, struct.Struct("<3H")
_STREAMED, _ENCRYPTED = 0x8, 0x1
_INFO_ZIP = 30
"""The version that Info-ZIP 3 signs with; it marks entries that look like text, so that these differ from images."""


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
    """Return the length of the flatbuffer and our entries of the zip behind it, by name (none where there is no card).

    Nothing is unpacked on trust: no entry may lie over another one or outside the file, or have a name that leads elsewhere. Ours
    must be stored, as large as they say, and agree in all that a zip says twice or of every one of them; their checksums must hold.
    Entries of others are passed over unread.

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
        _check_end(content, len(infos), archive.comment)
        start = _checked_start(infos, len(content))
        ours = [info for info in infos if _OURS.fullmatch(info.filename)]
        if all(info.filename != CARD_FILE for info in ours):
            return start, {}
        _check_ours(ours, content)
        return start, {info.filename: _read(archive, info) for info in ours}


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)
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


def _check_end(content: bytes, entries: int, comment: bytes) -> None:
    """The last record must end the file, and count the entries and bytes of one whole directory in front of it."""
    end = len(content) - _END_RECORD.size - len(comment)
    said = _END_RECORD.unpack_from(content, end) if end >= 0 else ()
    if said[:5] != (b"PK\x05\x06", 0, 0, entries, entries) or said[-1] != len(comment):
        raise _bad_zip("an end that does not fit it, or bytes behind the end")
    place = end - said[5]
    for _ in range(entries):
        if not 0 <= place <= end - _DIRECTORY_BYTES:
            break
        place += _DIRECTORY_BYTES + sum(_LENGTHS.unpack_from(content, place + _LENGTHS_AT))
    if place != end:
        raise _bad_zip("a directory that does not end where it says")


def _checked_start(infos: list[zipfile.ZipInfo], file_bytes: int) -> int:
    """Check the directory before an entry is read; return where the zip begins."""
    if not 1 <= len(infos) <= MAX_ENTRIES:
        raise _bad_zip(f"{len(infos)} entries, 1 to {MAX_ENTRIES} expected")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if _leads_elsewhere(info):
            raise _bad_zip(f"an entry named {info.orig_filename[:80]!r}, which is no plain relative name")
        if info.header_offset < max(end, 8) or info.header_offset + 30 + info.compress_size > file_bytes:
            raise _bad_zip(f"{info.filename} lies over another part of the file or outside it")
        end = info.header_offset + 30 + len(info.orig_filename) + info.compress_size
    return min(info.header_offset for info in infos)


def _leads_elsewhere(info: zipfile.ZipInfo) -> bool:
    name = info.orig_filename
    folder = name.endswith("/") and not info.file_size
    parts = (name[:-1] if folder else name).split("/")
    return (
        info.filename != name
        or not name.isprintable()
        or name.startswith("~")
        or any(character in name for character in "\\:")
        or any(part in ("", ".", "..") for part in parts)
    )


def _check_ours(ours: list[zipfile.ZipInfo], content: bytes) -> None:
    if len({info.filename for info in ours}) != len(ours):
        raise _bad_zip("two entries of one name")
    for info in ours:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            raise _bad_zip(f"{info.filename} is compressed or encrypted; entries are stored as they are")
        if info.file_size != info.compress_size or info.file_size > MAX_ENTRY_BYTES:
            raise _bad_zip(f"{info.filename} says it has {info.file_size:,} bytes and stores {info.compress_size:,}")
        if _LOCAL_RECORD.unpack_from(content, info.header_offset)[:-1] != _local_record(info):
            raise _bad_zip(f"{info.filename}, of which the zip says two different things")
        if info.volume or info.internal_attr not in ((0, 1) if info.create_version >= _INFO_ZIP else (0,)):
            raise _bad_zip(f"{info.filename} with attributes that no zip tool writes")
    # Said only once of each entry, but written by one tool: a damaged one stands out.
    if len({(info.create_version, info.create_system, info.external_attr) for info in ours}) > 1:
        raise _bad_zip("entries with different attributes")


def _local_record(info: zipfile.ZipInfo) -> tuple[object, ...]:
    """Return what stands in front of an entry if it repeats the directory, without the length of the extra field."""
    year, month, day, hour, minute, second = info.date_time
    sizes = (0, 0, 0) if info.flag_bits & _STREAMED else (info.CRC, info.compress_size, info.file_size)
    return (
        b"PK\x03\x04",
        info.extract_version | info.reserved << 8,
        info.flag_bits,
        info.compress_type,
        hour << 11 | minute << 5 | second // 2,
        (year - 1980) << 9 | month << 5 | day,
        *sizes,
        len(info.orig_filename.encode("utf-8")),
    )


def _bad_zip(what: str) -> ArtifactError:
    return ArtifactError(
        "a model file whose appended zip holds", received=what, hint="Copy or export it again: 'mstl-edge export'."
    )
