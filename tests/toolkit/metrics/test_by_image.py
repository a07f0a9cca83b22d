"""Bounds that an "at most" and an "at least" stand on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from mstl_edge.errors import MstlEdgeError
from mstl_edge.metrics.by_image import (
    Z_95_ONE_SIDED,
    Discordance,
    at_least,
    discordance,
    drop_at_most,
    drop_interval,
    images_to_prove,
    mean_share,
)
from mstl_edge.metrics.intervals import Z_95, wilson


def _statistic(n: int, a_only: int, b_only: int, difference: float) -> float:
    """Tango's statistic with the nuisance share found by maximizing the likelihood, not by his formula."""

    def loss(only_b: float) -> float:
        rest = 1 - 2 * only_b - difference
        counts = ((a_only, only_b + difference), (b_only, only_b), (n - a_only - b_only, rest))
        return -sum(count * np.log(max(share, 1e-300)) for count, share in counts if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    only_b = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((a_only - b_only - n * difference) / np.sqrt(n * (2 * only_b + difference - difference**2)))


@pytest.mark.parametrize(("n", "a_only", "b_only"), [(50, 12, 2), (128, 3, 1), (160, 1, 4), (44, 5, 5), (200, 1, 0)])
def test_the_drop_has_the_score_interval_that_maximum_likelihood_gives(n: int, a_only: int, b_only: int) -> None:
    found = drop_interval(Discordance(n, a_only, b_only))
    assert found.value == pytest.approx((a_only - b_only) / n)
    assert _statistic(n, a_only, b_only, found.high) == pytest.approx(-Z_95, abs=1e-3)
    assert _statistic(n, a_only, b_only, found.low) == pytest.approx(Z_95, abs=1e-3)


@pytest.mark.parametrize("n", [24, 128, 160, 2000])
def test_without_a_discordant_image_the_bound_is_not_zero(n: int) -> None:
    square = Z_95_ONE_SIDED**2
    assert drop_at_most(Discordance(n, 0.0, 0.0)) == pytest.approx(square / (n + square), rel=1e-6)


def test_the_interval_turns_round_when_the_models_change_places() -> None:
    one, other = drop_interval(Discordance(90, 4, 1)), drop_interval(Discordance(90, 1, 4))
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


def test_the_bound_covers_rare_losses_at_least_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for loss in (0.005, 0.01, 0.02, 0.04):
        losses, n = rng.binomial(128, loss, 20_000), 128
        bounds = {count: drop_at_most(Discordance(n, float(count), 0.0)) for count in np.unique(losses)}
        covered = np.mean([bounds[count] >= loss for count in losses])
        assert covered >= 0.93, loss


def test_whole_shares_give_wilsons_interval() -> None:
    shares = np.array([1.0] * 37 + [0.0] * 3)
    found, expected = mean_share(shares), wilson(37, 40)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_views_of_one_image_add_no_image() -> None:
    one_view = np.ones((30, 1), dtype=bool)
    many_views = np.ones((30, 8), dtype=bool)
    assert at_least(one_view.mean(axis=1)) == at_least(many_views.mean(axis=1))
    wrong = many_views.copy()
    wrong[0, :4] = False
    found = discordance(many_views, wrong)
    assert (found.n, found.a_only, found.b_only) == (30, 0.5, 0.0)


def test_views_in_clusters_do_not_make_the_bound_too_narrow() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(4000):
        chance = rng.choice([1.0, 0.5], p=[0.95, 0.05], size=120)
        shares = rng.binomial(8, chance) / 8
        covered += at_least(shares) <= 0.975
    assert covered / 4000 >= 0.95


def test_the_number_of_images_that_would_decide_is_the_smallest_that_does() -> None:
    found = Discordance(128, 1.0, 0.0)
    needed = images_to_prove(found, 0.03)
    assert needed is not None
    grown = {n: Discordance(n, n / 128, 0.0) for n in (needed - 1, needed)}
    assert drop_at_most(grown[needed]) <= 0.03 < drop_at_most(grown[needed - 1])


def test_no_number_of_images_proves_a_drop_that_is_there() -> None:
    assert images_to_prove(Discordance(100, 5.0, 0.0), 0.03) is None


@pytest.mark.parametrize("shape", [(0, 1), (4,)])
def test_no_images_are_one_clear_line(shape: tuple[int, ...]) -> None:
    nothing = np.zeros(shape, dtype=bool)
    with pytest.raises(MstlEdgeError, match=r"two models on the same views"):
        discordance(nothing, nothing)
    with pytest.raises(MstlEdgeError, match="at least one image"):
        mean_share(np.array([]))


def test_the_one_sided_quantile_is_scipys() -> None:
    assert pytest.approx(stats.norm.ppf(0.95)) == Z_95_ONE_SIDED
