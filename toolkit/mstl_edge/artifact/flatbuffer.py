"""Read a `.tflite` flatbuffer without trusting a byte of it.

The interpreters map a model and follow its offsets unchecked, so that a flipped byte can end the process. Everything
an interpreter would follow is walked here first, each offset against the length of the file, and the model's own
cross-references (tensor, buffer and operator numbers, sizes, strides) are checked for sense. It needs no
generated schema, which only LiteRT ships. Field numbers: `schema.fbs` of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.errors import ArtifactError

IDENTIFIER = b"TFL3"
MAX_BYTES = 2**31 - 1
"""Flatbuffer offsets are 32 bits, and vectors are signed."""
MAX_TABLES = 200_000
"""A model of a thousand layers has some ten thousand; beyond this, somebody wants us to count for hours."""


def damaged(what: str) -> ArtifactError:
    """Return the error for a flatbuffer that does not hold together."""
    return ArtifactError("a whole .tflite file", received=what, hint="Copy or export it again: 'mstl-edge export'.")


class Table:
    """One table of a flatbuffer; every read is checked against the end of the bytes.

    Raises:
        ArtifactError: From any method, when an offset or a length points outside.
    """

    __slots__ = ("_content", "_fields", "_inline_bytes", "_reader", "position")

    def __init__(self, reader: Reader, position: int) -> None:
        reader.count_table()
        self._reader = reader
        self._content = reader.content
        self.position = position
        vtable = position - reader.number("<i", position, 4)
        if vtable < 0 or vtable % 2:
            raise damaged("a table whose layout lies outside the file")
        vtable_bytes = reader.number("<H", vtable, 2)
        self._inline_bytes = reader.number("<H", vtable + 2, 2)
        if vtable_bytes < 4 or vtable_bytes % 2 or self._inline_bytes < 4:
            raise damaged("a table with an impossible layout")
        reader.need(vtable, vtable_bytes)
        reader.need(position, self._inline_bytes)
        self._fields = struct.unpack_from(f"<{(vtable_bytes - 4) // 2}H", self._content, vtable + 4)
        if any(offset and (offset < 4 or offset >= self._inline_bytes) for offset in self._fields):
            raise damaged("a table with a field outside itself")

    def _place(self, field: int, size: int) -> int:
        """Return where `field` is stored, or 0 where it is absent (its default)."""
        offset = self._fields[field] if field < len(self._fields) else 0
        if not offset:
            return 0
        if offset + size > self._inline_bytes:
            raise damaged("a table with a field outside itself")
        return int(self.position + offset)

    def scalar(self, field: int, form: str, default: int = 0) -> int:
        """Return a number by its `struct` form, for example `i` for int32."""
        size = struct.calcsize(f"<{form}")
        place = self._place(field, size)
        return self._reader.number(f"<{form}", place, size) if place else default

    def table(self, field: int) -> Table | None:
        """Return a nested table, None where it is absent."""
        place = self._place(field, 4)
        return Table(self._reader, self._reader.follow(place)) if place else None

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        place = self._place(field, 4)
        if not place:
            return
        start, count = self._reader.vector(place, 4)
        for number in range(count):
            yield Table(self._reader, self._reader.follow(start + 4 * number))

    def array(self, field: int, dtype: str) -> NDArray[Any]:
        """Return a vector of numbers as a view on the file's bytes; empty where it is absent."""
        kind = np.dtype(dtype)
        place = self._place(field, 4)
        if not place:
            return np.empty(0, kind)
        start, count = self._reader.vector(place, kind.itemsize)
        return np.frombuffer(self._content, kind, count, start)

    def text(self, field: int) -> str:
        """Return a string; empty where it is absent."""
        raw = self.array(field, "u1").tobytes()
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged(f"the name {raw[:40]!r}, which is no text") from error


class Reader:
    """The bytes of one flatbuffer, and how many tables were opened in them."""

    def __init__(self, content: bytes) -> None:
        if len(content) < 8 or content[4:8] != IDENTIFIER:
            raise ArtifactError(
                f"a .tflite file (bytes 4 to 8 are {IDENTIFIER.decode()})",
                received=f"{len(content):,} bytes, {content[4:8]!r} there" if content else "an empty file",
                hint="Export one with 'mstl-edge export'.",
            )
        if len(content) > MAX_BYTES:
            raise damaged(f"{len(content):,} bytes, more than a flatbuffer can hold")
        self.content = content
        self._tables = 0

    def root(self) -> Table:
        """Return the outermost table."""
        return Table(self, self.follow(0))

    def count_table(self) -> None:
        """Count one more table."""
        self._tables += 1
        if self._tables > MAX_TABLES:
            raise damaged(f"more than {MAX_TABLES:,} tables")

    def need(self, start: int, size: int) -> None:
        """Check that `size` bytes from `start` lie inside."""
        if start < 0 or start + size > len(self.content):
            raise damaged("an offset beyond the end (a truncated file?)")

    def number(self, form: str, place: int, size: int) -> int:
        """Return one integer at `place`."""
        self.need(place, size)
        value: int = struct.unpack_from(form, self.content, place)[0]
        return value

    def follow(self, place: int) -> int:
        """Return where the unsigned offset at `place` leads."""
        target = place + self.number("<I", place, 4)
        self.need(target, 4)
        return target

    def vector(self, place: int, item_bytes: int) -> tuple[int, int]:
        """Return start and length of the vector that the offset at `place` leads to."""
        head = self.follow(place)
        count = self.number("<I", head, 4)
        self.need(head + 4, count * item_bytes)
        return head + 4, count
