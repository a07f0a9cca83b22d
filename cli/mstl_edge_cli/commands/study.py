"""`mstl-edge study`: repeated cross-validation of a recipe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge.errors import MstlEdgeError, RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import Terminal, print_json, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.resuming import resumable
from mstl_edge_cli.study_tables import print_study
from mstl_edge_cli.subject import Subject, asked_of, subject_of

if TYPE_CHECKING:
    from mstl_edge.cluster import Place
    from mstl_edge.planning import Asked
    from mstl_edge.recipe import Recipe
    from mstl_edge.schemas.bench import BenchReport
    from mstl_edge.schemas.study import Study
    from mstl_edge.schemas.study_plan import Arm, StudyPlan
    from mstl_edge.study.folder import StudyFolder
    from mstl_edge.study.shares import Share

FOLDS, REPEATS = 5, 2
THREADS_OF_A_TASK = 1
"""On a cluster, unless --threads says otherwise: many tasks of one thread are faster than a few of many."""
ALL_ARMS = ""
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ARM_OR_BACKBONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(study)


def study(
    ctx: typer.Context,
    recipe: options.RecipeOrData = None,
    data: options.Data = None,
    bridge: options.Bridge = None,
    backbone: options.Backbone = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[ARM=]imagenet|bundled|none|FILE",
            help="First weights of every backbone; with ARM= those of one --arm, since another variant needs another file.",
        ),
    ] = None,
    epochs: options.Epochs = None,
    learning_rate: options.LearningRate = None,
    size: options.Size = None,
    positive: options.PositiveClass = None,
    patient: options.Patient = None,
    map: options.MapFindings = None,  # noqa: A002 - the option's own name
    only: options.OnlyClasses = None,
    slices: options.SlicesOfSeries = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    name: options.Name = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RECIPE", help="One more arm; takes --data, --weights and --seed, but not --set."),
    ] = None,
    backbones: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="The same recipe on several networks NAME[:VARIANT], each trained as deep as the rules have it; "
            "see 'mstl-edge backbones'.",
            show_default=False,
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            help="Which arms RECIPE itself gives, of scratch,features,single,multi; default all but features.",
            show_default=False,
        ),
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option(help="Of transfer arms; default float32,int8-ptq,int8-qat.", show_default=False),
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Default 5.", show_default=False)] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Default 2.", show_default=False)] = None,
    fold_seed: Annotated[
        int | None, typer.Option(min=0, help="Decides who is in which fold; default 0.", show_default=False)
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1.0,
            help="Threshold that finds this share of positive validation images; default Youden's rule.",
            show_default=False,
        ),
    ] = None,
    learning_curve: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…", help="Also train on so many images of each training part, float32.", show_default=False
        ),
    ] = None,
    out: options.Out = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY",
            help="Go on with a study that was stopped; --data then says where data has moved.",
            show_default=False,
            callback=options.at_home,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ray://HOST:PORT|local:N",
            help="Train on a Ray cluster, or with N workers on this machine; see docs/cluster.md.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="With --resume, do the I-th of N parts alone: an element of an array of jobs on a shared folder.",
            show_default=False,
        ),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Make the study's folder and train nothing, for parts of it by --task.")
    ] = False,
    threads: options.Threads = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Did the bridge help, did int8 hurt: cross-validate the last stage from scratch, without and with what comes before it.

    With --backbones: which network? Each is trained and quantized on the same folds and views.

    Example: mstl-edge study ct-hemorrhage --data bridge=./chest_xray --data target=./head-ct --learning-curve 20,40,80
    """
    place, share = _elsewhere(cluster, task, resume, threads)
    networks = _listed(backbones)
    files = _first_weights(weights, [*(_named(pair)[0] for pair in arm or []), *networks])
    for_all = files.pop(ALL_ARMS, None)
    files = {network: for_all for network in networks if for_all is not None} | files
    asked = asked_of({**ctx.params, "weights": for_all})
    if resume is not None:
        of_plan = (arm, backbones, arms, schemes, folds, repeats, fold_seed, sensitivity, learning_curve, out)
        opened = _reopened(resume, alone=all(option is None for option in of_plan))
        moved = options.stage_data(data)
        if recipe or asked != asked_of({}):
            from mstl_edge.study.folder import refuse_other_recipe

            weightless = opened.plan().recipe.backbone.weights == "none" and asked.weights is None
            again = replace(asked, weights="none") if weightless else asked
            refuse_other_recipe(opened, subject_of("study", recipe, data, again).recipe, moved)
        from mstl_edge.study.folder import relocate_study

        relocate_study(opened, moved, Terminal())
        say(f"resuming {resume}; starting TensorFlow")
    else:
        from mstl_edge.output_folder import check_unused
        from mstl_edge.schemas.study_plan import StudyPlan

        check_unused(out)
        # On several networks the recipe's own is not trained, and needs no weights.
        subject = subject_of("study", recipe, data, replace(asked, weights="none") if networks else asked)
        extra = [_extra_arm(*_named(pair), subject, files, asked) for pair in arm or []]
        here = [_on(subject.recipe, network, files) for network in networks]
        built = _built(subject.recipe, here, extra, wanted=_listed(arms), schemes=_listed(schemes))
        plan = StudyPlan(
            recipe=subject.recipe,
            arms=built,
            folds=folds or FOLDS,
            repeats=repeats or REPEATS,
            fold_seed=fold_seed or 0,
            sensitivity=sensitivity or 0.0,
            learning_curve=_counts(learning_curve),
        )
        say(f"arms {', '.join(one.name for one in built)}; starting TensorFlow")
        opened = _started(plan, subject, out)
    say(f"study: {opened.path}")
    if plan_only:
        _tell_plan(opened, as_json=json)
        return
    if share is not None:
        _do_share(opened, share, threads, as_json=json)
        return
    finished = _finished(opened, threads, place)
    if json:
        import msgspec

        print_json({**msgspec.to_builtins(finished), "study": str(opened.path)})
    else:
        from mstl_edge_cli.endings.study import study_ending

        print_study(finished, verbose=verbose)
        print_ending(study_ending(finished, opened.path))


def _reopened(resume: Path, *, alone: bool) -> StudyFolder:
    from mstl_edge.study.folder import open_study

    opened = open_study(resume)
    if not alone:
        raise RunError(
            "--resume without options that would change the study, since it goes on by its own plan",
            received="such an option",
            hint=f"Go on with it: {typed('mstl-edge', 'study', '--resume', resume)}",
        )
    return opened


def _on(recipe: Recipe, network: str, files: dict[str, str]) -> tuple[str, Recipe]:
    """Return a recipe on `NAME[:VARIANT]`, and its arm's name; without a file of its own it starts from ImageNet weights."""
    from mstl_edge.planning.asked import parse_backbone
    from mstl_edge.study.plan import on_backbone

    return network.replace(":", "-"), on_backbone(recipe, *parse_backbone(network), files.get(network, "imagenet"))


def _built(
    recipe: Recipe,
    networks: Sequence[tuple[str, Recipe]],
    extra: Sequence[tuple[str, Recipe]],
    *,
    wanted: Sequence[str],
    schemes: Sequence[str],
) -> tuple[Arm, ...]:
    """Return the arms of the plan: those of the recipe, or of it on several networks, and the extra ones behind them."""
    from mstl_edge.study.plan import SCHEMES, USUAL_ARMS, backbone_arms, build_arms, check_names

    chosen = schemes or SCHEMES
    if not networks:
        return build_arms(recipe, wanted=wanted or USUAL_ARMS, extra=extra, schemes=chosen)
    usual = "multi" if len(recipe.stages) > 1 else "single"
    beside = build_arms(recipe, wanted=(), extra=extra, schemes=chosen) if extra else ()
    arms = (*backbone_arms(networks, wanted or [usual], chosen), *beside)
    check_names([arm.name for arm in arms])
    return arms


def _named(pair: str) -> tuple[str, str]:
    """Split `NAME=RECIPE`."""
    name, separator, source = pair.partition("=")
    if not separator or not source or not _ARM_NAME.fullmatch(name):
        raise MstlEdgeError("--arm NAME=RECIPE", received=pair, hint="For example --arm best=my-recipe.toml")
    return name, source


def _first_weights(given: list[str] | None, arms: Sequence[str]) -> dict[str, str]:
    """Return first weights by the name of an extra arm; those for all stand under `ALL_ARMS`."""
    found: dict[str, str] = {}
    for one in given or []:
        name, separator, file = one.partition("=")
        if not separator or not _ARM_OR_BACKBONE.fullmatch(name):  # a path may hold a '=' too
            name, file = ALL_ARMS, one
        if (name != ALL_ARMS and name not in arms) or not file:
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


def _extra_arm(name: str, source: str, subject: Subject, files: dict[str, str], asked: Asked) -> tuple[str, Recipe]:
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


def _listed(names: str | None) -> Sequence[str]:
    return [name.strip() for name in names.split(",") if name.strip()] if names else []


def _counts(numbers: str | None) -> tuple[int, ...]:
    listed = _listed(numbers)
    wrong = [number for number in listed if not number.isdecimal() or int(number) < 1]
    if wrong:
        raise MstlEdgeError(
            "numbers of images for the learning curve", received=", ".join(wrong), hint="For example 20,40,80"
        )
    return tuple(sorted({int(number) for number in listed}))


def _started(plan: StudyPlan, subject: Subject, out: Path | None) -> StudyFolder:
    from mstl_edge.training.study.run import start_study

    return start_study(plan, out, reporter=Terminal(), seen=subject.seen)


def _elsewhere(
    cluster: str | None, task: str | None, resume: Path | None, threads: int | None
) -> tuple[Place | None, Share | None]:
    """Read where the work is done, and which part of it."""
    if task is not None and (cluster is not None or resume is None):
        raise RunError(
            "--task with --resume STUDY and without --cluster: its parts share a folder that is there already",
            received=f"--task {task}" + (f" and --cluster {cluster}" if cluster else " without --resume"),
            hint="Make it first with --plan-only, or leave --task out.",
        )
    from mstl_edge.study.shares import parse_share

    if cluster is None:
        return None, None if task is None else parse_share(task)
    from mstl_edge.cluster import check_reachable, parse_place

    place = parse_place(cluster)
    check_reachable(place)
    if threads is None:
        options.limit_tensorflow(THREADS_OF_A_TASK)  # bridges are trained here, and equal bytes need equal counts
    return place, None


def _tell_plan(opened: StudyFolder, *, as_json: bool) -> None:
    plan = opened.plan()
    trainings = len(plan.arms) * len(plan.places) * (1 + len(plan.learning_curve))
    if as_json:
        print_json({"study": str(opened.path), "trainings": trainings})
        return
    say(f"{trainings} trainings are planned; all of them here: {typed('mstl-edge', 'study', '--resume', opened.path)}")
    say(f"the first of four parts: {typed('mstl-edge', 'study', '--resume', opened.path, '--task', '1/4')}")


def _do_share(opened: StudyFolder, share: Share, threads: int | None, *, as_json: bool) -> None:
    from mstl_edge.training.study.run import run_share

    with resumable("study", opened.path):
        done, total = run_share(opened, share, threads=threads, reporter=Terminal())
    if as_json:
        print_json(
            {"study": str(opened.path), "task": share.number, "of": share.of, "finished": done, "trainings": total}
        )
        return
    say(f"part {share.number} of {share.of} is done; {done} of {total} trainings are finished")
    say(f"when all parts are: {typed('mstl-edge', 'study', '--resume', opened.path)}")


def _finished(opened: StudyFolder, threads: int | None, place: Place | None) -> Study:
    from mstl_edge.training.study.run import run_study

    executor = None
    if place is not None:
        from mstl_edge.cluster import OnRay

        threads = threads or THREADS_OF_A_TASK
        executor = OnRay(place, threads, Terminal())
    with resumable("study", opened.path):
        return run_study(opened, threads=threads, executor=executor, bench=_bench, reporter=Terminal())


def _bench(models: Sequence[Path]) -> BenchReport:
    """Return what the files of several networks cost here, in turns, on one thread."""
    from mstl_edge_bench.bench import BenchPlan, run_bench

    return run_bench(BenchPlan(models=tuple(models), accuracy=False), reporter=Terminal())
