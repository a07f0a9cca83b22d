"""Runs in the sysroot: answer an image, and judge the answer, between marks for the plugin `instructions.c`.

    python doubt_marked.py MODEL...

The files say their doubt. One thread, a drawn image; first `invoke` alone, then what doubt adds to it: the map read out and pooled,
the score, the set of labels. Prints the runtime's name and version.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from mstl_edge.artifact import draw_golden_images, open_artifact
from mstl_edge.metrics import decide
from mstl_edge.metrics.conformal import label_sets
from mstl_edge.runtime import load_runtime, pooled, to_input, to_real

MARK, GETPRIORITY_ARM64 = 20201, 141
TURNS = 4
"""Per model; one more before them touches memory and code for the first time."""


def main(*models: str) -> None:
    """Load each model, then answer between marks."""
    mark = ctypes.CDLL(None).syscall
    tag = 0
    for model in models:
        artifact = open_artifact(Path(model))
        runtime, card, familiar = load_runtime(artifact, runtime="litert"), artifact.card, artifact.familiar
        if card is None or card.doubt is None or card.doubt.sets is None or card.doubt.familiarity is None:
            raise SystemExit(f"{model} says no doubt")
        if familiar is None or runtime.feature_map is None:
            raise SystemExit(f"{model} has no feature map")
        batch = to_input(draw_golden_images(runtime.input.shape[1], 1)[0][None], runtime.input)
        for turn in range(-1, TURNS):
            raw, _ = runtime.invoke_with_map(batch)
            shares = to_real(raw, runtime.output)
            if turn >= 0:
                mark(GETPRIORITY_ARM64, MARK, tag)
            runtime.interpreter.invoke()
            if turn >= 0:
                mark(GETPRIORITY_ARM64, MARK, tag + 1)
                mark(GETPRIORITY_ARM64, MARK, tag + 2)
            features = runtime.interpreter.get_tensor(runtime._map_index)
            card.doubt.familiarity.judge(familiar, pooled(features, runtime.feature_map))
            decided = decide(shares, positive=card.positive_index, threshold=card.threshold)
            label_sets(shares, decided, card.doubt.sets.lowest)
            if turn >= 0:
                mark(GETPRIORITY_ARM64, MARK, tag + 3)
                tag += 4
    sys.stdout.write(f"{runtime.name}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
