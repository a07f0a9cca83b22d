"""Make the few-kB models of this folder; needs the `train` extra: `python tests/data/models/make_tiny_models.py`.

Random weights, seeded. `tiny_float32.tflite` and `tiny_int8.tflite` are twins: 32×32 input, one plain, one depthwise
and one pointwise convolution, a dense softmax over two classes; the int8 one has input scale 1/128 and zero point 0.
`three_classes.tflite` is a float classifier of three classes, `not_a_classifier.tflite` returns an image.
"""

import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras as keras

FOLDER = Path(__file__).parent


def network(classes: int) -> keras.Model:
    """Return the tiny classifier; the last layer is scaled so that answers spread."""
    layers = keras.layers

    def bias():
        # One object for all would give equal biases, which the converter merges.
        return {"bias_initializer": keras.initializers.RandomUniform(-0.2, 0.2)}

    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", **bias(), name="conv")(image)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", **bias(), name="depthwise")(x)
    x = layers.Conv2D(16, 1, activation="relu", **bias(), name="pointwise")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0), **bias(), name="head")(x)
    return keras.Model(image, layers.Softmax()(x))


def convert(model: keras.Model, *, int8: bool) -> bytes:
    """Convert with a static batch of 1; calibration images span [−1, 127/128] exactly."""
    signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False)).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if int8:
        draw = np.random.default_rng(7)

        def images():
            for _ in range(64):
                yield [((draw.integers(0, 256, (1, 32, 32, 3)) - 128) / 128).astype(np.float32)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = images
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    """Write every file."""
    keras.utils.set_random_seed(3)
    two = network(2)
    (FOLDER / "tiny_float32.tflite").write_bytes(convert(two, int8=False))
    (FOLDER / "tiny_int8.tflite").write_bytes(convert(two, int8=True))
    (FOLDER / "three_classes.tflite").write_bytes(convert(network(3), int8=False))
    image = keras.Input((32, 32, 3))
    picture = keras.Model(image, keras.layers.Conv2D(1, 3, padding="same")(image))
    (FOLDER / "not_a_classifier.tflite").write_bytes(convert(picture, int8=False))


if __name__ == "__main__":
    main()
