"""Write the tables and pictures of README and docs: `python benchmarks/render.py`, or `--check` to compare.

They are made from committed results, those of docs/recipe.md from the specs of a recipe and those of docs/backbones.md from the
registry. A table stands between
`<!-- NAME:begin -->` and `<!-- NAME:end -->`; no number in it is typed by hand. A mark that nothing gives a table for is an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mstl_edge.storage import write_text
from rendered import (
    backbones,
    cluster,
    cross_fit,
    doubt,
    fine_tuning,
    models,
    own_images,
    pictures,
    programs,
    promises,
    recipe_keys,
    speed,
    studies,
    suites,
    two_versions,
    where_it_looks,
)

ROOT = Path(__file__).parents[1]
TABLES: dict[str, Callable[[], str]] = {
    "suites": suites.suites,
    "phantom": models.phantom,
    "real-runs": models.real_runs,
    "real-int8": models.real_int8,
    "quantization": models.quantization_in_short,
    "quantization-steps": models.quantization,
    "instructions": models.instructions,
    "own-images": own_images.runs,
    "own-images-classes": own_images.classes,
    "doubt-sets": doubt.sets,
    "doubt-familiarity": doubt.familiarity,
    "doubt-instructions": doubt.instructions,
    "pointing": where_it_looks.pointing,
    "faithful-maps": where_it_looks.faithful,
    "sane-maps": where_it_looks.sane,
    "promises": promises.promises,
    "promises-in-short": promises.in_short,
    "agreement-of-lite": models.agreement_of_lite,
    "cluster": cluster.cluster,
    "two-trainers": cluster.two_trainers,
    "cross-fit-time": cross_fit.cross_fit_time,
    "runtimes": models.runtimes,
    "other-programs": programs.answers,
    "weight-bits": programs.weight_bits,
    "training-speed": speed.training_speed,
    "whole-run": speed.whole_run,
    "two-versions": two_versions.two_versions,
    "training-equality": speed.training_equality,
    "training-pairs": speed.training_pairs,
    "fine-tuning": fine_tuning.seconds,
    "fine-tuning-pairs": fine_tuning.pairs,
    "decoding": speed.decoding,
    "dicom-decoding": speed.dicom_decoding,
    "growth": speed.growth,
    "profile": speed.profile,
    "peak": speed.peak,
    "backbones": backbones.registry,
    "operators": backbones.operators,
    **recipe_keys.tables(),
    **studies.tables(),
}
_MARK = re.compile(r"<!-- (\S+):(begin|end) -->")
PICTURES: dict[str, Callable[[], str]] = {
    "docs/growth-time.svg": pictures.growth_time,
    "docs/growth-memory.svg": pictures.growth_memory,
}


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
