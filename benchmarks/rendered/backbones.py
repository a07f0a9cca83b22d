"""The tables of docs/backbones.md, made from the registry and from the table of operators."""

from __future__ import annotations

from mstl_edge.training.network import ops
from mstl_edge_models.backbones import REGISTRY
from rendered.markdown import table

_SCALE = {
    "own": "a range of its own",
    "through": "that of its input",
    "shared": "one for all that it joins",
    "fixed": "fixed",
}
_FEW = 4


def registry() -> str:
    """Return what each architecture is made in, and where it can be cut."""
    return table(
        ["backbone", "variants", "ImageNet weights", "cut points of the usual variant"],
        [
            (
                f"`{backbone.name}`",
                ", ".join(backbone.variants) + (", any width" if backbone.any_width else ""),
                "Keras'" if backbone.weights(_Usual(backbone.default)) else "a file",
                _named(backbone.cut_names(backbone.default)),
            )
            for backbone in REGISTRY.values()
        ],
    )


class _Usual:
    input_size = 224

    def __init__(self, variant: str) -> None:
        self.variant = variant


def _named(names: tuple[str, ...]) -> str:
    ends = [*names[:_FEW], "…", *names[-_FEW:]] if len(names) > 2 * _FEW else list(names)
    return ", ".join(name if name == "…" else f"`{name}`" for name in ends)


def operators() -> str:
    """Return the table of operators."""
    return table(
        ["operator", "kernel", "int8 scale", "rounded"],
        [
            (f"`{row.kind}`", row.kernel, _SCALE[row.scale], f"no: {row.why}" if row.why else "yes")
            for row in ops.TABLE.values()
        ],
    )
