from __future__ import annotations

import numpy as np
import pytest

from mstl_edge.training.fitting.mixup import mix_pairs


def drawn(n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n, 2, 3)).astype(np.float32),
        np.eye(2, dtype=np.float32)[np.arange(n) % 2],
        np.where(np.arange(n) % 2, 0.5, 2.0).astype(np.float32),
    )


def pairs_of(seed: int, n: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.permutation(n), rng.beta(alpha, alpha, n)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -(targets * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))).sum(axis=1)


def test_every_image_lies_between_itself_and_its_partner() -> None:
    batch, targets, weights = drawn()
    mixed = mix_pairs(batch, targets, weights, 0.4, np.random.default_rng(3))[0]
    partners, share = pairs_of(3, 6, 0.4)
    for found, own, other, part in zip(mixed, batch, batch[partners], share, strict=True):
        np.testing.assert_allclose(found, part * own + (1 - part) * other, rtol=1e-5)
    assert mixed.dtype == np.float32


def test_the_loss_of_a_blend_is_the_blend_of_both_weighted_losses() -> None:
    batch, targets, weights = drawn()
    _, blended, weighing = mix_pairs(batch, targets, weights, 0.4, np.random.default_rng(3))
    partners, share = pairs_of(3, 6, 0.4)
    logits = np.random.default_rng(1).normal(size=(6, 2))
    wanted = share * weights * cross_entropy(logits, targets)
    wanted += (1 - share) * weights[partners] * cross_entropy(logits, targets[partners])
    np.testing.assert_allclose(weighing * cross_entropy(logits, blended), wanted, rtol=1e-5)
    np.testing.assert_allclose(blended.sum(axis=1), 1.0, rtol=1e-6)


def test_a_lone_image_stays_as_it_is() -> None:
    alone = drawn(1)
    for found, given in zip(mix_pairs(*alone, 0.2, np.random.default_rng(0)), alone, strict=True):
        assert found == pytest.approx(given)
