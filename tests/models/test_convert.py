"""Weights in the layouts of others: every tensor of the network is named, and ShuffleNetV2 is the network that torchvision's is."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from checkpoints import save_checkpoint
from numpy.typing import NDArray

from mstl_edge.errors import WeightsError
from mstl_edge.planning.weights_file import network_of
from mstl_edge.recipe import BackboneSpec
from mstl_edge.training._keras import keras, tf
from mstl_edge.training.weights import loaded_backbone
from mstl_edge_models import backbones
from mstl_edge_models.convert import LAYOUTS, Layout, converted

State = dict[str, NDArray[Any]]
ALL = [
    pytest.param(layout, variant, id=f"{layout.name} {variant} {number}")
    for number, layout in enumerate(LAYOUTS)
    for variant in layout.variants
]


def spec(layout: Layout, variant: str, file: Path | None = None) -> BackboneSpec:
    return BackboneSpec(
        name=layout.backbone, variant=variant, input_size=64, weights="none" if file is None else str(file)
    )


def wanted(model: Any) -> dict[str, tuple[int, ...]]:
    return {
        f"{layer.name}/{weight.name.rpartition('/')[2].split(':')[0]}": tuple(weight.shape)
        for layer in model.layers
        for weight in layer.weights
    }


@functools.cache
def shapes_of_network(name: str, variant: str) -> dict[str, tuple[int, ...]]:
    of = BackboneSpec(name=name, variant=variant, input_size=64, weights="none")
    return wanted(backbones.REGISTRY[name].build(keras, of))


def drawn_state(layout: Layout, variant: str) -> State:
    """Tensors as the layout has them, of random numbers."""
    rng = np.random.default_rng(11)
    shapes = shapes_of_network(layout.backbone, variant)
    state = {}
    for row in layout.rows(variant):
        shape = shapes[row.ours]
        if len(shape) == 4 and row.theirs.endswith(".weight"):
            shape = tuple(shape[axis] for axis in ((2, 3, 0, 1) if "depthwise" in row.ours else (3, 2, 0, 1)))
        positive = row.theirs.endswith("running_var")
        state[row.theirs] = rng.uniform(0.5 if positive else -0.1, 1.5 if positive else 0.1, shape).astype(np.float32)
    return state


def saved(layout: Layout, state: State, path: Path) -> Path:
    if "absorbed" not in layout.name:
        head = "fc.weight" if layout.backbone == "shufflenet_v2" else "classifier.weight"
        return save_checkpoint(
            path, {**state, head: np.zeros((2, 2), np.float32), "a.num_batches_tracked": np.array(1)}
        )
    layers: dict[str, list[str]] = {}
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            layer, _, weight = name.partition("/")
            layers.setdefault(layer, []).append(f"{layer}/{weight}:0")
            file[f"{layer}/{layer}/{weight}:0"] = array
        file.attrs["layer_names"] = list(layers)
        for layer, names in layers.items():
            file[layer].attrs["weight_names"] = names
    return path


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_the_rows_of_a_layout_name_every_tensor_of_the_network_once(layout: Layout, variant: str) -> None:
    ours = [row.ours for row in layout.rows(variant)]
    assert len(ours) == len(set(ours))
    assert set(ours) == shapes_of_network(layout.backbone, variant).keys()


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_a_file_tells_its_network_and_every_tensor_lands_where_its_row_says(
    layout: Layout, variant: str, tmp_path: Path
) -> None:
    state = drawn_state(layout, variant)
    file = saved(layout, state, tmp_path / "weights.pth")
    assert network_of(file) == (layout.backbone, variant)
    model = loaded_backbone(spec(layout, variant, file), 0)
    by_name = {
        f"{layer.name}/{w.name.rpartition('/')[2].split(':')[0]}": w.numpy()
        for layer in model.layers
        for w in layer.weights
    }
    for row in layout.rows(variant):
        taken = row.change(*(state[name] for name in (row.theirs, *row.beside)))
        np.testing.assert_array_equal(by_name[row.ours], taken, err_msg=row.ours)


@pytest.mark.parametrize(("layout", "variant"), ALL)
def test_a_missing_and_an_unknown_tensor_are_named(layout: Layout, variant: str) -> None:
    state = drawn_state(layout, variant)
    last = list(state)[-1]
    with pytest.raises(KeyError, match=f"no {last}, which"):
        converted(layout, variant, {name: array for name, array in state.items() if name != last})
    with pytest.raises(KeyError, match="more/kernel, which"):
        converted(layout, variant, {**state, "more/kernel": np.zeros(3, np.float32)})


def test_a_missing_tensor_of_a_file_is_one_line(tmp_path: Path) -> None:
    layout = next(one for one in LAYOUTS if one.backbone == "squeezenet")
    state = drawn_state(layout, "1.1")
    last = list(state)[-1]
    file = saved(layout, {name: array for name, array in state.items() if name != last}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=rf"squeezenet:1\.1 without a head\. Received: a\.pth \(no {last}, which"):
        loaded_backbone(spec(layout, "1.1", file), 0)


def test_a_checkpoint_of_another_network_says_which(tmp_path: Path) -> None:
    layout = next(one for one in LAYOUTS if one.backbone == "shufflenet_v2")
    file = saved(layout, drawn_state(layout, "0.5"), tmp_path / "a.pth")
    other = BackboneSpec(name="mobilenet_v1", variant="0.25", input_size=32, weights=str(file))
    with pytest.raises(WeightsError, match=r"torchvision's ShuffleNetV2, .*--backbone shufflenet_v2:0\.5"):
        loaded_backbone(other, 0)


def test_a_checkpoint_of_no_known_network_names_those_that_are(tmp_path: Path) -> None:
    file = save_checkpoint(tmp_path / "a.pth", {"layer.weight": np.zeros((2, 2), np.float32)})
    other = BackboneSpec(name="mobilenet_v1", variant="0.25", input_size=32, weights=str(file))
    with pytest.raises(WeightsError, match=r"a checkpoint of none of .*torchvision's ShuffleNetV2"):
        loaded_backbone(other, 0)


class Torchvision:
    """ShuffleNetV2 as torchvision's own code runs it: channels are halved in front of a block, and dealt out behind it."""

    def __init__(self, state: State) -> None:
        self.state = state

    def convolution(self, x: Any, name: str, number: int, *, stride: int = 1, relu: bool = True) -> Any:
        kernel, norm = self.state[f"{name}.{number}.weight"], f"{name}.{number + 1}"
        pad = kernel.shape[-1] // 2
        x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        if kernel.shape[1] == 1 and kernel.shape[0] == x.shape[-1]:
            x = tf.nn.depthwise_conv2d(x, kernel.transpose(2, 3, 0, 1), [1, stride, stride, 1], "VALID")
        else:
            x = tf.nn.conv2d(x, kernel.transpose(2, 3, 1, 0), stride, "VALID")
        scale = self.state[f"{norm}.weight"] / np.sqrt(self.state[f"{norm}.running_var"] + 1e-5)
        x = (x - self.state[f"{norm}.running_mean"]) * scale + self.state[f"{norm}.bias"]
        return tf.nn.relu(x) if relu else x

    def branch(self, x: Any, name: str, stride: int) -> Any:
        x = self.convolution(x, name, 0)
        return self.convolution(self.convolution(x, name, 3, stride=stride, relu=False), name, 5)

    def block(self, x: Any, name: str, *, halving: bool) -> Any:
        if halving:
            beside = self.convolution(
                self.convolution(x, f"{name}.branch1", 0, stride=2, relu=False), f"{name}.branch1", 2
            )
            joined = tf.concat([beside, self.branch(x, f"{name}.branch2", 2)], -1)
        else:
            beside, main = tf.split(x, 2, -1)
            joined = tf.concat([beside, self.branch(main, f"{name}.branch2", 1)], -1)
        *front, channels = joined.shape
        dealt = tf.transpose(tf.reshape(joined, [*front, 2, channels // 2]), [0, 1, 2, 4, 3])
        return tf.reshape(dealt, [*front, channels])

    def features(self, x: Any) -> Any:
        x = tf.pad(self.convolution(x, "conv1", 0, stride=2), [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        for stage, repeats in ((2, 4), (3, 8), (4, 4)):
            for number in range(repeats):
                x = self.block(x, f"stage{stage}.{number}", halving=number == 0)
        return self.convolution(x, "conv5", 0)


@pytest.mark.parametrize("variant", ["0.5", "1.0", "1.5"])
def test_shufflenet_with_torchvisions_weights_answers_as_torchvisions_code_does(variant: str, tmp_path: Path) -> None:
    layout = next(one for one in LAYOUTS if one.backbone == "shufflenet_v2")
    state = {name: array * (10 if array.ndim == 4 else 1) for name, array in drawn_state(layout, variant).items()}
    images = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype(np.float32)
    expected = Torchvision(state).features(images).numpy()
    model = loaded_backbone(spec(layout, variant, saved(layout, state, tmp_path / "a.pth")), 0)
    assert expected.std() > 0.01
    np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-3, atol=1e-4 * expected.std())


def test_squeezenets_first_convolution_sees_torchvisions_pixels_in_caffes(tmp_path: Path) -> None:
    layout = next(one for one in LAYOUTS if one.backbone == "squeezenet")
    state = drawn_state(layout, "1.1")
    pixels = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3)).astype(np.float64)
    theirs = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ours = pixels[..., ::-1] - [103.939, 116.779, 123.68]
    expected = tf.nn.conv2d(theirs, state["features.0.weight"].transpose(2, 3, 1, 0).astype(np.float64), 2, "VALID")
    expected = expected.numpy() + state["features.0.bias"]
    layer = loaded_backbone(spec(layout, "1.1", saved(layout, state, tmp_path / "a.pth")), 0).get_layer("conv1")
    np.testing.assert_allclose(layer(ours.astype(np.float32)).numpy(), expected, rtol=1e-4, atol=1e-5)
