"""Fake quantization as the device will compute it: tfmot wraps the layers, with our quantizers.

tfmot's own scheme quantizes a depthwise kernel per tensor though the file then lists a scale per channel, and its ranges follow
the data with a lag, so that a file's weights need not use their range. Here the range of a kernel is its largest magnitude per
output channel, at every moment, and the range of an activation is what the graph says (Jacob et al. 2018, arXiv:1712.05877;
per-channel weights: Krishnamoorthi 2018, arXiv:1806.08342).
"""

from __future__ import annotations

from typing import Any

from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range
from mstl_edge.training._keras import import_tfmot, keras, tf
from mstl_edge.training.network import ops
from mstl_edge.training.network.graph import Node, Rounding

_quantization = import_tfmot().quantization.keras
_Quantizer = _quantization.quantizers.Quantizer


class PerChannelKernel(_Quantizer):  # type: ignore[misc, valid-type]
    """Symmetric int8 with one scale per output channel, always at the kernel's present range.

    Written out instead of TensorFlow's fake-quantization operator: that one wants the channels last, a depthwise kernel has
    them second to last, and the converter refuses the reshape between the two. Constants folded, the converter meets values that
    already lie on its own grid.

    Args:
        channel_axis: Axis of the output channels.
        weight_bits: Of a weight: 8 gives levels up to ±127, 7 up to ±63.
    """

    def __init__(self, channel_axis: int, weight_bits: int = WEIGHT_BITS) -> None:
        self.channel_axis = channel_axis
        self.weight_bits = weight_bits

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Need no variables: the range is a function of the kernel."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """Return the kernel rounded to the levels of each channel; the gradient passes straight through (Bengio et al. 2013)."""
        rank = len(inputs.shape)
        others = [axis for axis in range(rank) if axis != self.channel_axis % rank]
        largest = tf.reduce_max(tf.abs(inputs), axis=others, keepdims=True)
        scale = tf.where(largest > 0.0, largest, 1.0) / float(full_range(self.weight_bits))
        return inputs + tf.stop_gradient(tf.round(inputs / scale) * scale - inputs)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {"channel_axis": self.channel_axis, "weight_bits": self.weight_bits}


class FixedRange(_Quantizer):  # type: ignore[misc, valid-type]
    """Asymmetric int8 at a range that calibration has set and training leaves alone."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Need no variables: the range is fixed."""
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """Return the activations rounded to 256 levels of the range."""
        return tf.quantization.fake_quant_with_min_max_vars(inputs, self.low, self.high, 8)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {"low": self.low, "high": self.high}


class NodeConfig(_quantization.QuantizeConfig):  # type: ignore[misc, name-defined]
    """What tfmot asks of a layer: the quantizers of its kernel and of its output, as a node says.

    Args:
        kernel: Name of the layer's kernel; empty where none is rounded.
        channel_axis: Axis of the kernel's output channels.
        weight_bits: Of a rounded weight.
        rounding: Of the output; None leaves it.
    """

    def __init__(self, kernel: str, channel_axis: int, weight_bits: int, rounding: Rounding | None) -> None:
        self.kernel = kernel
        self.channel_axis = channel_axis
        self.weight_bits = weight_bits
        self.rounding = rounding

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Pair the kernel with its quantizer."""
        if not self.kernel:
            return []
        return [(getattr(layer, self.kernel), PerChannelKernel(self.channel_axis, self.weight_bits))]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Let the layer compute with the rounded kernel."""
        if self.kernel:
            (kernel,) = quantize_weights
            setattr(layer, self.kernel, kernel)

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """Name none: an activation is a node of its own."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Set none."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Return the output's quantizer, where it is rounded."""
        return [] if self.rounding is None else [FixedRange(self.rounding.low, self.rounding.high)]

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {
            "kernel": self.kernel, "channel_axis": self.channel_axis, "weight_bits": self.weight_bits,
            "rounding": self.rounding,
        }  # fmt: skip


def rounded(node: Node, layer: Any) -> Any:
    """Return a layer under fake quantization, as its node says; for the input there is none, so one that only rounds is made."""
    if node.rounding is None and node.weight_bits is None:
        return layer
    if layer is None:
        layer = keras.layers.Activation("linear", name=node.name)
    row = ops.TABLE[node.kind]
    config = NodeConfig(
        row.kernel if node.weight_bits else "", row.outputs, node.weight_bits or WEIGHT_BITS, node.rounding
    )
    return _quantization.QuantizeWrapperV2(layer, config)
