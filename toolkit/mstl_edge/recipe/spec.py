"""What a recipe says: frozen data with a default for nearly every key."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0.0)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class BackboneSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which network, and where its first weights come from.

    `weights` is `imagenet`, `bundled`, `none`, or the path of a Keras `no_top` weights file.
    """

    name: str = "mobilenet_v1"
    alpha: PositiveFloat = 1.0
    input_size: Annotated[int, Meta(ge=32, le=1024)] = 224
    weights: str = "imagenet"


class PreprocessSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an image file becomes `(input_size, input_size, 3) uint8`; training and device follow the same words.

    `aspect`: `stretch` ignores it, `pad` adds black, `crop` cuts the longer side centrally. `window`: the grey levels
    of a 16-bit image that become 0 and 255; empty takes the image's own minimum and maximum, without pixels that stray far
    from all others.
    """

    resize: Literal["bilinear", "bicubic", "lanczos", "box"] = "bilinear"
    aspect: Literal["stretch", "pad", "crop"] = "stretch"
    window: tuple[float, ...] = ()
    max_pixels: Positive = 64_000_000


FeaturePrecision = Literal["float32", "float16"]


class SplitSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How images are dealt to training, validation and test: stratified by class, grouped by patient, seeded.

    `patient` is a regular expression whose first group (or whole match) over the file name is the patient, `column`
    a column of the label file that names the patient. `resplit` ignores the splits that a data set declares by its folders.
    `limit_unreadable` is the largest share of files that may be unreadable, and of copies that `conflicts` leaves out: a picture
    under two labels is refused, or (`drop`) every copy of it is left out, counted and listed. `subset` keeps only so many images
    of the training part (0: all), for learning curves.
    """

    validation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.15
    test: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.2
    patient: str = ""
    column: str = ""
    resplit: bool = False
    limit_unreadable: Fraction = 0.1
    conflicts: Literal["refuse", "drop"] = "refuse"
    subset: Annotated[int, Meta(ge=0)] = 0


class LabelsSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which columns of a label file to read: `image` names the image, `label` the class. Empty: found by their cells and names."""

    image: str = ""
    label: str = ""


class AugmentSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Random views of each training image, drawn once, stored, and dealt out one per epoch.

    `views` counts the original; 1 means no augmentation. Rotation in degrees, shift and zoom as shares of the side, brightness and
    contrast as shares of the grey range; each is the bound of a uniform draw.
    """

    views: Positive = 1
    flip: bool = True
    rotate: Annotated[float, Meta(ge=0.0, le=180.0)] = 10.0
    shift: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.05
    zoom: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.1
    brightness: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1
    contrast: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.1


class StageSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stage of the transfer: a data set, a fresh head, and how the network's upper part is fine-tuned on it.

    Layers below `unfreeze_from` stay as they are; that layer, everything above it and the head are trained.
    `positive` is the class of two that sensitivity speaks of (default: the last in alphabetical order); with more than two it is
    ignored, and that is said. `early_stopping` ends a stage after so many epochs without a better validation loss (0: never).

    `select`: keep the epoch with the best validation loss, the last one, or the average: the mean of the weights after each
    epoch of the last quarter, at least two (stochastic weight averaging, Izmailov et al. 2018, arXiv:1803.05407, with the
    schedule as given; BatchNorm is frozen, so that nothing is measured anew). `mixup` is the α of Beta(α, α), by whose draws
    pairs of a batch and their labels are blended (Zhang et al. 2018, arXiv:1710.09412; 0: not at all). It acts on stored
    features, at the border of the frozen layers (manifold mixup, Verma et al. 2019, arXiv:1806.05236), and not in
    quantization-aware fine-tuning, which learns the float model's answers to real images.

    `feature_precision` is how features of the frozen layers are kept on disk: float16 takes half the space.
    """

    name: Name
    data: str
    unfreeze_from: str
    positive: str = ""
    epochs: Positive = 10
    batch_size: Positive = 16
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    label_smoothing: Fraction = 0.0
    class_weight: Literal["none", "balanced"] = "balanced"
    early_stopping: Annotated[int, Meta(ge=0)] = 0
    select: Literal["best", "last", "average"] = "best"
    mixup: Annotated[float, Meta(ge=0.0)] = 0.0
    feature_precision: FeaturePrecision = "float32"
    augment: AugmentSpec = AugmentSpec()
    split: SplitSpec = SplitSpec()
    labels: LabelsSpec = LabelsSpec()


class QuantizeSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How `export --int8` fine-tunes under fake quantization, calibrates, and what its gate demands.

    `max_drop` in points of accuracy, `min_agreement` as a share of images; docs/decisions/0004 says why 3 points.
    `agreement_images` is how many images are drawn to judge a drawn target. `cross_fit` is how many parts the training images are
    dealt into to judge the procedure, where images kept from training are fewer than 100 (0 or 1: not at all). `weight_bits`: 8
    lets the weights of an int8 file reach ±127, 7 only ±63, so that 16-bit sums of two products, as some engines form them on
    CPUs without VNNI, cannot overflow.
    """

    epochs: Positive = 8
    learning_rate: PositiveFloat = 3e-5
    batch_size: Positive = 16
    calibration_images: Positive = 200
    max_drop: Annotated[float, Meta(ge=0.0)] = 3.0
    min_agreement: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.97
    agreement_images: Positive = 2000
    cross_fit: Annotated[int, Meta(ge=0, le=20)] = 3
    weight_bits: Annotated[int, Meta(ge=7, le=8)] = 8


class Recipe(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a result."""

    name: Name
    description: str = ""
    seed: Annotated[int, Meta(ge=0)] = 0
    backbone: BackboneSpec = BackboneSpec()
    preprocess: PreprocessSpec = PreprocessSpec()
    stages: Annotated[tuple[StageSpec, ...], Meta(min_length=1)]
    quantize: QuantizeSpec = QuantizeSpec()
