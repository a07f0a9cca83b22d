"""How far training moved a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mstl_edge.training._keras import keras
from mstl_edge.training.network.distance import relative_distances

from .random_networks import network_of

L = keras.layers


def test_it_is_the_length_of_the_step_as_a_share_of_the_kernel_and_what_stood_still_is_left_out():
    image = L.Input((8, 8, 3))
    x = L.BatchNormalization(name="norm")(L.Conv2D(4, 3, name="still")(image))
    before = network_of(keras.Model(image, L.DepthwiseConv2D(3, name="moved")(x)))
    kernel, *rest = before.weights["moved"]
    gamma, *others = before.weights["norm"]
    weights = {**before.weights, "moved": (1.25 * kernel, *rest), "norm": (3 * gamma, *others)}
    after = replace(before, weights=weights)
    assert relative_distances(before, after) == {"moved": pytest.approx(0.25)}
    assert relative_distances(before, before) == {}
    longer = {**before.weights, "moved": (np.concatenate([kernel, kernel]), *rest)}
    assert relative_distances(before, replace(before, weights=longer)) == {}
