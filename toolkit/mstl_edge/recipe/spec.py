"""What a recipe says: frozen data with a meaning for every key, and a default for nearly every one.

`Meta(description=…)` is where a key is explained, and the only place: `mstl-edge recipes keys`, docs/recipe.md, commented recipes
and errors all read it here. `extra={"range": …}` says in words what a type cannot.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from mstl_edge.recipe.windows import WINDOWS, Spelled
from mstl_edge_models import backbones

Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0.0)]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        extra={"range": "letters, digits, . _ and -"},
    ),
]


class BackboneSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which network, and where its first weights come from."""

    name: Annotated[
        str, Meta(description="Architecture of the network.", extra={"range": ", ".join(backbones.REGISTRY)})
    ] = "mobilenet_v1"
    variant: Annotated[
        str,
        Meta(description="Size of the architecture; of a MobileNet its width multiplier, the share of its channels that every "
             "layer keeps. Empty: the one that is usual. In recipes of MobileNets, alpha = 0.25 says the same.",
             extra={"range": "a variant that the architecture has, of a MobileNet any width"}),
    ] = ""  # fmt: skip
    input_size: Annotated[
        int, Meta(ge=32, le=1024, description="Height and width in pixels of the image that the network sees.")
    ] = 224
    weights: Annotated[
        str,
        Meta(description="First weights: Keras' own of ImageNet, the small ones in this package, random ones, or a file: "
             "Keras' (no_top), or a PyTorch checkpoint of torchvision's.", extra={"range": "imagenet, bundled, none or a file"}),
    ] = "imagenet"  # fmt: skip


class PreprocessSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an image file becomes `(input_size, input_size, 3) uint8`; training and device follow the same words."""

    resize: Annotated[
        Literal["bilinear", "bicubic", "lanczos", "box"],
        Meta(description="Filter that makes an image smaller or larger."),
    ] = "bilinear"
    aspect: Annotated[
        Literal["stretch", "pad", "crop"],
        Meta(description="What becomes of an image that is not square: stretch ignores it, pad adds black, crop cuts the "
             "longer side centrally."),
    ] = "stretch"  # fmt: skip
    window: Annotated[
        Spelled,
        Meta(description="Grey levels of a DICOM or 16-bit image that become 0 and 255. auto, or []: the window that a DICOM file "
             "states; without one the image's own least and greatest level, without pixels that stray far from all others. A name "
             "is a window of CT in Hounsfield units. Three names make three channels.",
             extra={"range": f"auto, {', '.join(WINDOWS)}, [low, high] or three names"}),
    ] = ()  # fmt: skip
    max_pixels: Annotated[Positive, Meta(description="Images with more pixels are refused.")] = 64_000_000


FeaturePrecision = Literal["float32", "float16"]


class SplitSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How images are dealt to training, validation and test: stratified by class, grouped by patient, seeded."""

    validation: Annotated[
        float, Meta(gt=0.0, lt=1.0, description="Share of the images that chooses epochs, threshold and int8 file.")
    ] = 0.15
    test: Annotated[
        float, Meta(gt=0.0, lt=1.0, description="Share of the images that is scored at the end and chooses nothing.")
    ] = 0.2
    patient: Annotated[
        str,
        Meta(description="Where a file name says whose image it is: the first group, or the whole match, is the patient. "
             "All images of a patient go to one split. Empty: the names of well-known public sets are recognised.",
             extra={"range": "a regular expression"}),
    ] = ""  # fmt: skip
    column: Annotated[
        str,
        Meta(description="Column of the label file that names the patient.", extra={"range": "a name of a column"}),
    ] = ""
    resplit: Annotated[
        bool, Meta(description="Deal all images anew, whatever splits the folders or the label file declare.")
    ] = False
    limit_unreadable: Annotated[
        Fraction, Meta(description="Largest share of files that may be unreadable, or left out by `conflicts`.")
    ] = 0.1
    conflicts: Annotated[
        Literal["refuse", "drop"],
        Meta(
            description="A picture that lies under two labels is refused, or every copy of it is left out, counted and listed."
        ),
    ] = "refuse"
    subset: Annotated[
        int,
        Meta(ge=0, description="Train on only so many images of the training part, for learning curves; 0 is all."),
    ] = 0


class LabelsSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which columns of a label file to read, and which of the findings to tell apart."""

    image: Annotated[
        str,
        Meta(description="Column of the label file that names the image; empty: found by its cells.",
             extra={"range": "a name of a column"}),
    ] = ""  # fmt: skip
    label: Annotated[
        str,
        Meta(description="Column of the label file that holds the class; empty: found by its name.",
             extra={"range": "a name of a column"}),
    ] = ""  # fmt: skip
    map: Annotated[
        tuple[str, ...],
        Meta(description="What findings, or folders, are called as classes; images of any other are left out and counted. Several "
             "may become one class.", extra={"range": "FINDING=CLASS each"}),
    ] = ()  # fmt: skip
    only: Annotated[
        tuple[str, ...],
        Meta(description="The classes to tell apart; images of any other are left out and counted. Empty: all.",
             extra={"range": "names of classes"}),
    ] = ()  # fmt: skip
    slices: Annotated[
        Literal["all", "middle"],
        Meta(description="Of DICOM series and of files of several frames: every slice is an image, or the middle one of each "
             "series alone."),
    ] = "all"  # fmt: skip


class AugmentSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Random views of each training image, drawn once, stored, and dealt out one per epoch.

    Each bound is that of a uniform draw.
    """

    views: Annotated[
        Positive, Meta(description="Views of each training image, the original among them; 1 is no augmentation.")
    ] = 1
    flip: Annotated[bool, Meta(description="Mirror half of the views left to right.")] = True
    rotate: Annotated[float, Meta(ge=0.0, le=180.0, description="Rotation of a view by up to so many degrees.")] = 10.0
    shift: Annotated[float, Meta(ge=0.0, le=0.5, description="Shift of a view by up to this share of its side.")] = 0.05
    zoom: Annotated[float, Meta(ge=0.0, le=0.5, description="Zoom in or out by up to this share.")] = 0.1
    brightness: Annotated[
        float, Meta(ge=0.0, le=1.0, description="Brighter or darker by up to this share of the grey range.")
    ] = 0.1
    contrast: Annotated[float, Meta(ge=0.0, le=1.0, description="More or less contrast by up to this share.")] = 0.1


class StageSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stage of the transfer: a data set, a fresh head, and how the network's upper part is fine-tuned on it.

    `select = average` is stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407) with the schedule as given; BatchNorm
    is frozen, so that nothing is measured anew. `mixup` (Zhang et al. 2018, arXiv:1710.09412) acts on stored features, at the
    border of the frozen layers (manifold mixup, Verma et al. 2019, arXiv:1806.05236), and not in quantization-aware fine-tuning,
    which learns the float model's answers to real images.
    """

    name: Annotated[Name, Meta(description="Name of the stage, by which --data and --set speak of it.")]
    data: Annotated[
        str,
        Meta(description="Where its images are: a folder per class, a CSV beside a folder of images, a set of Kaggle, or "
             "drawn ones.", extra={"range": "a folder, a CSV, kaggle:owner/name or phantom:KIND"}),
    ]  # fmt: skip
    unfreeze_from: Annotated[
        str,
        Meta(description="First block that is trained, with everything above it and the head; the blocks below stay as "
             "they are. head trains the head alone, on the features of the network as it is.",
             extra={"range": "a cut point of the backbone, or head"}),
    ]  # fmt: skip
    positive: Annotated[
        str,
        Meta(description="Of two classes, the one that sensitivity speaks of; empty: the last by name. With more than two "
             "it is ignored, and that is said.", extra={"range": "a class"}),
    ] = ""  # fmt: skip
    epochs: Annotated[Positive, Meta(description="How often the stage goes through its training images.")] = 10
    batch_size: Annotated[Positive, Meta(description="Images of one step of the optimizer.")] = 16
    optimizer: Annotated[Literal["adam", "sgd"], Meta(description="Optimizer; sgd has a momentum of 0.9.")] = "adam"
    learning_rate: Annotated[PositiveFloat, Meta(description="Learning rate of the first step.")] = 1e-4
    schedule: Annotated[
        Literal["constant", "cosine"],
        Meta(description="How the learning rate goes on: as it is, or along half a cosine down to a twentieth."),
    ] = "constant"
    label_smoothing: Annotated[
        Fraction, Meta(description="Share of each label that is spread evenly over all classes.")
    ] = 0.0
    class_weight: Annotated[
        Literal["none", "balanced"],
        Meta(description="Whether rare classes weigh more in the loss, so that all classes weigh the same together."),
    ] = "balanced"
    early_stopping: Annotated[
        int,
        Meta(ge=0, description="Ends the stage after so many epochs without a better validation loss; 0 is never."),
    ] = 0
    select: Annotated[
        Literal["best", "last", "average"],
        Meta(description="Which weights are kept: of the epoch with the best validation loss, of the last one, or the mean "
             "of those after each epoch of the last quarter, at least two."),
    ] = "best"  # fmt: skip
    mixup: Annotated[
        float,
        Meta(ge=0.0, description="Blends images of a batch and their labels in pairs, by draws from Beta(mixup, mixup); 0 is "
             "not at all."),
    ] = 0.0  # fmt: skip
    feature_precision: Annotated[
        FeaturePrecision,
        Meta(description="How features of the frozen layers are kept on disk; float16 takes half the space."),
    ] = "float32"
    augment: Annotated[AugmentSpec, Meta(description="Random views of each training image.")] = AugmentSpec()
    split: Annotated[SplitSpec, Meta(description="Who trains, who validates, who tests.")] = SplitSpec()
    labels: Annotated[LabelsSpec, Meta(description="Columns of a label file, and classes.")] = LabelsSpec()


class QuantizeSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How `export --int8` fine-tunes under fake quantization, calibrates, and what its gate demands.

    docs/decisions/0004 says why 3 points of accuracy may be lost.
    """

    epochs: Annotated[
        Positive, Meta(description="Epochs of quantization-aware fine-tuning, on the images of the last stage.")
    ] = 8
    learning_rate: Annotated[PositiveFloat, Meta(description="Learning rate of quantization-aware fine-tuning.")] = 3e-5
    batch_size: Annotated[Positive, Meta(description="Images of one step of quantization-aware fine-tuning.")] = 16
    calibration_images: Annotated[
        Positive, Meta(description="Training images by which the ranges of int8 activations are measured, at most.")
    ] = 200
    max_drop: Annotated[
        float, Meta(ge=0.0, description="Points of accuracy that an int8 file may lose against float.")
    ] = 3.0
    min_agreement: Annotated[
        float, Meta(ge=0.0, le=1.0, description="Share of images to which int8 and float must give the same label.")
    ] = 0.97
    agreement_images: Annotated[
        Positive, Meta(description="Images that are drawn to judge an int8 file where the target is drawn itself.")
    ] = 2000
    cross_fit: Annotated[
        int,
        Meta(ge=0, le=20, description="Parts into which the training images are dealt to judge the procedure, where fewer "
             "than 200 images were kept from training; 0 and 1 are not at all."),
    ] = 2  # fmt: skip
    weight_bits: Annotated[
        int,
        Meta(ge=7, le=8, description="8 lets int8 weights reach ±127, 7 only ±63, so that 16-bit sums of two products, as "
             "some engines form them on CPUs without VNNI, cannot overflow."),
    ] = 8  # fmt: skip


class Recipe(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a result."""

    name: Annotated[Name, Meta(description="Name of the recipe, of its runs and of the models that it exports.")]
    description: Annotated[str, Meta(description="What the recipe is for, in a line.")] = ""
    seed: Annotated[int, Meta(ge=0, description="Seed of splits, heads and order.")] = 0
    backbone: Annotated[BackboneSpec, Meta(description="The network and its first weights.")] = BackboneSpec()
    preprocess: Annotated[PreprocessSpec, Meta(description="How a file becomes an image.")] = PreprocessSpec()
    stages: Annotated[
        tuple[StageSpec, ...], Meta(min_length=1, description="The stages, in the order in which they are trained.")
    ]
    quantize: Annotated[QuantizeSpec, Meta(description="How int8 is made, and what it must keep.")] = QuantizeSpec()
