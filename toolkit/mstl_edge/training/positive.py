"""The class that sensitivity speaks of: one of two, and none where there are more."""

from __future__ import annotations

from mstl_edge.errors import DataError, typed
from mstl_edge.planning.positive import guess_positive
from mstl_edge.recipe import StageSpec


def positive_class(stage: StageSpec, labels: tuple[str, ...]) -> int | None:
    """Return the number of the class that sensitivity speaks of; more than two classes have none, see `ignored_positive`.

    Raises:
        DataError: The data set has two classes, and none of that name.
    """
    if len(labels) > 2:
        return None
    if not stage.positive:
        return len(labels) - 1
    folded = [label.casefold() for label in labels]
    if stage.positive.casefold() not in folded:
        raise DataError(
            f"stages.{stage.name}.positive to be a class of the data ({', '.join(labels)})",
            received=stage.positive,
            hint=f"For example {typed('--set', f'stages.{stage.name}.positive={labels[guess_positive(labels)[0]]}')}",
        )
    return folded.index(stage.positive.casefold())


def ignored_positive(stage: StageSpec, labels: tuple[str, ...]) -> str:
    """Return what to say where a recipe names a positive class for more than two; nothing elsewhere."""
    if not stage.positive or len(labels) <= 2:
        return ""
    return (
        f"{stage.name}: {len(labels)} classes have no positive one, so positive={stage.positive} is ignored: each class is scored "
        "by itself, and the most probable one is the answer"
    )
