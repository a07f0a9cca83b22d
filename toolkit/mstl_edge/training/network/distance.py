"""How far training has moved a network's weights: classic networks move less than light ones, the published work says."""

from __future__ import annotations

import numpy as np

from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Graph


def relative_distances(before: Graph, after: Graph) -> dict[str, float]:
    """Return |after − before| / |before| of the kernel of every layer that moved, by its name, from input to output.

    Args:
        before: A network.
        after: The same, trained; a layer that it lacks, or that has another shape there, is left out.
    """
    found = {}
    for node in before.nodes:
        if not ops.TABLE[node.kind].convolves or node.name not in after.weights:
            continue
        old, new = before.weights[node.name][0], after.weights[node.name][0]
        size = float(np.linalg.norm(old))
        if old.shape == new.shape and size > 0.0 and not np.array_equal(old, new):
            found[node.name] = float(np.linalg.norm(new - old)) / size
    return found
