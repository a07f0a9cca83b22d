"""Numbers of things, and of seconds, in words."""

from __future__ import annotations

_PLURALS = {"y": "ies", "s": "es"}
_ENDING_IN_A_VOWEL_AND_Y = ("ay", "ey", "oy", "uy")


def counted(number: int, one: str, several: str = "") -> str:
    """Return `1 image`, `1,200 images`, `3 classes` or `2 entries`; `several` where no rule makes it."""
    return f"{number:,} {one if number == 1 else several or _plural(one)}"


def _plural(one: str) -> str:
    if one.endswith(_ENDING_IN_A_VOWEL_AND_Y):
        return f"{one}s"
    ending = _PLURALS.get(one[-1])
    if ending is None:
        return f"{one}s"
    return one.removesuffix("y") + ending


def duration(seconds: float) -> str:
    """Return `1.2 s`, `34 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
