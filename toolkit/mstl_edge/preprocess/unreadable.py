"""The one error of a file that gives no image, and the one place where whatever a decoder raises becomes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mstl_edge.errors import DataError
from mstl_edge.preprocess.hearing import heard, one_line


class UnreadableImageError(DataError):
    """A file that gives no image; `reason` says why in a few words, `hint` what to do about it."""

    def __init__(self, expected: str, name: str, reason: str, hint: str = "") -> None:
        super().__init__(expected, received=f"{name} ({reason})", hint=hint)
        self.reason = reason


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn whatever is raised while one file is read into `UnreadableImageError`, with what the decoder said meanwhile.

    Every `Exception`, since decoders of foreign bytes raise nearly every kind: a list was never complete. An interrupt passes.

    Raises:
        UnreadableImageError: Anything was raised.
    """
    with heard() as remarks:
        try:
            yield
        except UnreadableImageError:
            raise
        except MemoryError as error:
            raise UnreadableImageError(
                "an image that fits into memory",
                name,
                "takes more memory than there is",
                "Make it smaller first; preprocess.max_pixels refuses such images by their size.",
            ) from error
        except Exception as error:
            reason = "; ".join([one_line(str(error)) or type(error).__name__, *remarks])
            hint = "Fetch or export it again." if "truncated" in reason.lower() else ""
            raise UnreadableImageError("an image file that is whole", name, reason, hint) from error
