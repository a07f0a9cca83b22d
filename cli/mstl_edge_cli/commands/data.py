"""`mstl-edge data check`: the audit of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstl_edge import bounded
from mstl_edge.errors import printable
from mstl_edge_cli import options
from mstl_edge_cli.console import print_json, print_table, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.terminal import progress_bar

if TYPE_CHECKING:
    from mstl_edge.data.audit import Audit
    from mstl_edge.data.files.labelled import DataSource
    from mstl_edge.data.scan import Scan
    from mstl_edge.metrics import Interval
    from mstl_edge.training.unseen.doubtful import DoubtfulLabel

LabelsOf = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="RUN",
        help="List the labels that a run on these data finds hardest to believe.",
        show_default=False,
    ),
]
SheetFile = Annotated[
    Path | None,
    typer.Option(
        "--sheet", metavar="FILE", help="Write the pictures as one HTML file, to look through.", show_default=False
    ),
]
SHOWN = 20
DOUBTED_SHOWN = 10
SIZES_SHOWN = FINDINGS_SHOWN = 5
"""How many rows of a list the tables show, findings without `--verbose`; `--json` has all."""


def register(app: typer.Typer) -> None:
    """Add the group `data` to `app`."""
    group = typer.Typer(help="Look at data sets before training on them.", no_args_is_help=True)
    group.callback()(_data)
    group.command("check", epilog="Example: mstl-edge data check phantom:head-ct")(check)
    app.add_typer(group, name="data", epilog="Example: mstl-edge data check ~/data/chest --patient '^([0-9]+)_'")


def _data() -> None:
    """Look at data sets before training on them."""


def check(
    source: Annotated[
        str, typer.Argument(help="Folder, CSV file, kaggle:owner/name, phantom:chest or phantom:head-ct.")
    ],
    patient: Annotated[
        str, typer.Option(metavar="REGEX", help="Patient in the file name: the first group or the whole match.")
    ] = "",
    column: Annotated[str, typer.Option(metavar="NAME", help="Column of the CSV that names the patient.")] = "",
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    map: options.MapFindings = None,  # noqa: A002 - the option's own name
    only: options.OnlyClasses = None,
    slices: options.SlicesOfSeries = None,
    resplit: options.Resplit = False,
    labels: LabelsOf = None,
    sheet: SheetFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole audit as JSON.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Audit a data set, and say whether it is ready to be trained on.

    Classes, sizes, unreadable files, duplicates, patients, leaks, and whether size or frame alone tell the class; exit code 1 if
    training would refuse it.

    --labels RUN trains the run's last stage again without parts of the images, and lists the labels that are hardest to believe.
    """
    from mstl_edge.counted import counted
    from mstl_edge.data.audit import audit_source
    from mstl_edge.data.files.labelled import left_out_lines
    from mstl_edge.data.labels.choosing import Choice, parsed
    from mstl_edge.data.labels.columns import Wanted
    from mstl_edge.data.scan import scan_source
    from mstl_edge.data.sources import open_source
    from mstl_edge.recipe import PreprocessSpec, SplitSpec

    choice = Choice(parsed(map), parsed(only))
    opened = open_source(
        source,
        Wanted(image=image_column or "", label=label_column or "", patient=column),
        patient=patient,
        choice=choice,
        slices=slices or "all",
    )
    say(f"reading {counted(len(opened.images), 'file')} of {source}")
    with progress_bar("reading images", len(opened.images)) as advance:
        scan = scan_source(opened, PreprocessSpec(), advance=advance)
    audit = audit_source(opened, scan, SplitSpec(resplit=resplit, conflicts="drop"))
    doubted = _doubted(labels, opened, scan)
    for remark in (*audit.notes, *left_out_lines(audit.left_out)):
        say(f"note: {remark}")
    for error in audit.errors:
        say(f"error: {error}")
    if json:
        tree = audit.to_tree()
        print_json(tree if labels is None else tree | {"doubtful_labels": [asdict(row) for row in doubted]})
    else:
        from mstl_edge_cli.endings.data import check_ending

        settings = {
            "--patient": patient,
            "--set": f"stages.target.split.column={column}" if column else "",
            "--image-column": image_column or "",
            "--label-column": label_column or "",
            "--map": ",".join(choice.renamed),
            "--only": ",".join(choice.only),
            "--slices": slices or "",
        }
        print_audit(audit, verbose=verbose)
        print_doubted(doubted)
        print_ending(check_ending(audit, settings, resplit=resplit))
    if sheet is not None:
        _write_sheet(sheet, opened, audit, doubted)
    if audit.errors:
        raise typer.Exit(1)


def _doubted(run: Path | None, source: DataSource, scan: Scan) -> tuple[DoubtfulLabel, ...]:
    """Return the labels of the data set that a run believes least.

    Raises:
        DataError: The run was trained on other images.
        RunError: It is none, or is not finished.
    """
    if run is None:
        return ()
    from mstl_edge.data.splits import load_manifest
    from mstl_edge.errors import DataError
    from mstl_edge.runs import open_run
    from mstl_edge.training.unseen.doubtful import doubtful_labels
    from mstl_edge_cli.terminal import Terminal

    opened = open_run(run)
    stage = opened.recipe().stages[-1].name
    known = {(row.name, row.sha256, row.label) for row in load_manifest(opened.manifest(stage)).rows}
    here = {
        (image.name, scan.facts[image.name].sha256, image.label) for image in source.images if image.name in scan.facts
    }
    if len(known & here) < len(known):
        raise DataError(
            f"the images that {run} was trained on",
            received=f"{source.source}, which has {len(known & here):,} of its {len(known):,} images under their labels",
            hint="Name the data of its last stage, or train on these: mstl-edge train",
        )
    return doubtful_labels(opened, reporter=Terminal())


def print_doubted(rows: Sequence[DoubtfulLabel]) -> None:
    """Print the labels that are hardest to believe."""
    if rows:
        listed = [
            (printable(row.name), row.label, row.answered, f"{row.probability:.1%}") for row in rows[:DOUBTED_SHOWN]
        ]
        title = (
            f"labels that are hardest to believe, of {len(rows):,} images that the answering network had not learned"
        )
        print_table(f"\n{title}", ["image", "label", "answered", "probability of its label"], listed)


def _write_sheet(path: Path, source: DataSource, audit: Audit, doubted: Sequence[DoubtfulLabel]) -> None:
    from mstl_edge.recipe import PreprocessSpec
    from mstl_edge.report.contact_sheet import KEEP, Doubted, contact_sheet
    from mstl_edge.storage import write_text
    from mstl_edge_cli.terminal import Terminal

    first = [Doubted(row.name, f"answered {row.answered}, {row.probability:.1%}") for row in doubted[:DOUBTED_SHOWN]]
    write_text(path, contact_sheet(source, audit, PreprocessSpec(), first, Terminal()))
    say(f"contact sheet: {path}. {KEEP}")


def print_audit(audit: Audit, *, verbose: bool = False) -> None:
    """Print the classes, a summary, and what was found; sizes, modes and patients only with `verbose`."""
    from mstl_edge.data.shortcuts import TITLES

    rows = [
        [label, n, *(split.get(label, 0) for split in audit.declared.values())] for label, n in audit.classes.items()
    ]
    print_table(f"classes of {audit.source}", ["class", "images", *audit.declared], rows)
    summary = [row for row in _summary(audit) if verbose or row[1] != 0]
    print_table("\nimages", ["what", "count"], summary)
    if verbose:
        sizes = [(f"{size.width}×{size.height}", size.n) for size in audit.sizes]
        _print_list("sizes in pixels", ["size", "images"], sizes, shown=SIZES_SHOWN)
        print_table("\nmodes", ["mode", "images"], list(audit.modes.items()))
        several = sorted(((n, name) for name, n in audit.patients.items() if n > 1), key=lambda row: (-row[0], row[1]))
        _print_list("patients with several images", ["patient", "images"], [(name, n) for n, name in several])
    ways = [
        (TITLES[way.kind], _share(way.balanced_accuracy), f"{way.chance:.1%}")
        for way in audit.shortcuts
        if verbose or way.tells
    ]
    if ways:
        title = f"what tells the class beside what is shown, cross-validated on {audit.shortcuts[0].images:,} images"
        print_table(f"\n{title}", ["by", "balanced accuracy", "chance"], ways)
    _print_findings(audit, shown=SHOWN if verbose else FINDINGS_SHOWN)


def _print_findings(audit: Audit, *, shown: int) -> None:
    lists: list[tuple[str, list[str], Sequence[tuple[object, ...]]]] = [
        ("unreadable files", ["file", "reason"], [(lost.name, lost.reason) for lost in audit.unreadable]),
        ("same file twice", ["files"], [(", ".join(names),) for names in audit.exact_duplicates]),
        ("near-duplicates", ["first", "second", "similarity", "label"], [
            (pair.first, pair.second, f"{pair.similarity:.3f}", "same" if pair.same_label else "different")
            for pair in audit.near_duplicates
        ]),
        ("one image under two labels", ["files"], [(", ".join(names),) for names in audit.conflicts]),
        ("leaks between declared splits", ["group", "files"], [(leak.group, ", ".join(leak.images)) for leak in audit.leaks]),
        ("labels without an image", ["image"], [(name,) for name in audit.missing]),
        ("images without a label", ["image"], [(name,) for name in audit.unlabelled]),
        ("left out", ["what", "why"], [(left.name, left.reason) for left in audit.left_out]),
    ]  # fmt: skip
    for title, columns, rows in lists:
        _print_list(title, columns, rows, shown=shown)


def _summary(audit: Audit) -> list[tuple[str, object]]:
    known = audit.patients_known
    widths = [size.width for size in audit.sizes] or [0]
    heights = [size.height for size in audit.sizes] or [0]
    return [
        ("readable images", audit.images),
        ("unreadable files", len(audit.unreadable)),
        ("patients", len(audit.patients) if known else "unknown"),
        *([("patients with several images", audit.patients_with_several_images)] if known else []),
        ("independent groups" if known else "independent groups (near-duplicates together)", audit.groups),
        ("width in pixels", _span(widths)),
        ("height in pixels", _span(heights)),
        ("labels without an image", len(audit.missing)),
        ("images without a label", len(audit.unlabelled)),
        ("left out: masks, links that lead back, files of systems", len(audit.left_out)),
    ]


def _share(interval: Interval) -> str:
    return bounded.with_signs(interval)


def _span(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}" if min(values) < max(values) else str(min(values))


def _print_list(title: str, columns: list[str], rows: Sequence[tuple[object, ...]], *, shown: int = SHOWN) -> None:
    if rows:
        more = f" (the first {shown} of {len(rows):,})" if len(rows) > shown else ""
        listed = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows[:shown]]
        print_table(f"\n{title}{more}", columns, listed)
