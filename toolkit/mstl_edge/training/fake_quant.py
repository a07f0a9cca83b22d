"""Fake quantization as the device will compute it: tfmot's 8-bit scheme with our ranges.

tfmot's own scheme quantizes a depthwise kernel per tensor though the file then lists a scale per channel, and its
ranges follow the data with a lag, so that a file's weights need not use their range. Here the range of a kernel is
its largest magnitude per output channel, at every moment; the range of an activation is fixed by calibration images
of the training split (Jacob et al. 2018, arXiv:1712.05877; per-channel weights: Krishnamoorthi 2018,
arXiv:1806.08342).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.inspection import WEIGHT_BITS, full_range
from mstl_edge.training._keras import import_tfmot, import_tfmot_internals, keras, tf

INPUT_RANGE = (-1.0, 127.0 / 128.0)
"""Gives the input scale 1/128 and zero point 0, so that a device computes int8 = uint8 − 128."""
CORRECTION_BLOCK = 16
"""Images that bias correction runs through a layer at once."""

_tfmot = import_tfmot()
_eight_bit, _transformer = import_tfmot_internals()
_Registry = _eight_bit.default_8bit_quantize_registry.Default8BitQuantizeRegistry
_Config = _eight_bit.default_8bit_quantize_registry.Default8BitQuantizeConfig
_Scheme = _eight_bit.default_8bit_quantize_scheme.Default8BitQuantizeScheme
_quantizers = _tfmot.quantization.keras.quantizers

_KERNELS = {
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "depthwise_kernel",
    keras.layers.Dense: "kernel",
}


class PerChannelKernel(_quantizers.Quantizer):  # type: ignore[misc, name-defined]
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
        others = [axis for axis in range(len(inputs.shape)) if axis != self.channel_axis]
        largest = tf.reduce_max(tf.abs(inputs), axis=others, keepdims=True)
        scale = tf.where(largest > 0.0, largest, 1.0) / float(full_range(self.weight_bits))
        return inputs + tf.stop_gradient(tf.round(inputs / scale) * scale - inputs)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {"channel_axis": self.channel_axis, "weight_bits": self.weight_bits}


class CalibratedActivation(_quantizers.MovingAverageQuantizer):  # type: ignore[misc, name-defined]
    """Asymmetric int8 at a range that calibration has set and training leaves alone."""

    def __init__(self) -> None:
        super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """Return the activations rounded to 256 levels of the calibrated range."""
        return tf.quantization.fake_quant_with_min_max_vars(inputs, weights["min_var"], weights["max_var"], 8)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {}


class EdgeConfig(_Config):  # type: ignore[misc, valid-type]
    """tfmot's configuration of a layer, with the two quantizers above."""

    def __init__(
        self,
        weight_attrs: list[str],
        activation_attrs: list[str],
        quantize_output: bool,
        weight_bits: int = WEIGHT_BITS,
    ) -> None:
        super().__init__(weight_attrs, activation_attrs, quantize_output)
        self.weight_bits = weight_bits
        self.weight_quantizer = PerChannelKernel(2 if "depthwise_kernel" in weight_attrs else -1, weight_bits)
        self.activation_quantizer = CalibratedActivation()

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Pair each kernel with its quantizer."""
        pairs = []
        for attribute in self.weight_attrs:
            kernel = getattr(layer, attribute)
            axis = 2 if attribute == "depthwise_kernel" else len(kernel.shape) - 1
            pairs.append((kernel, PerChannelKernel(axis, self.weight_bits)))
        return pairs

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return {**super().get_config(), "weight_bits": self.weight_bits}


class EdgeRegistry(_Registry):  # type: ignore[misc, valid-type]
    """tfmot's registry of layers, answering with `EdgeConfig`.

    Args:
        fused: Names of the layers whose ReLU the device computes in the same operator; only the ReLU's output is rounded.
        weight_bits: See `PerChannelKernel`.
    """

    def __init__(self, fused: frozenset[str], weight_bits: int) -> None:
        super().__init__()
        self._fused = fused
        self._weight_bits = weight_bits

    def get_quantize_config(self, layer: Any) -> Any:
        """Return how `layer` is quantized."""
        kernel = _KERNELS.get(type(layer))
        if kernel is not None:
            return EdgeConfig([kernel], [] if layer.name in self._fused else ["activation"], False, self._weight_bits)
        config = super().get_quantize_config(layer)
        if type(config) is _Config:
            return EdgeConfig(config.weight_attrs, config.activation_attrs, config.quantize_output)
        return config


class EdgeScheme(_Scheme):  # type: ignore[misc, valid-type]
    """tfmot's 8-bit scheme with `EdgeRegistry`.

    Of tfmot's layout transforms only the one that quantizes the input is used: the one for a layer in front of a ReLU would
    leave that layer's kernel in float, silently (tfmot 0.8.1), and the others are for BatchNorm, which is folded already.
    """

    def __init__(self, fused: frozenset[str], weight_bits: int) -> None:
        super().__init__()
        self._fused = fused
        self._weight_bits = weight_bits

    def get_layout_transformer(self) -> Any:
        """Return an object whose `apply(model, layer_quantize_map)` quantizes the input."""
        return _InputOnly()

    def get_quantize_registry(self) -> Any:
        """Return the registry."""
        return EdgeRegistry(self._fused, self._weight_bits)


class _InputOnly:
    def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> Any:
        transforms = [_eight_bit.default_8bit_transforms.InputLayerQuantize()]
        names = set(layer_quantize_map)
        return _transformer.ModelTransformer(model, transforms, names, layer_quantize_map).transform()


def with_fake_quantization(folded: Any, weight_bits: int = WEIGHT_BITS) -> Any:
    """Return `folded` (flat, without BatchNorm) with every layer under fake quantization.

    Args:
        folded: Image → probabilities.
        weight_bits: See `PerChannelKernel`.

    Raises:
        RuntimeError: tfmot does not know a layer; the message is its own.
    """
    quantization = _tfmot.quantization.keras
    fused = frozenset(
        layer.inbound_nodes[0].inbound_layers.name for layer in folded.layers if isinstance(layer, keras.layers.ReLU)
    )
    with quantization.quantize_scope(
        {cls.__name__: cls for cls in (PerChannelKernel, CalibratedActivation, EdgeConfig)}
    ):
        return quantization.quantize_apply(quantization.quantize_annotate_model(folded), EdgeScheme(fused, weight_bits))


def calibrate(quantized: Any, folded: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Set the range of every activation to what `folded` shows on calibration images, and the input's to its exact grid.

    Args:
        quantized: What `with_fake_quantization(folded)` returned.
        folded: The float model.
        batches: `(n, height, width, 3) float32` each, from the training split.
    """
    wanted = {layer.name.removeprefix("quant_"): layer for layer in quantized.layers if _range_of(layer)}
    names = [layer.name for layer in folded.layers if layer.name in wanted]
    probe = keras.Model(folded.input, [folded.get_layer(name).output for name in names])
    observe = tf.function(lambda batch: [(tf.reduce_min(t), tf.reduce_max(t)) for t in probe(batch, training=False)])
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for batch in batches:
        seen = np.array([[float(a), float(b)] for a, b in observe(tf.constant(batch))])
        low, high = np.minimum(low, seen[:, 0]), np.maximum(high, seen[:, 1])
    for name, lowest, highest in zip(names, low, high, strict=True):
        for variable, value in zip(_range_of(wanted[name]), (min(lowest, 0.0), max(highest, 1e-3)), strict=True):
            variable.assign(value)
    for layer in quantized.layers:
        if "quantize_layer" in layer.name:
            for variable, value in zip(_range_of(layer), INPUT_RANGE, strict=True):
                variable.assign(value)


def _range_of(layer: Any) -> list[Any]:
    """Return the variables of a layer's activation range, lower bound first; empty where it has none."""
    ends = {
        end: [v for v in layer.weights if v.name.split(":")[0].endswith(end) and "kernel" not in v.name]
        for end in ("_min", "_max")
    }
    return [*ends["_min"][:1], *ends["_max"][:1]]


def skipped_layers(quantized: Any) -> list[dict[str, str]]:
    """List the layers without a quantizer of their own, each with the reason."""
    reasons = {
        "ZeroPadding2D": "adds zeros, which are exact in every scale of its input",
        "Softmax": "its output scale is fixed to 1/256 by TFLite",
        "Reshape": "moves values without changing them",
    }
    listed = []
    for layer in quantized.layers:
        inner = getattr(layer, "layer", layer)
        kind = type(inner).__name__
        if kind in ("InputLayer", "QuantizeLayer") or getattr(layer, "_weight_vars", None) or _range_of(layer):
            continue
        listed.append({"layer": inner.name, "kind": kind, "reason": reasons.get(kind, "tfmot has no quantizer for it")})
    return listed


def correct_biases(quantized: Any, folded: Any, batch: NDArray[np.float32]) -> None:
    """Shift each bias by the mean error that rounding brings to its channel (Nagel et al. 2019, arXiv:1906.04721, 4.2).

    Rounded kernels move the mean of a channel, and a depthwise network has nothing to average that out. Layers are
    corrected in order, so each one compensates what the corrected layers before it left over.

    Args:
        quantized: Calibrated, under fake quantization; its biases are changed in place.
        folded: The float model.
        batch: `(n, height, width, 3) float32` calibration images.
    """
    blocks = [tf.constant(batch[start : start + CORRECTION_BLOCK]) for start in range(0, len(batch), CORRECTION_BLOCK)]
    exact = _channel_means(folded, blocks)
    rounded: dict[str, list[Any]] = {}
    readers = Counter(_feeding(layer) for layer in quantized.layers)
    for layer in quantized.layers:
        name, before = layer.name.removeprefix("quant_"), _feeding(layer)
        if not before:
            rounded[name] = blocks
            continue
        rounded[name] = [layer(block, training=False) for block in rounded[before]]
        if name in exact:
            error = (_mean(rounded[name]) - exact[name]).astype(np.float32)
            layer.layer.bias.assign_sub(error)
            if _range_of(layer):  # rounds its own output, which a shifted bias rounds anew
                rounded[name] = [layer(block, training=False) for block in rounded[before]]
            else:
                rounded[name] = [block - error for block in rounded[name]]
        readers[before] -= 1
        if not readers[before]:  # The activations of a whole network would not fit into memory.
            del rounded[before]


def _channel_means(folded: Any, blocks: Iterable[Any]) -> dict[str, NDArray[np.float64]]:
    """Return what each layer with a kernel puts out in the mean, `(channels,)`, by its name."""
    layers = [layer for layer in folded.layers if type(layer) in _KERNELS]
    probe = keras.Model(folded.input, [layer.output for layer in layers])
    observe = tf.function(lambda block: [_image_means(t) for t in probe(block, training=False)], autograph=False)
    seen = zip(*(observe(block) for block in blocks), strict=True)
    return {layer.name: _over_images(means) for layer, means in zip(layers, seen, strict=True)}


def _mean(blocks: Iterable[Any]) -> NDArray[np.float64]:
    return _over_images([_image_means(block) for block in blocks])


def _image_means(values: Any) -> Any:
    return tf.reduce_mean(values, axis=list(range(1, len(values.shape) - 1)))


def _over_images(means: Iterable[Any]) -> NDArray[np.float64]:
    """Return the mean over all images, in double precision: in single, its error would be as large as some corrections."""
    return np.asarray(np.concatenate([np.asarray(block, dtype=np.float64) for block in means]).mean(axis=0))


def _feeding(layer: Any) -> str:
    """Return the name of the one layer in front, without tfmot's prefix; empty for the input."""
    inbound = layer.inbound_nodes[0].inbound_layers
    return inbound.name.removeprefix("quant_") if not isinstance(inbound, list) else ""
