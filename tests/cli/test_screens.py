"""What a person sees on a terminal of 80 and of 120 columns, kept as text under `screens/COLUMNS/NAME.txt`.

After a change that is wanted: pytest tests/cli/test_screens.py --update-screens, and read what git says of the folder.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from mstl_edge.data.audit import Audit, FewImages, Leak, NearDuplicate, SizeCount
from mstl_edge.data.files.walk import LeftOut, Unreadable
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge.schemas.export import EXPORT, Export
from mstl_edge.schemas.metrics import METRICS, RunMetrics
from mstl_edge.schemas.study import STUDY, Study
from mstl_edge_cli.app import app, main
from mstl_edge_cli.commands.bench import print_report
from mstl_edge_cli.commands.data import print_audit
from mstl_edge_cli.commands.export import print_candidates
from mstl_edge_cli.commands.run import print_run
from mstl_edge_cli.commands.train import print_metrics
from mstl_edge_cli.endings.bench import bench_ending
from mstl_edge_cli.endings.data import check_ending
from mstl_edge_cli.endings.ending import Ending, print_ending
from mstl_edge_cli.endings.export import export_ending
from mstl_edge_cli.endings.run import run_ending
from mstl_edge_cli.endings.study import study_ending
from mstl_edge_cli.endings.train import train_ending
from mstl_edge_cli.study.tables import print_study

SCREENS = Path(__file__).parent / "screens"
RECORDS = Path(__file__).parents[1] / "data" / "screens"
WIDTHS = (80, 120)
MOST_LINES = 15
RUN = Path("runs/ct-hemorrhage-20260101-120000")
STUDY_FOLDER = Path("studies/ct-hemorrhage-20260101-120000")
BENCH = Path("pi4-bench.json")


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def metrics(name: str = "metrics") -> RunMetrics:
    return METRICS.read(RECORDS / f"{name}.json", hint="")


def exported(name: str) -> Export:
    return EXPORT.read(RECORDS / f"export-{name}.json", hint="")


def bench(name: str = "bench"):
    return read_report(RECORDS / f"{name}.json")


STUDY_RECORD = STUDY.read(RECORDS / "study.json", hint="")
NETWORKS_RECORD = STUDY.read(RECORDS / "study-of-networks.json", hint="")


def audit(**found: object) -> Audit:
    fields = {
        "source": "./head-ct", "images": 200, "classes": {"hemorrhage": 100, "normal": 100}, "declared": {},
        "sizes": (SizeCount(512, 512, 180), SizeCount(400, 512, 20)), "modes": {"L": 180, "RGB": 20}, "patients_known": False,
        "patients": {}, "groups": 187, "unreadable": (), "exact_duplicates": (), "near_duplicates": (), "conflicts": (),
        "leaks": (), "missing": (), "unlabelled": (), "left_out": (), "notes": (), "errors": (),
    }  # fmt: skip
    return Audit(**{**fields, **found})  # type: ignore[arg-type]


READY = audit()
DOUBTFUL = audit(
    classes={"hemorrhage": 31, "normal": 169},
    near_duplicates=tuple(NearDuplicate(f"hemorrhage/{n:03}.png", f"normal/{n:03}.png", 0.97, False) for n in range(9)),
    left_out=(LeftOut("hemorrhage/004_mask.png", "a mask beside its picture"),),
    warnings=(FewImages("hemorrhage", 31, "validation", 5),),
)
NOT_READY = audit(
    declared={"train": {"hemorrhage": 80, "normal": 80}, "test": {"hemorrhage": 20, "normal": 20}},
    unreadable=(Unreadable("hemorrhage/012.png", "0 bytes"),),
    conflicts=(("hemorrhage/001.png", "normal/044.png"),),
    leaks=(Leak("patient 17", ("train/hemorrhage/017_1.png", "test/hemorrhage/017_2.png")),),
    errors=("1 image appears under two labels", "1 patient or near-duplicate lies in more than one declared split"),
)
LEAKING = audit(
    declared=NOT_READY.declared,
    leaks=NOT_READY.leaks,
    errors=("1 patient or near-duplicate lies in more than one declared split; deal anew with --resplit",),
)


def check(found: Audit, *, verbose: bool = False) -> None:
    print_audit(found, verbose=verbose)
    print_ending(check_ending(found, {"--patient": ""}, resplit=False))


def train(name: str = "metrics", *, verbose: bool = False) -> None:
    print_metrics(metrics(name), verbose=verbose)
    print_ending(train_ending(metrics(name), RUN))


def export(name: str, *, verbose: bool = False) -> None:
    print_candidates(exported(name), verbose=verbose)
    print_ending(export_ending(exported(name), RUN))


def run(name: str, *, of: str = "metrics", timed: str | None = "bench", verbose: bool = False) -> None:
    measured = None if timed is None else bench(timed)
    print_run(metrics(of), exported(name), measured, verbose=verbose)
    print_ending(run_ending(metrics(of), exported(name), measured, run=RUN, report=RUN / "report.html"))


def study(of: Study = STUDY_RECORD, *, verbose: bool = False) -> None:
    print_study(of, verbose=verbose)
    print_ending(study_ending(of, STUDY_FOLDER))


def call(*arguments: str) -> None:
    sys.argv = ["mstl-edge", *arguments]
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def list_runs() -> None:
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run

    run = create_run(load_recipe("ct-hemorrhage"), RUN, versions={})
    run.run_file.write_text(re.sub('"made": "[^"]*"', '"made": "2026-01-01T12:00:00+00:00"', run.run_file.read_text()))
    call("runs", "list")


def every_command() -> list[str]:
    root = typer.main.get_command(app)
    names = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        names += [name, *(f"{name} {inner}" for inner in getattr(command, "commands", {}))]
    return ["", *names]


def help_of(name: str) -> Callable[[], None]:
    return lambda: call(*name.split(), "--help")


OUTPUTS: dict[str, Callable[[], None]] = {
    "train": train,
    "train-verbose": lambda: train(verbose=True),
    "train-of-three": lambda: train("metrics-of-three"),
    "train-of-three-verbose": lambda: train("metrics-of-three", verbose=True),
    "export-proven": lambda: export("proven"),
    "export-proven-verbose": lambda: export("proven", verbose=True),
    "export-undecided": lambda: export("undecided"),
    "export-refused": lambda: export("refused"),
    "export-refused-verbose": lambda: export("refused", verbose=True),
    "export-of-three": lambda: export("of-three"),
    "bench": lambda: print_report(bench(), out=BENCH),
    "bench-verbose": lambda: print_report(bench(), "all"),
    "bench-unstable": lambda: print_report(bench("bench-unstable"), models=[RUN]),
    "bench-of-three": lambda: print_report(bench("bench-of-three")),
    "run-proven": lambda: run("proven"),
    "run-proven-verbose": lambda: run("proven", verbose=True),
    "run-undecided-unstable": lambda: run("undecided", timed="bench-unstable"),
    "run-refused": lambda: run("refused", timed=None),
    "run-of-three": lambda: run("of-three", of="metrics-of-three", timed="bench-of-three"),
    "study": study,
    "study-verbose": lambda: study(verbose=True),
    "study-of-networks": lambda: study(NETWORKS_RECORD),
    "data-check-ready": lambda: check(READY),
    "data-check-ready-verbose": lambda: check(READY, verbose=True),
    "data-check-doubtful": lambda: check(DOUBTFUL),
    "data-check-not-ready": lambda: check(NOT_READY),
    "data-check-leaking": lambda: check(LEAKING),
    "runs-list": list_runs,
    "recipes-list": lambda: call("recipes", "list"),
    "recipes-show": lambda: call("recipes", "show", "phantom"),
    "inspect": lambda: call("inspect", "tiny-int8.tflite"),
    "inspect-tensors": lambda: call("inspect", "tiny-int8.tflite", "--tensors"),
    "predict": lambda: call("predict", "tiny-int8.tflite", "scans", "--runtime", "reference"),
    "predict-doubtful": lambda: call(
        "predict", "doubting-int8.tflite", "scans", "--explain", "maps", "--runtime", "reference"
    ),
    "inspect-doubtful": lambda: call("inspect", "doubting-int8.tflite"),
}
HELP = {f"help-{name.replace(' ', '-')}" if name else "help": help_of(name) for name in every_command()}
ENDINGS: dict[str, Callable[[], Ending]] = {
    "train": lambda: train_ending(metrics(), RUN),
    "export-undecided": lambda: export_ending(exported("undecided"), RUN),
    "export-refused": lambda: export_ending(exported("refused"), RUN),
    "bench": lambda: bench_ending(bench(), out=BENCH),
    "bench-unstable": lambda: bench_ending(bench("bench-unstable"), models=[RUN]),
    "run-proven": lambda: run_ending(metrics(), exported("proven"), bench(), run=RUN, report=RUN / "report.html"),
    "run-undecided": lambda: run_ending(
        metrics(), exported("undecided"), bench("bench-unstable"), run=RUN, report=RUN / "report.html"
    ),
    "run-refused": lambda: run_ending(metrics(), exported("refused"), None, run=RUN, report=RUN / "report.html"),
    "study": lambda: study_ending(STUDY_RECORD, STUDY_FOLDER),
    "study-of-networks": lambda: study_ending(NETWORKS_RECORD, STUDY_FOLDER),
    "data-check": lambda: check_ending(DOUBTFUL, {"--patient": r"^(\d+)_"}, resplit=True),
}


Show = Callable[..., str]


@pytest.fixture
def show(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    exported: Callable[[str], Path],
    doubting_model: Path,
    picture: Callable[[Path, int], Path],
) -> Show:
    """Return what something prints on a terminal of so many columns, stdout and stderr together.

    A model lies beside, and images, of which it can tell a few.
    """
    shutil.copy(exported("tiny_int8"), tmp_path / "tiny-int8.tflite")
    shutil.copy(doubting_model, tmp_path / "doubting-int8.tflite")
    for number in range(3):
        picture(tmp_path / "scans" / f"{number + 1:03}.png", number)

    def shown(draw: Callable[[], None], width: int, *, colours: bool = False) -> str:
        terminal = Terminal()
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", sys.argv)
            patched.setattr(sys, "stdout", terminal)
            patched.setattr(sys, "stderr", terminal)
            patched.setenv("COLUMNS", str(width))
            patched.setenv("TERM", "xterm")
            draw()
        text = re.sub(r"(reference kernels) \d+\.\d+\.\d+", r"\1 2.3.0", terminal.getvalue())
        return text if colours else re.sub("\x1b\\[[0-9;]*m", "", text)

    return shown


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*OUTPUTS, *HELP])
def test_a_screen_is_as_it_was_read_and_fits(show: Show, name: str, width: int, request: pytest.FixtureRequest) -> None:
    text = show({**OUTPUTS, **HELP}[name], width)
    lines = [line.rstrip() for line in text.splitlines()]
    too_long = [line for line in lines if len(line) > width and name != "recipes-show"]
    assert too_long == []
    cut = [line for line in lines if ("…" in line and "N,N,…" not in line) or re.search(r"[a-z,] ?\.\.\.$", line)]
    assert cut == []
    kept = SCREENS / str(width) / f"{name}.txt"
    told = "\n".join(lines) + "\n"
    if request.config.getoption("--update-screens"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(told, encoding="utf-8")
    assert kept.read_text(encoding="utf-8") == told


def test_no_screen_is_kept_that_nothing_shows() -> None:
    for width in WIDTHS:
        assert {path.stem for path in (SCREENS / str(width)).glob("*")} == {*OUTPUTS, *HELP}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_takes_at_most_fifteen_lines_of_80_columns(show: Show, name: str) -> None:
    lines = show(lambda: print_ending(ENDINGS[name]()), 80).strip("\n").splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", [name for name in ENDINGS if "refused" not in name])
def test_what_is_to_be_typed_next_exists_and_a_shell_reads_it_as_one(show: Show, name: str, width: int) -> None:
    ending = ENDINGS[name]()
    told = show(lambda: print_ending(ending), width).replace("\\\n", "")  # as a shell reads it
    assert shlex.split(told[told.index("next: ") :])[1:] == shlex.split(ending.next)
    assert ending.next.split()[1] in every_command()


def test_no_default_screen_of_a_run_is_longer_than_its_ending() -> None:
    assert len((SCREENS / "80" / "run-proven.txt").read_text(encoding="utf-8").splitlines()) <= MOST_LINES + 1


COLOURED = {"export-proven": "32", "export-undecided": "33", "export-refused": "31", "data-check-doubtful": "33"}


@pytest.mark.parametrize("name", COLOURED)
def test_colour_means_good_doubtful_or_refused_and_stands_on_a_word(
    show: Show, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = set(re.findall(r"\x1b\[(?:1;)?(3[123])m([\w-]+)", show(OUTPUTS[name], 80, colours=True)))
    by_colour = {"32": {"proven", "ready", "yes"}, "33": {"undecided", "ready", "no"}, "31": {"refused", "not"}}
    assert COLOURED[name] in {colour for colour, _ in words}
    assert [(colour, word) for colour, word in words if word not in by_colour[colour]] == []


@pytest.mark.parametrize("name", COLOURED)
def test_no_color_and_a_pipe_get_no_colour(
    show: Show, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", show(OUTPUTS[name], 80, colours=True))
    monkeypatch.delenv("NO_COLOR")
    OUTPUTS[name]()
    assert "\x1b" not in capsys.readouterr().out


def test_what_an_ending_names_does_not_depend_on_the_width(show: Show) -> None:
    wide, narrow = (show(lambda: print_ending(ENDINGS["run-proven"]()), width) for width in (400, 60))
    assert wide.split() == narrow.replace("\\\n", "").split()
    assert os.fspath(RUN) in narrow
