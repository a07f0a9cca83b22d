"""What a command works on: a recipe by its name or file, or data that a recipe is made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mstl_edge.errors import RecipeError, typed
from mstl_edge_cli.console import say
from mstl_edge_cli.options import stage_data
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.data.seen import Seen
    from mstl_edge.planning import Asked, Planned
    from mstl_edge.recipe import Recipe
    from mstl_edge.schemas.choices import Choices

DEFAULT = "phantom"


@dataclass(frozen=True)
class Subject:
    """A recipe, and where it was made from data: those data as they were seen, and why it is as it is.

    `given` names the stages whose data the command line told.
    """

    recipe: Recipe
    given: frozenset[str]
    seen: Mapping[str, Seen] = field(default_factory=dict)
    choices: Choices | None = None


def asked_of(params: Mapping[str, Any]) -> Asked:
    """Return the short words among a command's parameters."""
    from mstl_edge.data.labels.choosing import parsed
    from mstl_edge.planning import Asked

    known = {one.name for one in fields(Asked)}
    given = {name: value for name, value in params.items() if name in known and value is not None}
    given |= {
        name: parsed(given[name]) or None for name in ("map", "only") if name in given
    }  # none typed is an empty list
    return Asked(**{**given, "overrides": tuple(params.get("overrides") or ())})


def subject_of(command: str, words: Sequence[str] | None, data: Sequence[str] | None, asked: Asked) -> Subject:
    """Read or make the recipe that a command line names, and say which.

    Args:
        command: Name of the command, for what to type instead.
        words: What stands where one recipe or one data source may stand.
        data: `--data STAGE=PATH`, or a path alone.
        asked: Short words.

    Raises:
        MstlEdgeError: See `which_door`, `plan_recipe` and `load_recipe`; or a recipe, data, and data again.
    """
    from mstl_edge.planning import which_door
    from mstl_edge.recipe import LAST

    word, pairs, alone = _told(command, words or (), data or ())
    if word is None and alone is not None:
        word, alone = alone, None
    if word is None or which_door(word, command) == "recipe":
        return _of_recipe(command, word, pairs if alone is None else {**pairs, LAST: alone}, asked)
    if pairs or alone:
        received = f"{word} and --data {alone or '='.join(next(iter(pairs.items())))}"
        raise RecipeError(
            "the data once",
            received=received,
            hint=f"A stage in front takes its own: {typed('mstl-edge', command, word, '--bridge', 'PATH')}",
        )
    return _of_data(word, asked)


def _told(command: str, words: Sequence[str], data: Sequence[str]) -> tuple[str | None, dict[str, str], str | None]:
    """Return the word, the data by stage, and data without a stage."""
    if len(words) > 1:
        target = f"target={words[1]}"
        raise RecipeError(
            "one recipe or one data source",
            received=" and ".join(words),
            hint=f"For that recipe on these data: {typed('mstl-edge', command, words[0], '--data', target)}",
        )
    alone = [pair for pair in data if _is_alone(pair)]
    pairs = stage_data([pair for pair in data if pair not in alone])
    if len(alone) > 1:
        raise RecipeError("one data source", received=" and ".join(alone), hint="Of several stages: --data STAGE=PATH")
    return (words[0] if words else None), pairs, (alone[0] if alone else None)


def _is_alone(pair: str) -> bool:
    """Return whether what `--data` was given names data by itself, without the stage that they are for."""
    from pathlib import Path

    from mstl_edge.recipe import REMOTE_SOURCES

    stage, separator, _ = pair.partition("=")
    if separator and not {"/", ":"} & set(stage):
        return False
    try:
        return pair.startswith(REMOTE_SOURCES) or Path(pair).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _of_recipe(command: str, word: str | None, data: Mapping[str, str], asked: Asked) -> Subject:
    from mstl_edge.planning.weights_at_hand import check_at_hand
    from mstl_edge.recipe import LAST, load_recipe, with_absolute_paths

    source = word or DEFAULT
    if asked.bridge is not None:
        raise RecipeError(
            "--bridge with data alone; the bridge of a recipe is a stage of it",
            received=f"--bridge with the recipe {source}",
            hint=f"Data of such a stage: {typed('mstl-edge', command, source, '--data', f'bridge={asked.bridge}')}",
        )
    loaded = load_recipe(
        source,
        overrides=asked.as_overrides(),
        data=data,
        weights=asked.weights,
        seed=asked.seed,
        resplit=asked.resplit,
    )
    with_absolute_paths(loaded)  # before seconds of TensorFlow: a path that no run can hold
    count = len(loaded.stages)
    say(f"recipe: {source}{'' if word else ' (default)'}; {count} {'stage' if count == 1 else 'stages'}")
    check_at_hand(loaded.backbone)
    named = {loaded.stages[-1].name if stage == LAST else stage for stage in data}
    return Subject(loaded, frozenset(named))


def _of_data(word: str, asked: Asked) -> Subject:
    from mstl_edge.planning import plan_recipe

    planned = plan_recipe(word, asked, Terminal())
    for line in told_of(planned):
        say(line)
    return Subject(planned.recipe, frozenset(planned.seen), planned.seen, planned.choices)


def told_of(planned: Planned) -> list[str]:
    """Say in a few lines what was seen of the data and what was chosen for them."""
    from mstl_edge.counted import counted
    from mstl_edge.planning.facts import left_out, told

    recipe, stage = planned.recipe, planned.recipe.stages[-1]
    lines = []
    for one in recipe.stages:
        facts = planned.choices.facts[one.name]
        lines.append(f"{one.name}: {told(facts)}")
        if lost := left_out(facts):
            lines.append(f"{one.name}: {lost}")
    backbone = recipe.backbone
    lines.append(
        f"chosen: {backbone.name} {backbone.variant} at {backbone.input_size} pixels, trained from {stage.unfreeze_from} up, "
        f"{counted(stage.epochs, 'epoch')}, {counted(stage.augment.views, 'view')} of each image, batch {stage.batch_size}"
    )
    for key in ("backbone.weights", f"stages.{stage.name}.positive", f"stages.{stage.name}.split.resplit"):
        choice = planned.choice(key)
        if choice is not None and choice.value:
            lines.append(f"{key.rpartition('.')[2]}: {choice.value} ({choice.why})")
    return lines
