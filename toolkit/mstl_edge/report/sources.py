"""What was named on the command line: runs, studies and benchmarks, told apart by what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mstl_edge.errors import MstlEdgeError, typed
from mstl_edge.runs import is_run, open_run
from mstl_edge.schemas.versioned import name_of, read_tree

Kind = Literal["run", "study", "bench"]
STUDY_FILE = "study.json"
BENCH_FILES = "bench*.json"
REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Source:
    """One source.

    Attributes:
        kind: What it is.
        path: A run folder, or the JSON file of a study or benchmark.
        title: The recipe's name where it has one, else the file's.
    """

    kind: Kind
    path: Path
    title: str

    @property
    def shown(self) -> str:
        """Its name without the way to it."""
        if self.kind == "study" and self.path.name == STUDY_FILE:
            return self.path.resolve().parent.name
        return self.path.resolve().name

    @property
    def report(self) -> Path:
        """Where its report goes by default."""
        if self.kind == "run":
            return self.path / REPORT_FILE
        if self.path.name == STUDY_FILE:
            return self.path.with_name(REPORT_FILE)
        return self.path.with_name(f"{self.path.stem}-report.html")


def find_sources(named: Sequence[Path]) -> tuple[Source, ...]:
    """Return what was named, in order, without repeats; nothing takes the latest run.

    Raises:
        RunError: There is no run, or a folder is one of another version.
        MstlEdgeError: A path that is missing or of no known kind.
    """
    found: dict[Path, Source] = {}
    for path in named or [open_run(None).path]:
        for source in _sources(path):
            found.setdefault(source.path.resolve(), source)
    return tuple(found.values())


def _sources(path: Path) -> list[Source]:
    if path.is_dir():
        if is_run(path):
            run = open_run(path)
            benches = [Source("bench", file, file.name) for file in sorted(path.glob(BENCH_FILES))]
            return [Source("run", path, run.recipe().name), *benches]
        if (path / STUDY_FILE).is_file():
            return [_file(path / STUDY_FILE)]
        raise _unknown(f"{path}, a folder without run.json or {STUDY_FILE}")
    if not path.exists():
        raise _unknown(f"{path}, which does not exist")
    return [_file(path)]


def _file(path: Path) -> Source:
    tree = read_tree(path)
    schema = tree.get("schema")
    kind = name_of(schema)
    if kind == "bench":
        return Source("bench", path, path.name)
    if kind == "study":
        recipe = tree.get("recipe")
        return Source("study", path, recipe if isinstance(recipe, str) and recipe else path.resolve().parent.name)
    if kind == "metrics":
        raise _unknown(f"{path}, a part of a run", f"Name its folder: {typed('mstl-edge', 'report', path.parent)}")
    raise _unknown(f"{path} (schema {schema})")


def _unknown(received: str, hint: str = "See 'mstl-edge runs list'.") -> MstlEdgeError:
    return MstlEdgeError(
        "a run folder, a study, or the JSON file of a study or benchmark", received=received, hint=hint
    )
