"""Operators that Keras has no layer for."""

from __future__ import annotations

from typing import Any

from mstl_edge.training._keras import keras, tf


class Shift(keras.layers.Layer):  # type: ignore[misc]
    """Adds a number."""

    def __init__(self, value: float, **named: Any) -> None:
        super().__init__(**named)
        self.value = value

    def call(self, inputs: Any) -> Any:
        """Return `inputs + value`."""
        return inputs + self.value

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "value": self.value}


class Gain(keras.layers.Layer):  # type: ignore[misc]
    """Multiplies by a number."""

    def __init__(self, value: float, **named: Any) -> None:
        super().__init__(**named)
        self.value = value

    def call(self, inputs: Any) -> Any:
        """Return `inputs · value`."""
        return inputs * self.value

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "value": self.value}


class Channels(keras.layers.Layer):  # type: ignore[misc]
    """Takes some of the channels, which lie last.

    Args:
        start: First channel.
        count: How many.
        named: As of any layer.
    """

    def __init__(self, start: int, count: int, **named: Any) -> None:
        super().__init__(**named)
        self.start = start
        self.count = count

    def call(self, inputs: Any) -> Any:
        """Return the channels; by `SLICE`, which runtimes have a fast path for, unlike a strided one."""
        rank = len(inputs.shape)
        return tf.slice(inputs, [0] * (rank - 1) + [self.start], [-1] * (rank - 1) + [self.count])

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "start": self.start, "count": self.count}
