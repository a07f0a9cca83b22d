"""`mstl-edge backbones`: what a person and what a program reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mstl_edge_models.backbones import REGISTRY


def test_one_architecture_is_listed_with_its_cut_points(mstl_edge: Callable[..., Any]) -> None:
    ended = mstl_edge("backbones", "mobilenet_v2", "--size", "96")
    assert ended.exit_code == 0
    assert "backbones at 96 pixels" in ended.stdout
    assert "mobilenet_v2:0.35" in ended.stdout
    assert "mobilenet_v1" not in ended.stdout
    assert "Conv1, expanded_conv, block_1," in ended.stdout


def test_a_program_reads_what_design_promises(mstl_edge: Callable[..., Any]) -> None:
    told = json.loads(mstl_edge("backbones", "mobilenet_v1:0.25", "--json").stdout)
    assert (told["schema"], told["size"]) == ("mstl-edge/backbones/1", 224)
    (one,) = told["backbones"]
    assert (one["name"], one["variant"], one["default"], one["imagenet"], one["bundled"]) == (
        "mobilenet_v1", "0.25", False, True, True,
    )  # fmt: skip
    assert one["parameters"] == 213_072
    assert one["macs"] == pytest.approx(41e6, rel=0.02)
    assert (one["cut_points"][0], one["cut_points"][-1]) == ("conv1", "head")


@pytest.mark.long
def test_every_variant_is_listed_at_a_size_that_all_can_read(mstl_edge: Callable[..., Any]) -> None:
    told = json.loads(mstl_edge("backbones", "--size", "128", "--json").stdout)["backbones"]
    assert [(one["name"], one["variant"]) for one in told] == [
        (backbone.name, variant) for backbone in REGISTRY.values() for variant in backbone.variants
    ]
    assert all(one["parameters"] > 0 and one["macs"] > 0 for one in told)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mobilnet_v2", "Received: mobilnet_v2. Did you mean mobilenet_v2?"),
        ("mobilenet_v2:huge", "a variant of mobilenet_v2 (0.35, 0.5, 0.75, 1.0, 1.3, 1.4). Received: huge"),
        ("resnet:101", "a variant of resnet (50). Received: 101. For example --backbone resnet:50"),
    ],
)
def test_an_unknown_one_is_one_clear_line(mstl_edge: Callable[..., Any], name: str, said: str) -> None:
    ended = mstl_edge("backbones", name)
    assert ended.exit_code == 1
    assert said in ended.stderr
