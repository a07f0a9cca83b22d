"""What each part of an image says for each class, by the best way that a file allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.head import LinearHead
from mstl_edge.explain.occlusion import occlusion_maps
from mstl_edge.runtime import Runtime, ask

Method = Literal["class map", "occlusion"]


@dataclass(frozen=True)
class Evidence:
    """What an image says for each class, cell by cell.

    Attributes:
        method: `class map`: exact, the mean of a map plus the class's bias is its logit (Zhou et al. 2016, arXiv:1512.04150).
            `occlusion`: how far the logarithm of a class's probability falls where a patch is covered (Zeiler and Fergus 2014,
            arXiv:1311.2901).
        maps: `(classes, height, width) float32`, in units of the logits; cells cover the network's square input.
        bias: `(classes,) float32` of the head; None of occlusion maps.
        pooled: `(1, channels) float32` means of the feature map; None where the file does not put it out.
    """

    method: Method
    maps: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    pooled: NDArray[np.float32] | None = None

    def grid(self, class_number: int) -> NDArray[np.float32]:
        """Return `(height, width)`: what each cell says for a class against the mean of the others.

        Only differences of logits decide. With two classes, the mean of a class map's grid plus the difference of the biases is
        the logarithm of the odds.
        """
        others = np.delete(self.maps, class_number, axis=0)
        return np.asarray(self.maps[class_number] - others.mean(axis=0))


def evidence_of(
    runtime: Runtime, head: LinearHead | None, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], Evidence]:
    """Answer an image, and say where the answer comes from.

    Args:
        runtime: A loaded model.
        head: The model's head, where it is linear; without it, or where the file does not put its feature map out, parts of the
            image are covered one after the other.
        pixels: `(height, width, 3) uint8`, preprocessed.

    Returns:
        `(classes,) float32` probabilities, and what they rest on.
    """
    answer = ask(runtime, pixels)
    features = answer.feature_map()
    if head is not None and features is not None:
        return answer.probabilities, Evidence("class map", head.class_maps(features), head.bias, answer.pooled())
    covered = occlusion_maps(lambda image: ask(runtime, image).probabilities, answer.probabilities, pixels)
    return answer.probabilities, Evidence("occlusion", covered)
