"""Arms as a command line asks for them → arms of a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mstl_edge.errors import MstlEdgeError, typed

if TYPE_CHECKING:
    from mstl_edge.planning import Asked
    from mstl_edge.recipe import Recipe
    from mstl_edge.schemas.study_plan import Arm
    from mstl_edge_cli.subject import Subject

_ALL_ARMS = ""
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ARM_OR_BACKBONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


@dataclass(frozen=True)
class ArmsAsked:
    """What a command line says of arms.

    Attributes:
        extra: Name and recipe of each arm that `--arm` adds.
        networks: `NAME[:VARIANT]` of each backbone that the recipe is tried on.
        own: Which arms the recipe itself gives; empty for the usual ones.
        schemes: In which they are judged; empty for all.
        files: First weights by extra arm and by network.
        weights: First weights of everything that `files` does not name.
    """

    extra: Sequence[tuple[str, str]]
    networks: Sequence[str]
    own: Sequence[str]
    schemes: Sequence[str]
    files: Mapping[str, str]
    weights: str | None


def arms_asked(
    arm: Sequence[str] | None,
    backbones: str | None,
    arms: str | None,
    schemes: str | None,
    weights: Sequence[str] | None,
) -> ArmsAsked:
    """Read the options that speak of arms.

    Raises:
        MstlEdgeError: One that cannot be read, or first weights for nobody or twice.
    """
    extra, networks = [_named(pair) for pair in arm or []], listed(backbones)
    files = _first_weights(weights, [*(name for name, _ in extra), *networks])
    for_all = files.pop(_ALL_ARMS, None)
    files = {network: for_all for network in networks if for_all is not None} | files
    return ArmsAsked(extra, networks, listed(arms), listed(schemes), files, for_all)


def build(named: ArmsAsked, subject: Subject, asked: Asked) -> tuple[Arm, ...]:
    """Return the arms of the plan: those of the recipe, or of it on several networks, and the extra ones behind them.

    Raises:
        MstlEdgeError: A recipe or a network that cannot be read, names that are taken twice.
    """
    from mstl_edge.study.plan import SCHEMES, USUAL_ARMS, backbone_arms, build_arms, check_names

    recipe, schemes = subject.recipe, named.schemes or SCHEMES
    extra = [_extra_arm(name, source, subject, named.files, asked) for name, source in named.extra]
    networks = [_on(recipe, network, named.files) for network in named.networks]
    if not networks:
        return build_arms(recipe, wanted=named.own or USUAL_ARMS, extra=extra, schemes=schemes)
    usual = "multi" if len(recipe.stages) > 1 else "single"
    beside = build_arms(recipe, wanted=(), extra=extra, schemes=schemes) if extra else ()
    arms = (*backbone_arms(networks, named.own or [usual], schemes), *beside)
    check_names([arm.name for arm in arms])
    return arms


def _on(recipe: Recipe, network: str, files: Mapping[str, str]) -> tuple[str, Recipe]:
    """Return a recipe on `NAME[:VARIANT]`, and its arm's name; without a file of its own it starts from ImageNet weights."""
    from mstl_edge.planning.asked import parse_backbone
    from mstl_edge.study.plan import on_backbone

    return network.replace(":", "-"), on_backbone(recipe, *parse_backbone(network), files.get(network, "imagenet"))


def _named(pair: str) -> tuple[str, str]:
    """Split `NAME=RECIPE`."""
    name, separator, source = pair.partition("=")
    if not separator or not source or not _ARM_NAME.fullmatch(name):
        raise MstlEdgeError("--arm NAME=RECIPE", received=pair, hint="For example --arm best=my-recipe.toml")
    return name, source


def _first_weights(given: Sequence[str] | None, arms: Sequence[str]) -> dict[str, str]:
    """Return first weights by the name of an extra arm; those for all stand under `_ALL_ARMS`."""
    found: dict[str, str] = {}
    for one in given or []:
        name, separator, file = one.partition("=")
        if not separator or not _ARM_OR_BACKBONE.fullmatch(name):  # a path may hold a '=' too
            name, file = _ALL_ARMS, one
        if (name != _ALL_ARMS and name not in arms) or not file:
            raise MstlEdgeError(
                "--weights FILE for all arms, or ARM=FILE for one that --arm or --backbones names "
                f"({', '.join(arms) or 'none here'})",
                received=one,
                hint=f"A file of that name is {typed('--weights', f'./{one}')}",
            )
        if name in found:
            raise MstlEdgeError(
                f"first weights once for {name or 'all arms'}",
                received=f"{found[name]} and {file}",
                hint="For one arm alone: --weights ARM=FILE",
            )
        found[name] = file
    return found


def _extra_arm(name: str, source: str, subject: Subject, files: Mapping[str, str], asked: Asked) -> tuple[str, Recipe]:
    """Read an arm's recipe; it takes the data of stages that it has, and weights unless it starts from none.

    Beside a recipe that was made from data, it takes what that one says of those data: which class is the positive one, who the
    patients are, and what becomes of contradictory copies.
    """
    from mstl_edge.recipe import load_recipe, with_reading_of

    own = load_recipe(source)
    stages = {stage.name for stage in own.stages}
    weights = files.get(name, None if own.backbone.weights == "none" else asked.weights)
    here = {
        stage.name: stage.data
        for stage in subject.recipe.stages
        if stage.name in stages and stage.name in subject.given
    }
    loaded = load_recipe(source, data=here, weights=weights, seed=asked.seed)
    return name, with_reading_of(loaded, subject.recipe) if subject.choices is not None else loaded


def listed(names: str | None) -> Sequence[str]:
    """Split `A,B`."""
    return [name.strip() for name in names.split(",") if name.strip()] if names else []


def image_counts(numbers: str | None) -> tuple[int, ...]:
    """Split `N,N,…`, the numbers of images of a learning curve.

    Raises:
        MstlEdgeError: One that is no number of images.
    """
    given = listed(numbers)
    wrong = [number for number in given if not number.isdecimal() or int(number) < 1]
    if wrong:
        raise MstlEdgeError(
            "numbers of images for the learning curve", received=", ".join(wrong), hint="For example 20,40,80"
        )
    return tuple(sorted({int(number) for number in given}))
