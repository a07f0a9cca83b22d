"""An ending: named sentences, what to type next, and the words that endings share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mstl_edge import bounded
from mstl_edge.counted import counted
from mstl_edge_cli.console import Meaning, print_facts, say_next

if TYPE_CHECKING:
    from mstl_edge.metrics import Interval

_REASONS_SHOWN = 2


class Fact(NamedTuple):
    """A named sentence; `meaning` colours its first word."""

    name: str
    text: str
    meaning: Meaning | None = None


@dataclass(frozen=True)
class Ending:
    """What is told last: the verdict in words, accuracy with its n, size, time, where the files lie.

    `next` is the command to type; empty where an error follows, which names one.
    """

    facts: tuple[Fact, ...]
    next: str = ""


def print_ending(ending: Ending) -> None:
    """Print the facts on stdout behind an empty line, and say on stderr what to type next."""
    sys.stdout.write("\n")
    print_facts(ending.facts)
    sys.stdout.flush()
    if ending.next:
        say_next(ending.next)


def accuracy(interval: Interval, n: int, what: str = "test image") -> str:
    """Return `93.8 % (80 to 98) accuracy on 32 test images`."""
    return f"{share(interval)} accuracy on {counted(n, what)}"


def share(interval: Interval) -> str:
    """Return `93.8 % (80 to 98)`."""
    return bounded.percent(interval, " %")


def beside_float(size_bytes: int, float_bytes: int | None) -> str:
    """Return `301 kB, 34 % of float32's 879 kB`."""
    alone = f"{size_bytes / 1e3:,.0f} kB"
    if not float_bytes:
        return alone
    return f"{alone}, {100 * size_bytes / float_bytes:.0f} % of float32's {float_bytes / 1e3:,.0f} kB"


def first_of(reasons: Sequence[str], *, what: str = "reason") -> str:
    """Return the first reasons, and how many there are besides."""
    more = len(reasons) - _REASONS_SHOWN
    return "; ".join(reasons[:_REASONS_SHOWN]) + (f"; {counted(more, f'more {what}')} by -v" if more > 0 else "")
