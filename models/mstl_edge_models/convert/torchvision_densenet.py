"""DenseNet121 as torchvision has it: its published file spells `norm.1` what its own code saves as `norm1`.

Its BatchNorm adds 1e-5 to a variance where Keras adds 1.001e-5, which no float32 weight shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mstl_edge_models.convert.layout import Layout, Row, Shapes, batch_norm, kernel, of_torchvision_head

_BLOCKS = (6, 12, 24, 16)


def _variant(dot: str) -> Callable[[Shapes], str | None]:
    def variant(shapes: Shapes) -> str | None:
        counts = tuple(
            sum(
                name.endswith(f".conv{dot}2.weight")
                for name in shapes
                if name.startswith(f"features.denseblock{block}.")
            )
            for block in range(1, len(_BLOCKS) + 1)
        )
        return "121" if counts == _BLOCKS else None

    return variant


def _rows(dot: str) -> Callable[[str], Sequence[Row]]:
    def rows(variant: str) -> Sequence[Row]:
        found = [Row("conv1/conv/kernel", "features.conv0.weight", kernel), *batch_norm("conv1/bn", "features.norm0")]
        for number, layers in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                ours, theirs = f"conv{number + 1}_block{layer}", f"features.denseblock{number}.denselayer{layer}"
                found += [
                    *batch_norm(f"{ours}_0_bn", f"{theirs}.norm{dot}1"),
                    Row(f"{ours}_1_conv/kernel", f"{theirs}.conv{dot}1.weight", kernel),
                    *batch_norm(f"{ours}_1_bn", f"{theirs}.norm{dot}2"),
                    Row(f"{ours}_2_conv/kernel", f"{theirs}.conv{dot}2.weight", kernel),
                ]
            if number < len(_BLOCKS):
                ours, theirs = f"pool{number + 1}", f"features.transition{number}"
                found += [
                    *batch_norm(f"{ours}_bn", f"{theirs}.norm"),
                    Row(f"{ours}_conv/kernel", f"{theirs}.conv.weight", kernel),
                ]
        return [*found, *batch_norm("bn", "features.norm5")]

    return rows


LAYOUTS = tuple(
    Layout(
        name="torchvision's DenseNet121",
        backbone="densenet",
        variants=("121",),
        variant=_variant(dot),
        rows=_rows(dot),
        of_the_head=of_torchvision_head("classifier."),
    )
    for dot in ("", ".")
)
