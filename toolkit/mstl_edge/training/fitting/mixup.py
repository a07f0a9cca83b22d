"""Mixup: images of a batch blended in pairs, and their labels with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mix_pairs(
    batch: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    alpha: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Blend every image with a partner from its batch: λ x + (1 − λ) x′, λ drawn from Beta(α, α) for each pair.

    Zhang et al. 2018, arXiv:1710.09412, section 2. The loss of a blend is λ w L(y) + (1 − λ) w′ L(y′). Cross-entropy is linear in
    its targets, so that one target and one weight say the same, and the training step need not know.

    Args:
        batch: `(n, *feature shape)`.
        targets: `(n, classes)`, rows that sum to 1.
        weights: `(n,)` loss weights above 0.
        alpha: α, above 0.
        rng: Draws partners and λ.

    Returns:
        Blended batch, targets and weights, shaped as they came.
    """
    partners = rng.permutation(len(batch))
    share = rng.beta(alpha, alpha, len(batch)).astype(np.float32)
    own, others = share * weights, (1 - share) * weights[partners]
    total = own + others
    blended = (own[:, np.newaxis] * targets + others[:, np.newaxis] * targets[partners]) / total[:, np.newaxis]
    across = share.reshape(-1, *[1] * (batch.ndim - 1))
    return across * batch + (1 - across) * batch[partners], blended.astype(np.float32), total
