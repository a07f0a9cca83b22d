"""A recipe made from images: what was asked for, else what the rules choose, and every choice with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from mstl_edge.data.seen import Seen, look_at
from mstl_edge.errors import RecipeError, typed
from mstl_edge.planning import rules
from mstl_edge.planning.asked import Asked, parse_backbone
from mstl_edge.planning.facts import facts_of
from mstl_edge.planning.naming import name_after
from mstl_edge.planning.weights_at_hand import can_download, first_weights, has_bundled, not_downloaded
from mstl_edge.planning.weights_file import network_of
from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import LAST, NAMED_WEIGHTS, BackboneSpec, Recipe, StageSpec, absolute_source, changed
from mstl_edge.schemas.choices import CHOICES, Choice, Choices, SetFacts
from mstl_edge_models.backbones import HEAD, REGISTRY

TARGET, BRIDGE = "target", "bridge"


@dataclass(frozen=True)
class Planned:
    """A recipe made from data, the data of its stages as they were seen, and the choices."""

    recipe: Recipe
    seen: Mapping[str, Seen]
    choices: Choices

    def choice(self, key: str) -> Choice | None:
        """Return the choice of a key, by its whole name."""
        return next((choice for choice in self.choices.choices if choice.key == key), None)


def plan_recipe(data: str, asked: Asked | None = None, reporter: Reporter = SILENT) -> Planned:
    """Look at images and make a recipe for them.

    Args:
        data: A data source, see `open_source`.
        asked: What goes before the rules.
        reporter: Told of progress.

    Raises:
        DataError: Images or labels cannot be used.
        RecipeError: What is asked for does not hold.
        WeightsError: First weights that are missing.
    """
    asked = asked or Asked()
    backbone, choices = _backbone(asked)
    sources = {BRIDGE: asked.bridge, TARGET: data} if asked.bridge else {TARGET: data}
    draft = _draft(data, sources, backbone, asked)
    if [stage.name for stage in draft.stages] != list(sources):
        raise RecipeError(
            f"stages named {' and '.join(sources)} in a recipe that is made from data",
            received=", ".join(stage.name for stage in draft.stages),
            hint=f"Write it as a file and rename them there: {typed('mstl-edge', 'new', data)}",
        )
    seen = {stage.name: look_at(stage, draft.preprocess, reporter) for stage in draft.stages}
    facts = {name: facts_of(one) for name, one in seen.items()}
    backbone, sized = _sized(draft.backbone, facts[TARGET], asked)
    drafted = {stage.name: stage for stage in draft.stages}
    choices += sized
    stages = []
    for name in sources:
        tree, chosen = _stage(drafted[name], rules.Situation(facts[name], backbone), seen[name], asked)
        stages.append(tree)
        choices += chosen
    quantize = {}
    for rule in rules.QUANTIZE:
        quantize[rule.key], why = rule.choose(rules.Situation(facts[TARGET], backbone))
        choices.append(Choice(key=f"quantize.{rule.key}", value=quantize[rule.key], why=why, source=rule.source))
    tree = {
        "name": name_after(absolute_source(data)),
        "description": f"Made from {facts[TARGET].images} images of {len(facts[TARGET].classes)} classes.",
        "backbone": msgspec.to_builtins(backbone),
        "stages": stages,
        "quantize": quantize,
    }
    recipe = changed(tree, overrides=asked.as_overrides(), seed=asked.seed, resplit=asked.resplit)
    told = Choices(schema=CHOICES.identifier, facts=facts, choices=tuple(_as_asked(recipe, choices, asked)))
    return Planned(recipe, seen, told)


def _draft(data: str, sources: Mapping[str, str], backbone: BackboneSpec, asked: Asked) -> Recipe:
    """Return a recipe that says how the images are to be read, as far as that was asked for."""
    stages = [
        {"name": name, "data": absolute_source(source), "unfreeze_from": HEAD} for name, source in sources.items()
    ]
    tree = {"name": name_after(absolute_source(data)), "backbone": msgspec.to_builtins(backbone), "stages": stages}
    return changed(tree, overrides=asked.as_overrides(), seed=asked.seed, resplit=asked.resplit)


def _backbone(asked: Asked) -> tuple[BackboneSpec, list[Choice]]:
    """Choose architecture, variant and first weights: as asked, by the weights file, else the smallest and what is at hand."""
    weights, why, from_file = asked.weights, "asked for", None
    if weights is not None and weights not in NAMED_WEIGHTS:
        path = first_weights(BackboneSpec(weights=weights)).path
        from_file = None if path is None else network_of(path)
    usual = from_file[0] if from_file else BackboneSpec().name
    name, variant = parse_backbone(asked.backbone) if asked.backbone else (usual, "")
    if from_file and from_file[0] != name:
        from_file = None  # loading says what does not fit
    chosen = from_file[1] if from_file else REGISTRY[name].variants[0]
    spec = BackboneSpec(name=name, variant=variant or chosen)
    if weights is None and not asked.sets("backbone.weights"):
        weights, why = _weights_at_hand(spec)
    reason = "that of the weights file" if from_file else "the smallest that was published"
    published = "the network of the published work"
    return msgspec.structs.replace(spec, weights=weights or spec.weights), [
        Choice(
            key="backbone.name",
            value=name,
            why=reason if from_file else published,
            source="" if from_file else "Godasu et al. 2020",
        ),
        Choice(key="backbone.variant", value=chosen, why=reason, source=rules.HOWARD),
        Choice(key="backbone.weights", value=weights or spec.weights, why=why),
    ]


def _weights_at_hand(spec: BackboneSpec) -> tuple[str, str]:
    """Return ImageNet weights where they are here or can be had, else those that ship with the project, and why."""
    imagenet = first_weights(spec)
    if imagenet.path is not None:
        return "imagenet", f"{imagenet.name} is at hand"
    if can_download(imagenet):
        return "imagenet", f"{imagenet.name} is downloaded once, into Keras' own cache"
    if not has_bundled(spec):
        raise not_downloaded(imagenet.name, "no connection")
    return "bundled", (
        f"no connection, and {imagenet.name} is not at ~/.keras/models; the bundled weights know drawn figures alone and cost "
        f"accuracy: put that file there, or name it by --weights FILE"
    )


def _sized(spec: BackboneSpec, facts: SetFacts, asked: Asked) -> tuple[BackboneSpec, list[Choice]]:
    made = []
    for rule in rules.BACKBONE:
        value, why = rule.choose(rules.Situation(facts, spec))
        made.append(Choice(key=f"backbone.{rule.key}", value=value, why=why, source=rule.source))
        if not asked.sets(f"backbone.{rule.key}"):
            spec = msgspec.structs.replace(spec, **{rule.key: value})
    return spec, made


def _stage(draft: StageSpec, at: rules.Situation, seen: Seen, asked: Asked) -> tuple[dict[str, Any], list[Choice]]:
    """Choose every key of a stage; a rule sees what was asked for in place of what the rules above it chose."""
    name = draft.name
    tree: dict[str, Any] = {"name": name, "data": seen.source.source}
    drafted = msgspec.to_builtins(draft)
    made: dict[str, Any] = {}
    chosen = []
    for rule in rules.STAGE:
        value, why = rule.choose(replace(at, made=made))
        source = rule.source
        if name == BRIDGE and rule.key in rules.BRIDGE:
            value, why = rules.BRIDGE[rule.key]
            source = "Godasu et al. 2020"
        made[rule.key] = _at(drafted, rule.key) if _was_asked(asked, f"stages.{name}.{rule.key}") else value
        _put(tree, rule.key.split("."), value)
        chosen.append(Choice(key=f"stages.{name}.{rule.key}", value=value, why=why, source=source))
    return tree, chosen


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _as_asked(recipe: Recipe, choices: Sequence[Choice], asked: Asked) -> list[Choice]:
    """Return the choices with the values that the recipe has in the end, those marked that were asked for."""
    tree = msgspec.to_builtins(recipe)
    tree["stages"] = {stage["name"]: stage for stage in tree["stages"]}
    found = []
    for choice in choices:
        value = _at(tree, choice.key)
        if value != choice.value or _was_asked(asked, choice.key):
            choice = msgspec.structs.replace(choice, value=value, why="asked for", source="", asked=True)
        found.append(choice)
    return found


def _was_asked(asked: Asked, key: str) -> bool:
    """Return whether a key was named, by the stage's own name or as the last one's."""
    return asked.sets(key) or asked.sets(key.replace(f"stages.{TARGET}.", f"stages.{LAST}.", 1))


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree
