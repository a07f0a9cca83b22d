"""The rules that choose a recipe for images that none was written for: one table, each rule with its reason and its source.

A rule looks at the facts of a data set and at what the rules above it chose. Whatever is asked for by an option goes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mstl_edge.planning.positive import guess_positive
from mstl_edge.recipe import BackboneSpec, SplitSpec
from mstl_edge.schemas.choices import SetFacts
from mstl_edge_models import backbones

LITE, BEST = "recipe ct-hemorrhage-lite", "recipe ct-hemorrhage-best"
HOWARD = "Howard et al. 2017, arXiv:1704.04861"

SMALL = 500_000
"""Networks of so many parameters or fewer are trained as `ct-hemorrhage-lite` trains MobileNet 0.25, others as
`ct-hemorrhage-best` trains 1.0."""
SIZES = (96, 128, 160, 192, 224)
BUNDLED_SIZE = 96
"""Pixels at which the bundled weights were trained."""
STORED_BYTES = 4_000_000_000
"""Disk that the stored features of a stage may take."""
VIEWS = (32, 16, 8, 4, 2, 1)
STORED_VALUE_BYTES = 2
"""Of a stored feature, in float16."""
STUDIED = "benchmarks/results/studies/rules-*.json, docs/decisions/0006"


@dataclass(frozen=True)
class Situation:
    """What a rule may look at: the data, the backbone, and what was chosen before, by key."""

    facts: SetFacts
    backbone: BackboneSpec
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def training_images(self) -> int:
        """How many images are left to train on, about."""
        spec = SplitSpec()
        return max(1, round(self.facts.images * (1 - spec.validation - spec.test)))

    @property
    def small(self) -> bool:
        """Whether the network is small enough to learn more of itself."""
        return is_small(self.backbone)

    @property
    def cut_points(self) -> tuple[backbones.CutPoint, ...]:
        """Where the network can be cut, from input to output."""
        return backbones.REGISTRY[self.backbone.name].cut_points(self.backbone.variant)

    @property
    def drawn_weights(self) -> bool:
        """Whether the first weights come from drawn figures, and know no photograph."""
        return self.backbone.weights == "bundled"


@dataclass(frozen=True)
class Rule:
    """A key, the function that chooses its value and says why, and where that was found out."""

    key: str
    choose: Callable[[Situation], tuple[Any, str]]
    source: str = ""


def _input_size(at: Situation) -> tuple[int, str]:
    if at.drawn_weights:
        return BUNDLED_SIZE, "the size at which the bundled weights were trained"
    longest = max(at.facts.width[1], at.facts.height[1])
    smallest = backbones.REGISTRY[at.backbone.name].smallest
    size = next((size for size in SIZES if size >= max(longest, smallest)), SIZES[-1])
    if size == smallest > longest:
        return size, "the smallest that the network can read"
    if size < SIZES[-1]:
        return size, f"the images have about {longest} pixels, and enlarging adds none"
    return size, "the size of the ImageNet weights"


def is_small(backbone: BackboneSpec) -> bool:
    """Return whether a network is small enough to learn more of itself; see `SMALL`."""
    return backbones.REGISTRY[backbone.name].parameters(backbone.variant) <= SMALL


def usual_cut(backbone: BackboneSpec) -> str:
    """Return the cut point from which a network is trained on a few hundred images: a quarter or half of the way up."""
    names = backbones.REGISTRY[backbone.name].cut_names(backbone.variant)
    return names[min(len(names) - 2, len(names) // 4 if is_small(backbone) else len(names) // 2 + 1)]


def _unfreeze_from(at: Situation) -> tuple[str, str]:
    if at.small:
        why = "a small network gains from more trained layers, and few weights make that cheap"
    else:
        why = "the upper half is trained, the lower half is general enough"
    return usual_cut(at.backbone), why


def _epochs(at: Situation) -> tuple[int, str]:
    passes, least, most = (48_000, 30, 120) if at.small else (12_000, 15, 40)
    epochs = max(least, min(most, round(passes / at.training_images)))
    return epochs, f"about {passes:,} images seen in training, between {least} and {most} epochs"


def _views(at: Situation) -> tuple[int, str]:
    point = next(point for point in at.cut_points if point.name == at.made["unfreeze_from"])
    values = point.values(at.backbone.input_size)
    each = at.training_images * values * STORED_VALUE_BYTES
    views = next((n for n in VIEWS if n <= at.made["epochs"] and n * each <= STORED_BYTES), 1)
    return views, f"as many as {STORED_BYTES / 1e9:.0f} GB of stored features hold, at most {VIEWS[0]}"


def _augment(key: str, strong: float, mild: float) -> Rule:
    def choose(at: Situation) -> tuple[float, str]:
        return (
            (strong, "strong views keep many epochs from learning images by heart")
            if at.small
            else (mild, "mild views")
        )

    return Rule(f"augment.{key}", choose, f"{LITE}, {BEST}")


def _positive(at: Situation) -> tuple[str, str]:
    labels = list(at.facts.classes)
    if len(labels) != 2:
        return "", "more than two classes have none"
    number, why = guess_positive(labels)
    return labels[number], f"guessed: {why}; another: --positive {labels[1 - number]}"


def _resplit(at: Situation) -> tuple[bool, str]:
    if at.facts.declared and at.facts.unusable:
        return True, f"the declared splits cannot be kept: {at.facts.unusable}"
    return False, "declared splits are kept" if at.facts.declared else "no splits are declared"


def _learning_rate(at: Situation) -> tuple[float, str]:
    return (2.5e-4, "few weights bear larger steps") if at.small else (1e-4, "small steps keep what ImageNet taught")


def _smoothing(at: Situation) -> tuple[float, str]:
    return (0.1, "keeps many epochs from growing overconfident") if at.small else (0.0, "few epochs need none")


BACKBONE: tuple[Rule, ...] = (Rule("input_size", _input_size, HOWARD),)
"""Keys below `backbone`."""

STAGE: tuple[Rule, ...] = (
    Rule("positive", _positive),
    Rule("unfreeze_from", _unfreeze_from, f"{LITE}, {BEST}"),
    Rule("batch_size", lambda at: (16, "as published for sets of this size"), "Godasu et al. 2020"),
    Rule("epochs", _epochs, STUDIED),
    Rule("learning_rate", _learning_rate, f"{LITE}, {BEST}"),
    Rule("schedule", lambda at: ("cosine", "ends in small steps"), "Loshchilov and Hutter 2017, arXiv:1608.03983"),
    Rule("label_smoothing", _smoothing, LITE),
    Rule("select", lambda at: ("last", "few validation images choose an epoch badly"), f"{LITE}, {BEST}"),
    Rule("augment.views", _views, STUDIED),
    Rule(
        "feature_precision",
        lambda at: ("float16", "twice as many views on the same disk, and the same accuracy"),
        STUDIED,
    ),
    _augment("rotate", 25.0, 10.0),
    _augment("shift", 0.1, 0.05),
    _augment("zoom", 0.2, 0.1),
    _augment("brightness", 0.2, 0.1),
    _augment("contrast", 0.2, 0.1),
    Rule(
        "split.conflicts",
        lambda at: ("drop", "nobody knows which of two labels is right"),
        "counted like unreadable files",
    ),
    Rule("split.resplit", _resplit),
)
"""Keys below a stage."""

QUANTIZE: tuple[Rule, ...] = (
    Rule("epochs", lambda at: (3, "equalized and bias-corrected weights need few"), f"{LITE}, {BEST}"),
)
"""Keys below `quantize`."""

BRIDGE: Mapping[str, tuple[Any, str]] = {
    "epochs": (20, "as published"),
    "augment.views": (1, "a bridge has images enough"),
    "label_smoothing": (0.0, "few epochs need none"),
}
"""What a bridge does otherwise than a target, by key below its stage, and why."""
