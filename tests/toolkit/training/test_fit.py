"""What decides an epoch: order, views, weights, schedule, selection, stopping, going on."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mstl_edge.errors import MstlEdgeError
from mstl_edge.recipe import StageSpec
from mstl_edge.storage import load_arrays
from mstl_edge.training._keras import keras
from mstl_edge.training.fitting import checkpoint as checkpoints
from mstl_edge.training.fitting import fit
from mstl_edge.training.fitting.checkpoint import Epoch, first_averaged, history_csv, seconds_spent
from mstl_edge.training.fitting.fit import Samples, class_weights, fit_tail, predict_logits
from mstl_edge.training.fitting.workshop import Logbook

Run = Callable[..., tuple[list[Epoch], list[Any]]]


def spec(**keys: Any) -> StageSpec:
    return StageSpec(name="one", data="", unfreeze_from="conv1", **{"epochs": 3, "learning_rate": 0.05, **keys})


def samples(seed: int, count: int = 12, views: int = 1) -> Samples:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = [(rng.normal(size=(count, 4)) + labels[:, None]).astype(np.float32) for _ in range(views)]
    return Samples(features, labels)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Train a linear tail; each call has a checkpoint of its own unless one is named."""
    numbers = itertools.count()

    def train(stage: StageSpec, *, seed: int = 0, checkpoint: Path | None = None, views: int = 1) -> Any:
        tail = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
        tail.set_weights([np.linspace(-0.3, 0.3, 8, dtype=np.float32).reshape(4, 2), np.zeros(2, np.float32)])
        path = checkpoint or tmp_path / f"{next(numbers)}.npz"
        history = fit_tail(tail, samples(1, views=views), samples(2), stage, Logbook(path), seed=seed)
        return history, tail.get_weights()

    return train


def assert_same(one: Any, other: Any) -> None:
    assert one[0] == other[0]
    for left, right in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(left, right)


def test_one_seed_gives_the_same_bits_and_another_seed_others(run: Run) -> None:
    first = run(spec(batch_size=5))
    assert_same(first, run(spec(batch_size=5)))
    other = run(spec(batch_size=5), seed=1)
    assert not np.array_equal(first[1][0], other[1][0])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_goes_on_behind_the_last_finished_epoch_to_the_same_bits(
    run: Run, tmp_path: Path, optimizer: str
) -> None:
    whole = run(spec(epochs=5, schedule="constant", optimizer=optimizer))
    part = tmp_path / "part.npz"
    run(spec(epochs=2, optimizer=optimizer), checkpoint=part)
    assert_same(whole, run(spec(epochs=5, optimizer=optimizer), checkpoint=part))
    assert_same(whole, run(spec(epochs=5, optimizer=optimizer), checkpoint=part))  # nothing left to do


def test_the_best_epoch_or_the_last_one_is_kept(run: Run, tmp_path: Path) -> None:
    hot = {"epochs": 8, "learning_rate": 1.5}
    history, best = run(spec(**hot), checkpoint=tmp_path / "best.npz")
    losses = [record.validation_loss for record in history]
    lowest = losses.index(min(losses))
    assert lowest < len(losses) - 1  # otherwise this test could not tell the two apart
    upto_best, last_of_those = run(spec(**{**hot, "epochs": lowest + 1}, select="last"))
    assert upto_best == history[: lowest + 1]
    assert_same((0, best), (0, last_of_those))
    _, last = run(spec(**hot, select="last"))
    stored = load_arrays(tmp_path / "best.npz")
    assert_same((0, last), (0, [stored["current0"], stored["current1"]]))


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 7), (10, 8), (30, 23), (60, 46)])
def test_an_average_takes_the_last_quarter_of_the_epochs_and_at_least_two(epochs: int, first: int) -> None:
    assert first_averaged(epochs) == first


def test_the_average_is_the_mean_of_the_weights_after_each_of_its_epochs(run: Run) -> None:
    history, averaged = run(spec(epochs=10, select="average"))
    after = [run(spec(epochs=epoch, select="last"))[1] for epoch in (8, 9, 10)]
    assert history == run(spec(epochs=10, select="last"))[0]
    for found, *several in zip(averaged, *after, strict=True):
        np.testing.assert_allclose(found, np.mean(np.array(several, dtype=np.float64), axis=0), rtol=1e-7)
        assert not np.array_equal(found, several[-1])


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("keys", [{"select": "average"}, {"mixup": 0.4, "batch_size": 5}])
@pytest.mark.parametrize("killed_in", [3, 7, 8])
def test_a_training_killed_in_an_epoch_ends_with_the_bytes_of_an_unbroken_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], killed_in: int
) -> None:
    stage = spec(epochs=8, schedule="cosine", **keys)
    whole = run(stage, checkpoint=tmp_path / "whole.npz")
    assert_same(whole, run(stage))  # one seed, the same bytes

    def kill(record: Epoch, *_: Any) -> None:
        if record.epoch == killed_in:
            raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(fit, "_check_finite", kill)
        with pytest.raises(KilledError):
            run(stage, checkpoint=tmp_path / "part.npz")
    assert_same(whole, run(stage, checkpoint=tmp_path / "part.npz"))
    one, other = (load_arrays(tmp_path / name) for name in ("whole.npz", "part.npz"))
    assert one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one.keys() - {"seconds"})


def test_mixup_changes_what_is_learned_and_not_the_order_it_is_seen_in(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = run(spec(batch_size=5, mixup=0.4))
    plain = run(spec(batch_size=5))
    assert not np.array_equal(mixed[1][0], plain[1][0])
    monkeypatch.setattr(fit, "mix_pairs", lambda batch, targets, weights, *_: (batch, targets, weights))
    assert_same(run(spec(batch_size=5, mixup=0.4)), plain)
    monkeypatch.delattr(fit, "mix_pairs")
    assert_same(run(spec(batch_size=5, mixup=0.0)), plain)  # without it nothing is blended at all


def test_early_stopping_ends_after_so_many_epochs_without_a_better_loss(run: Run) -> None:
    hot = {"epochs": 12, "learning_rate": 1.5}
    losses = [record.validation_loss for record in run(spec(**hot))[0]]
    stopped = run(spec(**hot, early_stopping=2))[0]
    assert [record.validation_loss for record in stopped] == losses[: len(stopped)]
    assert len(stopped) == losses.index(min(losses[: len(stopped)])) + 1 + 2 < len(losses)


def test_early_stopping_holds_after_a_resume_as_well(run: Run, tmp_path: Path) -> None:
    hot = {"epochs": 12, "learning_rate": 1.5, "early_stopping": 2}
    checkpoint = tmp_path / "stopped.npz"
    stopped = run(spec(**hot), checkpoint=checkpoint)
    assert_same(stopped, run(spec(**hot), checkpoint=checkpoint))


def test_the_cosine_schedule_falls_to_a_twentieth(run: Run) -> None:
    rates = [record.learning_rate for record in run(spec(epochs=5, learning_rate=0.1, schedule="cosine"))[0]]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.1)
    assert rates[2] == pytest.approx(0.0525)
    assert rates[-1] == pytest.approx(0.005)
    assert {record.learning_rate for record in run(spec(learning_rate=0.1))[0]} == {0.1}


def test_rare_classes_weigh_more_and_the_mean_weight_of_an_image_is_one() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2] * 1)
    weights = class_weights(labels, 3, spec())
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1.0)
    np.testing.assert_array_equal(class_weights(labels, 3, spec(class_weight="none")), np.ones(3))


def test_class_weights_reach_the_loss(tmp_path: Path) -> None:
    nothing_to_see = np.zeros((12, 4), dtype=np.float32)
    lopsided = Samples([nothing_to_see], np.array([0] * 10 + [1] * 2))

    def margin(weighting: str) -> float:
        tail = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
        tail.set_weights([np.zeros((4, 2), np.float32), np.zeros(2, np.float32)])
        stage = spec(class_weight=weighting, epochs=10)
        fit_tail(tail, lopsided, lopsided, stage, Logbook(tmp_path / f"{weighting}.npz"), seed=0)
        (first, second), *_ = predict_logits(tail, nothing_to_see)
        return float(first - second)

    assert margin("none") > 0.5
    assert margin("balanced") == pytest.approx(0.0, abs=0.1)


class Watched:
    """A view that notes into a common list which of its images were asked for."""

    def __init__(self, number: int, features: Any, asked: list[tuple[int, int]]) -> None:
        self._number = number
        self._features = features
        self._asked = asked

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, position: Any) -> Any:
        self._asked.append((self._number, position))
        return self._features[position]


def test_each_image_walks_through_all_its_views_one_per_epoch(tmp_path: Path) -> None:
    drawn = samples(1, views=3)
    asked: list[tuple[int, int]] = []
    views = [Watched(number, view, asked) for number, view in enumerate(drawn.views)]
    tail = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    stage = spec(epochs=3, batch_size=5)
    fit_tail(tail, Samples(views, drawn.labels), samples(2), stage, Logbook(tmp_path / "c.npz"), seed=0)
    assert sorted(asked) == [(view, image) for view in range(3) for image in range(len(drawn))]
    for start in range(0, len(asked), len(drawn)):
        epoch = asked[start : start + len(drawn)]
        assert sorted(image for _, image in epoch) == list(range(len(drawn)))
        assert len({view for view, _ in epoch}) > 1  # mixed within an epoch


def test_history_is_a_table_with_one_row_per_epoch(run: Run) -> None:
    history = run(spec())[0]
    rows = list(csv.DictReader(io.StringIO(history_csv(history))))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["validation_loss"]) for row in rows] == [record.validation_loss for record in history]
    assert set(rows[0]) == {"epoch", "learning_rate", "loss", "accuracy", "validation_loss", "validation_accuracy"}


def test_losses_and_accuracies_are_those_of_plain_arithmetic() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], dtype=np.float32)
    loss, accuracy = fit._measure(logits, np.array([0, 1, 1]))
    expected = -np.log([np.exp(2) / (np.exp(2) + 1), np.e / (np.e + 1), 1 / (np.exp(3) + 1)]).mean()
    assert loss == pytest.approx(expected)
    assert accuracy == pytest.approx(2 / 3)


def test_seconds_add_up_over_sessions(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(100, 10)
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: float(next(clock)))
    checkpoint = tmp_path / "clocked.npz"
    assert seconds_spent(checkpoint) == 0.0
    run(spec(epochs=2), checkpoint=checkpoint)
    assert seconds_spent(checkpoint) == 20.0
    run(spec(epochs=3), checkpoint=checkpoint)
    assert seconds_spent(checkpoint) == 30.0


def test_a_training_that_diverges_is_one_clear_line_and_keeps_what_came_before(run: Run, tmp_path: Path) -> None:
    checkpoint = tmp_path / "diverging.npz"
    run(spec(epochs=1, optimizer="sgd"), checkpoint=checkpoint)
    with pytest.raises(MstlEdgeError, match=r"a finite loss in training.*Received: (nan|inf) in epoch 2.*below 1e\+38"):
        run(spec(epochs=2, batch_size=2, learning_rate=1e38, optimizer="sgd"), checkpoint=checkpoint)
    assert len(load_arrays(checkpoint)["history"]) == 1
