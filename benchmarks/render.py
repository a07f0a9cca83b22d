"""Write the tables and pictures of README and docs: `python benchmarks/render.py`, or `--check` to compare.

They are made from committed results, those of docs/recipe.md from the specs of a recipe and those of docs/backbones.md from the
registry. A table stands between
`<!-- NAME:begin -->` and `<!-- NAME:end -->`; no number in it is typed by hand. A mark that nothing gives a table for is an error.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mstl_edge.storage import write_text
from rendered import backbones, recipe_keys, studies, suites

HERE = Path(__file__).parent
ROOT = HERE.parent
EXPERIMENTS = [
    importlib.import_module(f"experiments.{path.parent.name}.render")
    for path in sorted((HERE / "experiments").glob("*/render.py"))
]
TABLES: dict[str, Callable[[], str]] = {
    "suites": suites.suites,
    "backbones": backbones.registry,
    "operators": backbones.operators,
    **recipe_keys.tables(),
    **studies.tables(),
    **{name: draw for experiment in EXPERIMENTS for name, draw in experiment.TABLES.items()},
}
PICTURES: dict[str, Callable[[], str]] = {
    name: draw for experiment in EXPERIMENTS for name, draw in getattr(experiment, "PICTURES", {}).items()
}
_MARK = re.compile(r"<!-- (\S+):(begin|end) -->")


def main() -> int:
    """Render every table; return 1 where a mark has no table, and with `--check` also where a file would change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="Change nothing; exit 1 where a table is out of date.")
    check = parser.parse_args().check
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    if lost := [f"{mark} in {page.relative_to(ROOT)}" for page, text in texts.items() for mark in lost_marks(text)]:
        sys.stderr.write(
            f"expected a committed result, a beginning and an end for every marked table. Received: {', '.join(lost)}. "
            "Bring the result back, or take the marks out.\n"
        )
        return 1
    wanted = {page: render(text) for page, text in texts.items()}
    wanted |= {ROOT / name: draw() for name, draw in PICTURES.items()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if not check:
        for path in stale:
            write_text(path, wanted[path])
    if stale:
        sys.stderr.write(
            f"{'out of date' if check else 'rendered'}: {', '.join(str(path.relative_to(ROOT)) for path in stale)}\n"
        )
    return int(check and bool(stale))


def lost_marks(text: str) -> list[str]:
    """Return the names of marks that no table belongs to, or that stand alone."""
    ends: dict[str, list[str]] = {}
    for name, end in _MARK.findall(text):
        ends.setdefault(name, []).append(end)
    return [name for name, found in ends.items() if name not in TABLES or found != ["begin", "end"]]


def render(text: str) -> str:
    """Return `text` with every marked table drawn anew."""
    for name, draw in TABLES.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if begin in text:
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}\n{draw()}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    raise SystemExit(main())
