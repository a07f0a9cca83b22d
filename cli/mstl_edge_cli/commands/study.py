"""`mstl-edge study`: repeated cross-validation of a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge.errors import RunError, typed
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.study.arms import arms_asked, build, image_counts
from mstl_edge_cli.study.tables import print_study
from mstl_edge_cli.study.work import do_share, finish, tell_plan, where
from mstl_edge_cli.subject import Subject, asked_of, subject_of
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.schemas.study_plan import StudyPlan
    from mstl_edge.study.folder import StudyFolder

FOLDS, REPEATS = 5, 2


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
    place, share = where(cluster, task, resume, threads)
    wanted = arms_asked(arm, backbones, arms, schemes, weights)
    asked = asked_of({**ctx.params, "weights": wanted.weights})
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
        subject = subject_of("study", recipe, data, replace(asked, weights="none") if wanted.networks else asked)
        plan = StudyPlan(
            recipe=subject.recipe,
            arms=build(wanted, subject, asked),
            folds=folds or FOLDS,
            repeats=repeats or REPEATS,
            fold_seed=fold_seed or 0,
            sensitivity=sensitivity or 0.0,
            learning_curve=image_counts(learning_curve),
        )
        say(f"arms {', '.join(one.name for one in plan.arms)}; starting TensorFlow")
        opened = _started(plan, subject, out)
    say(f"study: {opened.path}")
    if plan_only:
        tell_plan(opened, as_json=json)
        return
    if share is not None:
        do_share(opened, share, threads, as_json=json)
        return
    finished = finish(opened, threads, place)
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


def _started(plan: StudyPlan, subject: Subject, out: Path | None) -> StudyFolder:
    from mstl_edge.training.study.run import start_study

    return start_study(plan, out, reporter=Terminal(), seen=subject.seen)
