r"""What each choice of a recipe is worth: a study whose arms change one thing each.

    python benchmarks/suites/recipe_search.py ct-hemorrhage-lite --target HEAD_CT --chest CHEST --patient '^(\d+)_' \
        --weights mobilenet_2_5_224_tf_no_top.h5 --study FOLDER --out benchmarks/results/studies/search-lite.json

The first arm is the recipe as it is. Float models, five folds, on fold seeds that the recipe was chosen on. A search that was
stopped goes on where it was when it is started again with the same folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import msgspec

from mstl_edge.recipe import Recipe, load_recipe
from mstl_edge.storage import write_text
from mstl_edge.training.study.folder import open_study
from mstl_edge.training.study.plan import Arm, StudyPlan
from mstl_edge.training.study.run import run_study, start_study
from mstl_edge_cli.console import Terminal

AS_IT_IS = "as-it-is"
STRONGER = "rotate = 25.0, shift = 0.1, zoom = 0.2, brightness = 0.2, contrast = 0.2"


def changes(recipe: Recipe) -> dict[str, str]:
    """Return what each arm sets, by its name; some set what the recipe has already."""
    bridge, target = (f"stages.{stage.name}" for stage in recipe.stages)
    last = recipe.stages[-1]
    rates = {"half": last.learning_rate / 2, "twice": last.learning_rate * 2}
    return {
        **{f"target-from-{layer}": f"{target}.unfreeze_from=conv_{layer}" for layer in ("dw_6", "dw_11", "dw_12")},
        **{f"views-{views}": f"{target}.augment={{views = {views}}}" for views in (1, 8)},
        "stronger-views": f"{target}.augment={{{STRONGER}, views = {last.augment.views}}}",
        **{f"{name}-the-rate": f"{target}.learning_rate={rate}" for name, rate in rates.items()},
        "constant-rate": f"{target}.schedule=constant",
        "half-the-epochs": f"{target}.epochs={last.epochs // 2}",
        "best-epoch": f"{target}.select=best",
        "average-of-epochs": f"{target}.select=average",
        "mixup-0.2": f"{target}.mixup=0.2",
        **{f"smoothing-{share}": f"{target}.label_smoothing={share}" for share in (0.0, 0.1)},
        **{f"bridge-from-{layer}": f"{bridge}.unfreeze_from=conv_{layer}" for layer in ("dw_8", "dw_12")},
        "bridge-of-1000": f"{bridge}.data=phantom:head-ct?count=1000&seed=11",
    }


def main() -> None:
    """Run the search, or go on with it, and write its summary and its answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="A recipe of two stages: bridge and target.")
    parser.add_argument("--target", required=True, help="Images of the last stage.")
    parser.add_argument("--chest", required=True, help="Chest X-rays, for the arm that takes them as its bridge.")
    parser.add_argument("--patient", default="", help="Regular expression for the patients of the chest X-rays.")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="Arms beside the recipe as it is; all by default.")
    parser.add_argument("--study", type=Path, required=True, help="Folder that the study works in.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recipes = _recipes(options)
    chosen = {name: recipe for name, recipe in recipes.items() if name in {AS_IT_IS, *(options.only or recipes)}}
    arms = tuple(Arm(name, recipe, ("float32",)) for name, recipe in chosen.items())
    plan = StudyPlan(recipe=recipes[AS_IT_IS], arms=arms, repeats=options.repeats)
    folder, reporter = options.study, Terminal()
    study = open_study(folder) if folder.is_dir() else start_study(plan, folder, reporter=reporter)
    tree = run_study(study, threads=os.cpu_count(), reporter=reporter)
    write_text(options.out, json.dumps(tree, indent=1) + "\n")
    shutil.copyfile(folder / "answers.csv", options.out.with_name(f"{options.out.stem}-answers.csv"))


def _recipes(options: argparse.Namespace) -> dict[str, Recipe]:
    """Return the arms' recipes by name, the unchanged one first, without those that change nothing."""
    data = {load_recipe(options.recipe).stages[-1].name: options.target}

    def read(*overrides: str) -> Recipe:
        return load_recipe(options.recipe, overrides=overrides, data=data, weights=options.weights)

    whole = read()
    bridge, *rest = whole.stages
    split = msgspec.structs.replace(bridge.split, patient=options.patient)
    chest = msgspec.structs.replace(bridge, data=options.chest, positive="PNEUMONIA", split=split)
    changed = {name: read(change) for name, change in changes(whole).items()}
    changed["no-bridge"] = msgspec.structs.replace(whole, stages=tuple(rest))
    changed["bridge-of-chest-x-rays"] = msgspec.structs.replace(whole, stages=(chest, *rest))
    return {AS_IT_IS: whole, **{name: recipe for name, recipe in changed.items() if recipe != whole}}


if __name__ == "__main__":
    main()
