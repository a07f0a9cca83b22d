"""Files that older versions wrote are read; newer ones, and what is no such file, are one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mstl_edge.errors import RunError
from mstl_edge.schemas.export import EXPORT
from mstl_edge.schemas.study_plan import STUDY_PLAN
from mstl_edge.schemas.versioned import Schema

OLDER = Path(__file__).parents[2] / "data" / "schemas"


class Thing(msgspec.Struct, frozen=True):
    """A made-up schema of version 3, whose field had another name in 1 and another unit in 2."""

    schema: str
    seconds: float
    note: str = "none"


THING = Schema(
    "thing",
    3,
    Thing,
    {
        1: lambda tree: {**tree, "milliseconds": tree["ms"]},
        2: lambda tree: {**tree, "seconds": tree["milliseconds"] / 1000},
    },
)


@pytest.mark.parametrize(
    "tree",
    [
        {"schema": "mstl-edge/thing/1", "ms": 1500},
        {"schema": "mstl-edge/thing/2", "milliseconds": 1500},
        {"schema": "mstl-edge/thing/3", "seconds": 1.5, "unknown": [1]},
    ],
)
def test_every_version_up_to_its_own_is_read(tree: dict[str, Any]) -> None:
    assert THING.convert(tree, origin="x", hint="") == Thing("mstl-edge/thing/3", 1.5)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    thing = Thing(THING.identifier, 2.5, "a")
    THING.write(tmp_path / "thing.json", thing)
    assert THING.read(tmp_path / "thing.json", hint="") == thing


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "a JSON file that is whole"),
        ("[]", "a JSON object"),
        ('{"schema": 3}', "a file of schema mstl-edge/thing/3. Received:"),
        ('{"schema": "mstl-edge/other/1"}', "a file of schema mstl-edge/thing/3. Received:"),
        ('{"schema": "mstl-edge/thing/0"}', "a file of schema mstl-edge/thing/3. Received:"),
        ('{"schema": "mstl-edge/thing/4", "seconds": 1}', "or older"),
        ('{"schema": "mstl-edge/thing/1"}', "a whole mstl-edge/thing/1"),
        ('{"schema": "mstl-edge/thing/3", "seconds": "long"}', "a whole mstl-edge/thing/3"),
    ],
)
def test_another_file_is_one_clear_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "thing.json"
    path.write_text(content)
    with pytest.raises(RunError) as caught:
        THING.read(path, hint="Make one.")
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_export_of_version_1_keeps_what_it_said() -> None:
    tree = json.loads((OLDER / "export-1.json").read_text())
    record = EXPORT.read(OLDER / "export-1.json", hint="")
    assert record.schema == "mstl-edge/export/2"
    assert (record.chosen, record.verdict, list(record.reasons)) == (tree["chosen"], tree["verdict"], tree["reasons"])
    gate = record.candidates[2].gate
    assert gate is not None
    assert gate == record.gate
    counts = {origin.origin: origin.images for origin in gate.origins}
    assert counts == tree["candidates"][2]["gate"]["origins"]
    assert gate.drop_at_most is None


def test_a_plan_of_version_1_called_a_variant_alpha() -> None:
    stage = {"name": "target", "data": "scans", "unfreeze_from": "conv_dw_12"}
    recipe = {"name": "x", "backbone": {"name": "mobilenet_v1", "alpha": 0.25}, "stages": [stage]}
    arms = [{"name": "multi", "recipe": recipe, "schemes": ["float32"]}]
    tree = {"schema": "mstl-edge/study-plan/1", "recipe": recipe, "arms": arms}
    plan = STUDY_PLAN.convert(tree, origin="plan.json", hint="")
    assert plan.recipe.backbone.variant == plan.arms[0].recipe.backbone.variant == "0.25"
