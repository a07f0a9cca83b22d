"""A request's one image, read into memory and nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mstl_edge.errors import printable
from mstl_edge.serve.limits import Held, Limits

FIELD = "image"
LONGEST_NAME = 200


class UploadError(Exception):
    """An upload that is none; `status` is what HTTP calls it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Upload:
    """The image's bytes, and what its sender calls it."""

    name: str
    content: bytes


@dataclass
class _Reading:
    """What the parser has met so far."""

    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    ours: bool = False
    found: int = 0
    name: str = "image"
    content: bytearray = field(default_factory=bytearray)

    def begun(self) -> None:
        self.ours = False

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self.value))
            self.ours = options.get(b"name") == FIELD.encode()
            if self.ours:
                self.found += 1
                given = options.get(b"filename", b"").decode("utf-8", "replace")
                self.name = printable(given.replace("\\", "/").rpartition("/")[2])[:LONGEST_NAME] or "image"
        self.header.clear()
        self.value.clear()

    def data(self, data: bytes, start: int, end: int) -> None:
        if self.ours:
            self.content += data[start:end]


async def read_upload(request: Request, limits: Limits, held: Held) -> Upload:
    """Return the one image of a multipart request.

    Raises:
        UploadError: It is no such request, too large, too slow, or was broken off.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UploadError(415, f"expected multipart/form-data with an image in the field {FIELD!r}")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.upload_bytes:
        raise _too_large(limits)
    reading = _Reading()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reading.begun,
                "on_header_field": reading.header_field,
                "on_header_value": reading.header_value,
                "on_header_end": reading.header_end,
                "on_part_data": reading.data,
            },
        )
        received = 0
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > limits.upload_bytes:
                    raise _too_large(limits)
                if not held.take(len(chunk)):
                    raise UploadError(503, "expected fewer images at once")
                parser.write(chunk)
        parser.finalize()
    except TimeoutError:
        raise UploadError(408, f"expected the image within {limits.upload_seconds:g} seconds") from None
    except ClientDisconnect:
        raise UploadError(400, "the upload was broken off") from None
    except (MultipartParseError, ValueError) as error:
        raise UploadError(400, f"expected multipart/form-data that is whole ({error})") from None
    if reading.found != 1:
        raise UploadError(400, f"expected one image in the field {FIELD!r}. Received: {reading.found}")
    if not reading.content:
        raise UploadError(400, "expected an image file with content. Received: 0 bytes")
    return Upload(reading.name, bytes(reading.content))


def _too_large(limits: Limits) -> UploadError:
    return UploadError(413, f"expected an image of at most {limits.upload_bytes / 1e6:g} MB")
