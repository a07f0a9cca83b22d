r"""What each choice of a recipe is worth: a study whose arms change one thing, or several (`a+b`), against the recipe as it is.

    python benchmarks/suites/recipe_search.py ct-hemorrhage-lite --target HEAD_CT --chest CHEST --patient '^(\d+)_' \
        --weights mobilenet_2_5_224_tf_no_top.h5 --study FOLDER --out benchmarks/results/studies/search-lite.json

Float models, five folds, on fold seed 0, which recipes are chosen on. A search that was stopped goes on where it was when it is
started again with the same folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from mstl_edge.cluster import OnRay, parse_place
from mstl_edge.recipe import Recipe, StageSpec, load_recipe, resolve, to_tree
from mstl_edge.schemas.study_plan import Arm, StudyPlan
from mstl_edge.storage import write_text
from mstl_edge.study.folder import StudyFolder, open_study
from mstl_edge.study.plan import build_arms
from mstl_edge.training.study.run import run_study, start_study
from mstl_edge_cli.terminal import Terminal

Change = Callable[[Recipe], Recipe]
AS_IT_IS = "as-it-is"
BRIDGE_OF = "ct-hemorrhage-best"
"""Whose bridge is varied where the recipe has none of its own."""
STRONGER = {"rotate": 25.0, "shift": 0.1, "zoom": 0.2, "brightness": 0.2, "contrast": 0.2}


def main() -> None:
    """Run the search, or go on with it, and write its summary and its answers."""
    options = _options()
    recipes = recipes_by_arm(
        options.recipe,
        target=options.target,
        chest=options.chest,
        patient=options.patient,
        weights=options.weights,
        only=options.only,
    )
    arms = tuple(Arm(name, recipe, ("float32",)) for name, recipe in recipes.items())
    plan = StudyPlan(
        recipe=recipes[AS_IT_IS], arms=arms, folds=options.folds, repeats=options.repeats, against=AS_IT_IS
    )
    reporter = Terminal()
    study = (
        _opened(options.study, plan) if options.study.is_dir() else start_study(plan, options.study, reporter=reporter)
    )
    executor = OnRay(parse_place(options.cluster), reporter=reporter) if options.cluster else None
    threads = 1 if executor else os.cpu_count()
    tree = msgspec.to_builtins(run_study(study, threads=threads, executor=executor, reporter=reporter))
    write_text(options.out, json.dumps(_in_short(tree), indent=1, ensure_ascii=False) + "\n")
    shutil.copyfile(study.all_answers, options.out.with_name(f"{options.out.stem}-answers.csv"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="A recipe with one bridge before its target, or none.")
    parser.add_argument("--target", required=True, help="Images of the last stage.")
    parser.add_argument("--chest", required=True, help="Chest X-rays, for bridges that take them.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients of the chest X-rays.")
    parser.add_argument("--weights", required=True, help="First weights, of the recipe's own alpha.")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument(
        "--only", nargs="*", help=f"Arms beside {AS_IT_IS}, with + between changes made together; all by default."
    )
    parser.add_argument("--cluster", help="auto, ray://HOST:PORT or local:N, as of mstl-edge study.")
    parser.add_argument("--study", type=Path, required=True, help="Folder that the study works in.")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _opened(folder: Path, plan: StudyPlan) -> StudyFolder:
    study = open_study(folder)
    if study.plan() != plan:
        raise SystemExit(
            f"expected the folder of this very search. Received: {folder}. Name another one: --study FOLDER"
        )
    return study


def _in_short(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out what each fold came to: the answers beside the summary say it."""
    return {**tree, "arms": [{key: arm[key] for key in arm if key != "per_fold"} for arm in tree["arms"]]}


def recipes_by_arm(
    source: str, *, target: str, chest: str, patient: str, weights: str, only: Sequence[str] = ()
) -> dict[str, Recipe]:
    """Return the recipe as it is, and by the name of what it changes every other one; none changes nothing."""
    named = load_recipe(source, data={load_recipe(source).stages[-1].name: target}, weights=weights)
    bridges = [
        stage if stage.data.startswith("phantom:") else _of_chest(stage, chest, patient) for stage in named.stages[:-1]
    ]
    whole = replace(named, stages=(*bridges, named.stages[-1]))
    changes = _changes(whole, chest, patient)
    known = [AS_IT_IS, *(name for name, change in changes.items() if change(whole) != whole)]
    arms = {}
    for name in dict.fromkeys((AS_IT_IS, *(only or known))):
        parts = name.split("+")
        if unknown := [part for part in parts if part not in known]:
            raise SystemExit(f"expected arms among {', '.join(known)}. Received: {', '.join(unknown)}")
        changed = reduce(lambda recipe, part: changes[part](recipe), parts, whole)
        arms[name] = resolve(to_tree(changed))
    return arms


def _changes(whole: Recipe, chest: str, patient: str) -> dict[str, Change]:
    """Return by name what an arm makes of a recipe."""
    *own, last = whole.stages
    if len(own) > 1:
        raise SystemExit(f"expected a recipe with one bridge, or none. Received: {len(own)} stages before {last.name}")
    (bridge,) = own or load_recipe(BRIDGE_OF).stages[:-1]
    return {
        AS_IT_IS: lambda recipe: recipe,
        **{name: partial(_with_bridges, bridges=bridges) for name, bridges in _bridges(bridge, chest, patient).items()},
        **{name: partial(_with_target, name=name) for name in _target_keys(last)},
        "no-bridge": lambda recipe: build_arms(recipe, wanted=["single"])[0].recipe,
    }


def _target_keys(last: StageSpec) -> dict[str, dict[str, Any]]:
    """Return what each arm sets in the target's stage."""
    return {
        **{f"target-from-{layer}": {"unfreeze_from": f"conv_{layer}"} for layer in ("dw_4", "dw_6", "dw_8", "dw_11")},
        **{f"views-{views}": {"augment": replace(last.augment, views=views)} for views in (1, 8, 64)},
        "stronger-views": {"augment": replace(last.augment, **STRONGER)},
        "half-the-rate": {"learning_rate": last.learning_rate / 2},
        "quarter-of-the-rate": {"learning_rate": last.learning_rate / 4},
        "twice-the-rate": {"learning_rate": last.learning_rate * 2},
        **{f"{schedule}-rate": {"schedule": schedule} for schedule in ("constant", "cosine")},
        "half-the-epochs": {"epochs": max(last.epochs // 2, 1)},
        "twice-the-epochs": {"epochs": last.epochs * 2},
        **{f"{select}-of-epochs": {"select": select} for select in ("best", "last", "average")},
        "mixup-0.2": {"mixup": 0.2},
        **{f"smoothing-{share}": {"label_smoothing": share} for share in (0.0, 0.1)},
    }


def _bridges(bridge: StageSpec, chest: str, patient: str) -> dict[str, tuple[StageSpec, ...]]:
    """Return the stages before the target that each arm has instead of the recipe's own."""
    of_chest, drawn = _of_chest(bridge, chest, patient), _of_drawn(bridge, 3000)
    return {
        **{
            f"bridge-from-{layer}": (replace(bridge, unfreeze_from=f"conv_{layer}"),)
            for layer in ("dw_4", "dw_8", "dw_12")
        },
        "bridge-of-1000-drawn": (_of_drawn(bridge, 1000),),
        "bridge-of-3000-drawn": (drawn,),
        "bridge-of-chest": (of_chest,),
        "chest-then-drawn": (replace(of_chest, name="chest"), replace(drawn, name="drawn")),
    }


def _of_chest(bridge: StageSpec, chest: str, patient: str) -> StageSpec:
    return replace(bridge, data=chest, positive="PNEUMONIA", split=replace(bridge.split, patient=patient))


def _of_drawn(bridge: StageSpec, count: int) -> StageSpec:
    split = replace(bridge.split, patient="")
    return replace(bridge, data=f"phantom:head-ct?count={count}&seed=11", positive="hemorrhage", split=split)


def _with_bridges(recipe: Recipe, bridges: tuple[StageSpec, ...]) -> Recipe:
    return replace(recipe, stages=(*bridges, recipe.stages[-1]))


def _with_target(recipe: Recipe, name: str) -> Recipe:
    last = recipe.stages[-1]
    return replace(recipe, stages=(*recipe.stages[:-1], replace(last, **_target_keys(last)[name])))


if __name__ == "__main__":
    main()
