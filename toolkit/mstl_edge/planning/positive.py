"""The class that sensitivity speaks of, one of two: as a recipe names it, or guessed by its name: the finding, not its absence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mstl_edge.errors import DataError, typed
from mstl_edge.recipe import StageSpec

ABSENT = (
    "0", "absent", "benign", "clear", "control", "controls", "false", "healthy", "neg", "negative", "no", "nofinding",
    "none", "norm", "normal", "nondiseased", "unaffected", "uninfected", "well", "without",
)  # fmt: skip
"""Words by which a class says that nothing was found, in lower case."""
MILD = ("benign",)
"""Words that say so beside a malignant class, and name a finding beside a normal one."""
_NOT = ("non", "not", "no", "without")
_WORD = re.compile(r"[a-z]+|\d+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def guess_positive(labels: Sequence[str]) -> tuple[int, str]:
    """Return the class of two that names the finding, and why.

    Args:
        labels: Two names of classes, in alphabetical order.
    """
    absent = [says_absent(label) for label in labels]
    if absent == [True, True]:
        mild = [set(MILD) & set(_words(label)) != set() for label in labels]
        absent = [not one for one in mild] if any(mild) and not all(mild) else [False, False]
    if absent in ([True, False], [False, True]):
        number = absent.index(False)
        return number, f"{labels[1 - number]} reads as the absence of a finding"
    return len(labels) - 1, "the last in alphabetical order; neither name reads as the absence of a finding"


def says_absent(label: str) -> bool:
    """Return whether a class's name says that nothing was found: `normal`, `no_tumor`, `0`, but not `not normal`."""
    words = _words(label)
    if not words:
        return False
    if words[0] in _NOT and len(words) > 1:
        return words[1] not in ABSENT or words[0] == "no"
    return any(word in ABSENT for word in words)


def _words(label: str) -> list[str]:
    return _WORD.findall(_HUMP.sub(" ", label).casefold())


def positive_class(stage: StageSpec, labels: tuple[str, ...]) -> int | None:
    """Return the number of the class that sensitivity speaks of; more than two classes have none, see `ignored_positive`.

    Raises:
        DataError: The data set has two classes, and none of that name.
    """
    if len(labels) > 2:
        return None
    if not stage.positive:
        return len(labels) - 1
    lowered = [label.casefold() for label in labels]
    if stage.positive.casefold() not in lowered:
        raise DataError(
            f"stages.{stage.name}.positive to be a class of the data ({', '.join(labels)})",
            received=stage.positive,
            hint=f"For example {typed('--set', f'stages.{stage.name}.positive={labels[guess_positive(labels)[0]]}')}",
        )
    return lowered.index(stage.positive.casefold())


def ignored_positive(stage: StageSpec, labels: tuple[str, ...]) -> str:
    """Return what to say where a recipe names a positive class for more than two; nothing elsewhere."""
    if not stage.positive or len(labels) <= 2:
        return ""
    return (
        f"{stage.name}: {len(labels)} classes have no positive one, so positive={stage.positive} is ignored: each class is scored "
        "by itself, and the most probable one is the answer"
    )
