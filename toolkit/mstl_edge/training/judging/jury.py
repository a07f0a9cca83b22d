"""The images that judge the exported files, gathered once, with the float twin's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl_edge.metrics import Agreement, Interval, wilson
from mstl_edge.metrics.by_image import mean_share
from mstl_edge.progress import Reporter
from mstl_edge.training.asking import answers
from mstl_edge.training.judging.evidence import Paired, Panel, drawn_panel, other_panels, pair, validation_panel
from mstl_edge.training.trained import Trained


@dataclass(frozen=True)
class Jury:
    """Panels, the validation images first, and the float32 file's `(n · views, classes)` answers to each."""

    panels: tuple[Panel, ...]
    float_answers: tuple[NDArray[np.float32], ...]

    @property
    def own(self) -> Panel:
        """The validation images."""
        return self.panels[0]

    @property
    def carrying(self) -> int:
        """How many images of the kind that the model is for there are."""
        return sum(len(panel) for panel in self.panels if panel.carries)

    def paired(self, rows: Sequence[NDArray[np.float32]], trained: Trained) -> list[Paired]:
        """Hold a file's answers to all panels against the float twin's."""
        return [
            pair(panel, floats, given, trained)
            for panel, floats, given in zip(self.panels, self.float_answers, rows, strict=True)
        ]

    def compare(self, given: NDArray[np.float32], trained: Trained) -> tuple[Interval, Agreement]:
        """Return a float file's accuracy on the validation images, and its agreement with the float32 twin on them."""
        found = pair(self.own, self.float_answers[0], given, trained)
        right = found.correct()[1][:, 0]
        agreement = Agreement(
            len(right), mean_share(found.shares), found.largest_difference, float(found.differences.mean())
        )
        return wilson(int(right.sum()), len(right)), agreement


def gather_jury(trained: Trained, twin: bytes, threads: int, reporter: Reporter) -> Jury:
    """Gather the panels and let the float32 file answer them.

    Args:
        trained: The run.
        twin: The float32 file.
        threads: Threads of the engine.
        reporter: Told where the images come from.
    """
    drawn = drawn_panel(trained, trained.recipe.quantize.agreement_images)
    panels = (validation_panel(trained), *([] if drawn is None else [drawn]), *other_panels(trained))
    listed = [f"{len(panel)} {panel.origin}{'' if panel.carries else ' (told apart)'}" for panel in panels]
    reporter.say(f"gate: images: {', '.join(listed)}")
    return Jury(panels, tuple(answers(twin, panel.flat, threads=threads) for panel in panels))
