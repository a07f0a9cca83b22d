"""What a study compares: the arms that a recipe gives; `schemas.study_plan` has the plan that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mstl_edge.errors import MstlEdgeError, RecipeError
from mstl_edge.planning.rules import usual_cut
from mstl_edge.recipe import Recipe, resolve, to_tree
from mstl_edge.schemas.study_plan import Arm, Scheme
from mstl_edge_models import backbones

SCHEMES: tuple[Scheme, ...] = ("float32", "int8-ptq", "int8-qat")
OWN_ARMS = ("scratch", "features", "single", "multi")
USUAL_ARMS = ("scratch", "single", "multi")


def build_arms(
    recipe: Recipe,
    *,
    wanted: Sequence[str] = USUAL_ARMS,
    extra: Sequence[tuple[str, Recipe]] = (),
    schemes: Sequence[str] = SCHEMES,
) -> tuple[Arm, ...]:
    """Return the arms of a study.

    Args:
        recipe: The recipe in question; `multi` is itself, `single` lacks its bridge, `scratch` also its first weights, and of
            `features` only the head is trained.
        wanted: Which of the four; `multi` is left out where the recipe has one stage only.
        extra: More arms by name.
        schemes: What arms are judged in; float32 is always among them, and `scratch`, a control, has nothing else.

    Raises:
        MstlEdgeError: An unknown arm or scheme, no arm at all, or two of one name.
        RecipeError: A target stage that keeps only a subset of its images.
    """
    _check_known("arm", wanted, OWN_ARMS)
    _check_known("scheme", schemes, SCHEMES)
    made: dict[str, Callable[[Recipe], Recipe]] = {
        "scratch": _scratch,
        "features": _features,
        "single": _single,
        "multi": _whole,
    }
    chosen = tuple(scheme for scheme in SCHEMES if scheme == "float32" or scheme in schemes)
    own = [
        Arm(name, made[name](recipe), ("float32",) if name == "scratch" else chosen)
        for name in OWN_ARMS
        if name in wanted and (name != "multi" or _has_bridge(recipe))
    ]
    arms = (*own, *(Arm(name, given, chosen) for name, given in extra))
    check_names([arm.name for arm in arms])
    for arm in arms:
        if arm.stage.split.subset:
            raise RecipeError(
                f"arm {arm.name} to use all images of its target, since the study deals them out",
                received=f"split.subset={arm.stage.split.subset}",
                hint="Use --learning-curve 20,40,80 to train on fewer.",
            )
    return arms


def on_backbone(recipe: Recipe, name: str, variant: str, weights: str | None = None) -> Recipe:
    """Return a recipe on another network, each of its stages trained from the cut point that the rules give that network.

    Args:
        recipe: The recipe; a stage that trains its head alone goes on doing so.
        name: Of the architecture.
        variant: Of it; empty is the usual one.
        weights: First weights; None keeps the recipe's.
    """
    spec = msgspec.structs.replace(
        recipe.backbone,
        name=name,
        variant=variant or backbones.REGISTRY[name].default,
        weights=weights or recipe.backbone.weights,
    )
    stages = tuple(
        stage
        if stage.unfreeze_from == backbones.HEAD
        else msgspec.structs.replace(stage, unfreeze_from=usual_cut(spec))
        for stage in recipe.stages
    )
    return resolve(to_tree(msgspec.structs.replace(recipe, backbone=spec, stages=stages)))


def backbone_arms(
    recipes: Sequence[tuple[str, Recipe]], wanted: Sequence[str], schemes: Sequence[str] = SCHEMES
) -> tuple[Arm, ...]:
    """Return the arms that recipes on several networks give, named after the network, and after the arm where there are several.

    Args:
        recipes: By the name of the network, from `on_backbone`.
        wanted: As of `build_arms`.
        schemes: As of `build_arms`.

    Raises:
        MstlEdgeError: As of `build_arms`.
    """
    found = [(name, build_arms(recipe, wanted=wanted, schemes=schemes)) for name, recipe in recipes]
    return tuple(
        msgspec.structs.replace(arm, name=name if len(arms) == 1 else f"{name}-{arm.name}")
        for name, arms in found
        for arm in arms
    )


def check_names(names: Sequence[str]) -> None:
    """Refuse arms that could not be told apart; their names also name their files.

    Raises:
        MstlEdgeError: None, or two of one name.
    """
    if not names or len(set(names)) < len(names):
        raise MstlEdgeError(
            "at least one arm, and different names for all of them",
            received=", ".join(names) or "none",
            hint="For example --arm best=my-recipe.toml",
        )


def _check_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise MstlEdgeError(f"{what}s among {', '.join(known)}", received=", ".join(unknown))


def _has_bridge(recipe: Recipe) -> bool:
    return len(recipe.stages) > 1


def _whole(recipe: Recipe) -> Recipe:
    return recipe


def _single(recipe: Recipe) -> Recipe:
    """Return the recipe without its bridge; every layer that any of its stages trains is trained on the target."""
    names = _cut_names(recipe)
    lowest = min((stage.unfreeze_from for stage in recipe.stages), key=names.index)
    target = msgspec.structs.replace(recipe.stages[-1], unfreeze_from=lowest)
    return msgspec.structs.replace(recipe, stages=(target,))


def _scratch(recipe: Recipe) -> Recipe:
    """Return the target stage alone, on random weights, with every layer trained.

    The smallest variant is taken, since a few hundred images cannot fill a wider network from nothing; a narrower one stays.
    """
    network = backbones.REGISTRY[recipe.backbone.name]
    smallest = min(recipe.backbone.variant, network.variants[0], key=network.parameters)
    backbone = msgspec.structs.replace(recipe.backbone, weights="none", variant=smallest)
    target = msgspec.structs.replace(recipe.stages[-1], unfreeze_from=_cut_names(recipe)[0])
    return msgspec.structs.replace(recipe, stages=(target,), backbone=backbone)


def _features(recipe: Recipe) -> Recipe:
    """Return the target stage alone, with nothing but its head trained: feature extraction."""
    target = msgspec.structs.replace(recipe.stages[-1], unfreeze_from=backbones.HEAD)
    return msgspec.structs.replace(recipe, stages=(target,))


def _cut_names(recipe: Recipe) -> tuple[str, ...]:
    return backbones.REGISTRY[recipe.backbone.name].cut_names(recipe.backbone.variant)
