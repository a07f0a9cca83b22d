"""`plan.json` of a study: its arms, each a recipe, and how often and on how much data each is trained."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from mstl_edge.recipe import Recipe, StageSpec, upgraded
from mstl_edge.schemas.versioned import Schema, Tree

Scheme = Literal["float32", "int8-ptq", "int8-qat"]


class Arm(Struct, frozen=True):
    """One way to train: a recipe whose last stage is cross-validated, and the schemes it is judged in."""

    name: str
    recipe: Recipe
    schemes: tuple[Scheme, ...]

    @property
    def stage(self) -> StageSpec:
        """The stage that is trained in every fold."""
        return self.recipe.stages[-1]

    @property
    def from_scratch(self) -> bool:
        """Whether nothing was learned before the folds."""
        return len(self.recipe.stages) == 1 and self.recipe.backbone.weights == "none"


class StudyPlan(Struct, frozen=True, kw_only=True):
    """Everything that decides a study's numbers; saved in its folder, so that it can be resumed and repeated.

    `sensitivity` is what the threshold must reach on validation images (0: Youden's rule). `learning_curve` counts the images of
    a fold's training part, validation included. `fold_seed` decides who is in which fold and nothing else. `against` names the
    one arm that all others are compared with; empty compares every pair.
    """

    schema: str = "mstl-edge/study-plan/2"
    recipe: Recipe
    arms: tuple[Arm, ...]
    folds: int = 5
    repeats: int = 2
    fold_seed: int = 0
    sensitivity: float = 0.0
    learning_curve: tuple[int, ...] = ()
    against: str = ""

    @property
    def target(self) -> StageSpec:
        """The stage whose images are dealt into folds."""
        return self.recipe.stages[-1]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Every repeat with every fold, both from 1, repeats one after the other."""
        return [(repeat, fold) for repeat in range(1, self.repeats + 1) for fold in range(1, self.folds + 1)]

    @property
    def of_networks(self) -> bool:
        """Whether its arms are of different networks, so that what each costs is part of the answer."""
        # The arm from scratch beside others is there to say what first weights are worth, on the smallest variant.
        asked = [arm for arm in self.arms if not arm.from_scratch] or self.arms
        return len({(arm.recipe.backbone.name, arm.recipe.backbone.variant) for arm in asked}) > 1

    def arm(self, name: str) -> Arm:
        """Return the arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)


def _from_1(plan: Tree) -> Tree:
    """Return a plan of version 1 as one of version 2: its recipes called a variant `alpha`."""
    arms = [{**arm, "recipe": upgraded(arm["recipe"])} for arm in plan["arms"]]
    return {**plan, "recipe": upgraded(plan["recipe"]), "arms": arms}


STUDY_PLAN = Schema("study-plan", 2, StudyPlan, {1: _from_1})
