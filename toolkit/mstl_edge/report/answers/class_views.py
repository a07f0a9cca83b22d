"""Answers seen as one class against the rest: the positive one of two, or each of more in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mstl_edge.report.answers.answers import Answered, Paired

T = TypeVar("T")


@dataclass(frozen=True)
class View(Generic[T]):
    """What is drawn in one figure.

    Attributes:
        shown: Names, the class behind them where there are more than two, with what is shown, all by the same class.
        of: That class, where there are more than two; nothing where it is the positive one of two.
    """

    shown: tuple[tuple[str, T], ...]
    of: str = ""

    @property
    def against(self) -> str:
        """The class as a part of a caption."""
        return f" of {self.of} against the rest" if self.of else ""


def answer_views(models: Sequence[tuple[str, Answered]]) -> list[View[Answered]]:
    """Return those with a positive class together, and then, for each set of labels, one view per class."""
    return _views(models, lambda answers: answers, lambda answers, number: answers.against_rest(number))


def paired_views(pairs: Sequence[tuple[str, Paired]]) -> list[View[Paired]]:
    """Return the same of float32 and int8 answers."""
    return _views(
        pairs,
        lambda pair: pair.int8,
        lambda pair, number: Paired(pair.float32.against_rest(number), pair.int8.against_rest(number)),
    )


def _views(
    named: Sequence[tuple[str, T]], answers: Callable[[T], Answered], look: Callable[[T, int], T]
) -> list[View[T]]:
    of_two = tuple((name, one) for name, one in named if answers(one).positive is not None)
    views = [View(of_two)] if of_two else []
    groups: dict[tuple[str, ...], list[tuple[str, T]]] = {}
    for name, one in named:
        if answers(one).positive is None:
            groups.setdefault(answers(one).labels, []).append((name, one))
    for labels, several in groups.items():
        for number, label in enumerate(labels):
            views.append(View(tuple((f"{name}: {label}", look(one, number)) for name, one in several), label))
    return views
