"""The model card: what the exported file says about itself, and the recipe it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mstl_edge.artifact import Artifact, without_paths
from mstl_edge.recipe import to_tree
from mstl_edge.report.html.blocks import Table
from mstl_edge.report.html.markup import Child, Markup, tag
from mstl_edge.report.run.run_record import RunRecord
from mstl_edge.schemas.metrics import StageMetrics


def card_blocks(run: RunRecord) -> tuple[Table | Markup, ...]:
    """Return the card of the exported file, or of the trained network where nothing was exported."""
    recipe, backbone = without_paths(to_tree(run.recipe)), run.recipe.backbone
    rows: list[tuple[Child, ...]] = [
        ("Made by", f"recipe {run.recipe.name}, seed {run.recipe.seed}"),
        ("Backbone", f"{backbone.name} {backbone.variant}, {backbone.input_size}×{backbone.input_size} pixels"),
        ("Classes", ", ".join(f"{label} (positive)" if label == run.last.positive else label for label in run.last.labels)),
        ("Decision threshold", _threshold(run.last)),
        ("Temperature", f"{run.last.temperature:.4f}, fitted on validation"),
        *(_file_rows(run.artifact) if run.artifact else ()),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
        ("Intended use", "research on images like those it was trained on; no medical device, no decision about a person"),
    ]  # fmt: skip
    head = ("", "")
    what = run.artifact.name if run.artifact else "the trained network; no exported file was found"
    settings = "\n".join(f"{key} = {value}" for key, value in _flat(recipe))
    return (
        Table(head, tuple(rows), f"Model card of {what}.", words=frozenset((0, 1))),
        tag("details", tag("summary", "The resolved recipe"), tag("pre", settings)),
    )


def _threshold(entry: StageMetrics) -> str:
    if entry.threshold is None:
        return f"none: the most probable of {len(entry.labels)} classes is the answer"
    return f"{entry.threshold:.4f} on the probability of {entry.positive}, chosen on validation"


def _file_rows(artifact: Artifact) -> list[tuple[Child, ...]]:
    card, facts = artifact.card, artifact.facts
    rows: list[tuple[Child, ...]] = [
        ("File", f"{artifact.name}, {facts.size_bytes:,} bytes of flatbuffer"),
        ("Parameters", f"{facts.parameters:,}"),
        ("Multiply-accumulates", f"{facts.macs:,} per image"),
        ("Operators", ", ".join(f"{count} {name}" for name, count in facts.operators.items())),
        ("Float tensors", "none, every tensor is integer" if facts.full_integer else str(len(facts.float_tensors))),
    ]
    if card is not None:
        said = card.input.preprocess
        rows += [
            ("Scheme and verdict", f"{card.scheme}, {card.verdict}"),
            ("Input", f"{said.aspect} to {card.input.width}×{card.input.height}, {said.resize}, {card.input.dtype}"),
            ("Normalization", card.input.normalization),
            ("SHA-256 of the flatbuffer", tag("code", card.hashes.flatbuffer)),
        ]  # fmt: skip
    return rows


def _flat(tree: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every leaf with its dotted name; stages by their names."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, f"{where}.{key}" if where else str(key))
    elif isinstance(tree, list | tuple) and tree and all(isinstance(entry, dict) for entry in tree):
        for number, entry in enumerate(tree):
            rest = {key: value for key, value in entry.items() if key != "name"}
            yield from _flat(rest, f"{where}.{entry.get('name', number)}")
    else:
        yield where, json.dumps(tree, ensure_ascii=False)
