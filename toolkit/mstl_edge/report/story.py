"""The report from end to end: what was named is read, drawn, and written as one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl_edge.progress import SILENT, Reporter
from mstl_edge.report.answers.answers import Paired
from mstl_edge.report.answers.mistakes import worst
from mstl_edge.report.answers.thumbnails import run_thumbnails, study_thumbnails
from mstl_edge.report.bench.bench_section import bench_part
from mstl_edge.report.html.blocks import Part, Section, together
from mstl_edge.report.page import page
from mstl_edge.report.run.paired import paired_answers
from mstl_edge.report.run.run_record import read_run
from mstl_edge.report.run.run_section import run_part
from mstl_edge.report.run.where_it_looks import where_it_looks
from mstl_edge.report.sources import Source, find_sources
from mstl_edge.report.study.study_answers import read_arm_answers
from mstl_edge.report.study.study_record import read_study
from mstl_edge.report.study.study_section import mistaken_images, study_part
from mstl_edge.runs import RunFolder
from mstl_edge.schemas.bench_reading import read_report
from mstl_edge.storage import write_text


@dataclass(frozen=True)
class Written:
    """A report on disk.

    Attributes:
        path: The HTML file.
        sources: What it was made from, in order.
        missing: What is not in it, and the command that adds it.
    """

    path: Path
    sources: tuple[Source, ...]
    missing: tuple[str, ...]


def write_report(
    named: Sequence[Path] = (), *, out: Path | None = None, with_images: bool = False, reporter: Reporter = SILENT
) -> Written:
    """Write one self-contained HTML file; equal input gives equal bytes.

    Args:
        named: Run folders, study folders or JSON files, benchmark JSON files; nothing takes the latest run. Benchmarks that a
            run folder holds (`bench*.json`) are taken with it.
        out: Where to; default `report.html` in the first folder named, or beside the first file.
        with_images: Show small pictures and file names of the worst mistakes, and where the model looked; they may be patients'
            images.
        reporter: Told of progress where the exported files have to answer the test images once more.

    Raises:
        MstlEdgeError: Something named is missing, unfinished, damaged, or of no known kind.
    """
    sources = find_sources(named)
    parts, benches = [], []
    kinds = Counter(source.kind for source in sources)
    for source in sources:
        if source.kind == "bench":
            benches.append(read_report(source.path))
            continue
        part = (
            _run(source.path, with_images, reporter)
            if source.kind == "run"
            else _study(source.path, with_images, reporter)
        )
        parts.append(_named(source.shown, part) if kinds[source.kind] > 1 else part)
    whole = together([*parts, bench_part(benches)])
    path = out or sources[0].report
    write_text(path, page(_title(sources), _subtitle(sources), whole))
    return Written(path, sources, whole.missing)


def _run(path: Path, with_images: bool, reporter: Reporter) -> Part:
    run = read_run(RunFolder(path))
    paired = paired_answers(run, reporter)
    answers = paired.int8 if isinstance(paired, Paired) else run.answered[run.last.name]
    looks = where_it_looks(run, answers, with_images=with_images)
    if not with_images:
        return run_part(run, paired, looks, None)
    wanted = {answers.name(position) for position in worst(answers)}
    return run_part(run, paired, looks, run_thumbnails(run.folder, wanted))


def _study(path: Path, with_images: bool, reporter: Reporter) -> Part:
    study = read_study(path)
    answers = read_arm_answers(path, study)
    if not with_images or answers is None:
        return study_part(study, answers, None)
    thumbnails = study_thumbnails(path.parent, mistaken_images(study, answers))
    if not thumbnails:
        reporter.say(f"{path.name} lies without its study's folder: file names of mistakes are shown, pictures are not")
    return study_part(study, answers, thumbnails)


def _named(title: str, part: Part) -> Part:
    return Part(
        tuple(f"{title}: {sentence}" for sentence in part.headline),
        tuple(Section(f"{section.title} – {title}", section.blocks) for section in part.sections),
        tuple(f"{title}: {entry}" for entry in part.missing),
    )


def _title(sources: Sequence[Source]) -> str:
    return next((source.title for source in sources if source.kind != "bench"), "Benchmark")


def _subtitle(sources: Sequence[Source]) -> str:
    kinds = {"run": "training run", "study": "study", "bench": "benchmark"}
    return "; ".join(f"{kinds[source.kind]} {source.shown}" for source in sources)
