"""`mstl-edge bench`: accuracy, latency, parameters, size and memory, against the float model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mstl_edge_cli import options
from mstl_edge_cli.console import Meaning, print_table, print_text, say
from mstl_edge_cli.endings.ending import print_ending
from mstl_edge_cli.terminal import Terminal

if TYPE_CHECKING:
    from mstl_edge.schemas.bench import BenchReport
    from mstl_edge_bench.compare.baseline import Tolerances

Form = Literal["table", "all", "json", "csv", "markdown"]
_VALID: dict[str, Meaning] = {"yes": "good", "no": "doubtful"}
"""What the column `valid` means."""
_DECIDING_OF_A_CLASS = ("class", "images", "recall %", "precision %")

Models = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="MODEL",
        help="Model files or one run folder; default the latest run's exports.",
        show_default=False,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE|STAGE=PATH",
        help="Labelled images for accuracy; default the run's own test split, which STAGE=PATH finds where it has moved.",
        show_default=False,
    ),
]
Split = Annotated[str, typer.Option(metavar="auto|test|all", help="Which images of --data.")]
ThreadCounts = Annotated[
    str | None,
    typer.Option("--threads", metavar="N,M", help="Threads, by commas; default 1 and all cores.", show_default=False),
]
RuntimeName = Annotated[
    str, typer.Option("--runtime", metavar="auto|litert|tflite-runtime|reference", help="What runs the models.")
]
Blocks = Annotated[int, typer.Option(help="Blocks of times per model that have to agree, at least 5.")]
Patience = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="How long blocks are added, at most, until their medians agree; 0 adds none."),
]
Repeats = Annotated[
    int | None,
    typer.Option(help="Times per block; default about 0.3 s, at least 20; fewer show no p99.", show_default=False),
]
ReportFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON report.", show_default=False)
]
PytestFile = Annotated[
    Path | None,
    typer.Option("--pytest-benchmark", metavar="FILE", help="Write pytest-benchmark's JSON too.", show_default=False),
]
Baseline = Annotated[
    Path | None,
    typer.Option("--compare", metavar="BASELINE.json", help="An earlier report of this host.", show_default=False),
]
FailOn = Annotated[
    str | None,
    typer.Option("--fail-on", metavar="latency:10%,accuracy:1pt", help="Exit 3 on a regression.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("bench", epilog="Example: mstl-edge bench --compare baseline.json --fail-on latency:10%,accuracy:1pt")(
        bench
    )


def bench(
    models: Models = None,
    data: Source = None,
    split: Split = "auto",
    accuracy: Annotated[bool, typer.Option("--accuracy/--no-accuracy", help="Score labelled images.")] = True,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Measure what the run's export did not choose, too.")
    ] = False,
    threads: ThreadCounts = None,
    runtime: RuntimeName = "auto",
    blocks: Blocks = 5,
    repeats: Repeats = None,
    patience: Patience = 30.0,
    out: ReportFile = None,
    pytest_benchmark: PytestFile = None,
    compare: Baseline = None,
    fail_on: FailOn = None,
    json: options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables for a README.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure models on this machine: accuracy, latency, parameters, size and memory, int8 beside float.

    Times come in blocks after a warm-up, models in turns, until blocks agree. Where they don't (~), where clock, temperature or
    supply spoil them, or the CPU is emulated, times are not valid, and no speed-up is made of them.
    """
    from mstl_edge.schemas.bench_reading import read_report
    from mstl_edge_bench.bench import BenchPlan, run_bench
    from mstl_edge_bench.compare.baseline import Baseline, Tolerances, parse_tolerances

    if json + as_csv + markdown > 1:
        raise typer.BadParameter("--json, --csv and --markdown exclude each other")
    if split not in ("auto", "test", "all"):
        raise typer.BadParameter("--split is auto, test or all")
    if fail_on is not None and compare is None:
        raise typer.BadParameter("--fail-on needs --compare BASELINE.json")
    # Before minutes of measuring: a baseline that can't be read, or a file that can't be written, would make them useless.
    tolerances = parse_tolerances(fail_on) if fail_on is not None else Tolerances()
    against = Baseline(read_report(compare), tolerances) if compare is not None else None
    for option, path in (("--out", out), ("--pytest-benchmark", pytest_benchmark)):
        if path is not None:
            _check_writable(option, path)
    plan = BenchPlan(
        models=tuple(models or ()), data=data, split=split, candidates=candidates, accuracy=accuracy,  # type: ignore[arg-type]
        threads=_thread_counts(threads), runtime=runtime, blocks=blocks, repeats=repeats, patience_s=patience,  # type: ignore[arg-type]
    )  # fmt: skip
    report = run_bench(plan, against=against, reporter=Terminal())
    form: Form = "json" if json else "csv" if as_csv else "markdown" if markdown else "all" if verbose else "table"
    with ExitStack() as last:
        # In reverse order, and whatever fails among them hides none of the others: minutes of measuring, or a regression.
        if against is not None:
            last.callback(_judge_changes, report, tolerances)
        if pytest_benchmark is not None:
            last.callback(_write_pytest_benchmark, report, pytest_benchmark)
        if out is not None:
            last.callback(_write_report, report, out)
        print_report(report, form, models=plan.models, out=out)


def _thread_counts(text: str | None) -> tuple[int, ...]:
    from mstl_edge.data.workers import usable_cores
    from mstl_edge.errors import MstlEdgeError

    if text is None:
        return tuple(sorted({1, usable_cores()}))
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise MstlEdgeError("--threads as numbers", received=text, hint="For example --threads 1,2") from None


def _check_writable(option: str, path: Path) -> None:
    """Refuse a file that can't be written, before anything is measured.

    Raises:
        MstlEdgeError: It is a folder, or its folder can't be made or written.
    """
    from tempfile import TemporaryFile

    from mstl_edge.errors import MstlEdgeError

    if path.is_dir():
        raise MstlEdgeError(f"a file for {option}", received=f"{path}, a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise MstlEdgeError(
            f"a file that can be written for {option}", received=f"{path} ({error.strerror})", hint="Name another one."
        ) from error


def _write_report(report: BenchReport, path: Path) -> None:
    from mstl_edge.schemas.bench import encode_report
    from mstl_edge.storage import write_bytes

    write_bytes(path, encode_report(report))


def _write_pytest_benchmark(report: BenchReport, path: Path) -> None:
    import msgspec

    from mstl_edge.storage import write_bytes
    from mstl_edge_bench.output.pytest_benchmark import to_pytest_benchmark

    write_bytes(path, msgspec.json.format(msgspec.json.encode(to_pytest_benchmark(report)), indent=1))
    say(f"pytest-benchmark file: {path}")


def print_report(
    report: BenchReport, form: Form = "table", *, models: Sequence[Path] = (), out: Path | None = None
) -> None:
    """Print a report on stdout: what a person decides by, all tables, or another form; remarks on tables go to stderr.

    Args:
        report: What was measured.
        form: How.
        models: As they were named, for the next command.
        out: Where the report is written.
    """
    from mstl_edge.schemas.bench import encode_report
    from mstl_edge_bench.output import tables

    if form == "json":
        typer.echo(encode_report(report), nl=False)
    elif form == "csv":
        typer.echo(tables.to_csv(report), nl=False)
    elif form == "markdown":
        typer.echo(tables.to_markdown(report), nl=False)
    else:
        from mstl_edge_cli.endings.bench import bench_ending

        print_tables(report) if form == "all" else print_deciding(report)
        for remark in tables.remarks(report):
            say(f"note: {remark}")
        print_ending(bench_ending(report, models=models, out=out))


def print_deciding(report: BenchReport) -> None:
    """Print what a person decides by; each class by itself where there are more than two."""
    from mstl_edge_bench.output import tables

    scored = _scored(report)
    title = f"speed on {tables.describe_host_in_short(report.host)}; medians of {report.protocol.blocks} blocks"
    title += f"\naccuracy: {scored}" if scored else ""
    print_table(title, tables.DECIDING_COLUMNS, tables.deciding_rows(report), meanings=_VALID)
    if by_class := tables.class_rows(report):
        schemes = {(row[0], row[1]) for row in by_class}
        name = 1 if len({scheme for _, scheme in schemes}) == len(schemes) else 0
        shown = [name, *(tables.CLASS_COLUMNS.index(column) for column in _DECIDING_OF_A_CLASS)]
        columns, rows = [tables.CLASS_COLUMNS[i] for i in shown], [[row[i] for i in shown] for row in by_class]
        print_table("\neach class by itself (95 % intervals)", columns, rows, repeated=2)


def print_tables(report: BenchReport) -> None:
    """Print every table, and what the comparisons say."""
    from mstl_edge_bench.output import tables

    title = f"\nspeed on {tables.describe_host(report.host)}"
    print_table(title, tables.SPEED_COLUMNS, tables.speed_rows(report), meanings=_VALID, repeated=2)
    if scored := _scored(report):
        title = f"\naccuracy: {scored} (95 % intervals)"
        print_table(title, tables.ACCURACY_COLUMNS, tables.accuracy_rows(report))
    if by_class := tables.class_rows(report):
        print_table("\neach class by itself (95 % intervals)", tables.CLASS_COLUMNS, by_class, repeated=3)
    title = "\nfootprint; memory grown at each step of a fresh process, and its peak"
    print_table(title, tables.FOOTPRINT_COLUMNS, tables.footprint_rows(report))
    for comparison in report.comparisons:
        print_text("")
        for line in (*tables.comparison_lines(comparison), *tables.size_lines(comparison)):
            print_text(line)


def _scored(report: BenchReport) -> str:
    return next((row.accuracy.data for row in report.results if row.accuracy), "")


def _judge_changes(report: BenchReport, tolerances: Tolerances) -> None:
    """Say what changed against the baseline, and raise for what got worse than tolerated."""
    from mstl_edge_bench.compare.regression import describe_change, describe_verdict, refuse_regressions

    for change in report.changes:
        say(f"baseline: {describe_change(change)}: {describe_verdict(change)}")
    refuse_regressions(report.changes, tolerances)
