"""What the architectures of the registry cost, found by building them."""

from __future__ import annotations

from mstl_edge.progress import SILENT, Reporter
from mstl_edge.recipe import BackboneSpec
from mstl_edge.schemas.backbones import BackboneFacts, Backbones
from mstl_edge.training.network.classifier import build_backbone
from mstl_edge.training.network.cost import multiply_accumulates, trainable_parameters
from mstl_edge.training.network.keras import from_keras
from mstl_edge_models.backbones import REGISTRY, Backbone


def describe_registry(
    size: int, names: tuple[str, ...] = (), reporter: Reporter = SILENT, *, variant: str = ""
) -> Backbones:
    """Return every variant of the named architectures, or of all, at one input size; a variant that is larger is left out.

    Args:
        size: Height and width of the image in pixels.
        names: Architectures; empty is all.
        reporter: Told of progress.
        variant: One of them alone, which may be a width that nobody published weights for; empty is every published one.
    """
    wanted = [
        (backbone, own)
        for backbone in REGISTRY.values()
        if (not names or backbone.name in names) and backbone.smallest <= size
        for own in ([variant] if variant else backbone.variants)
    ]
    found = []
    with reporter.bar("building", len(wanted)) as advance:
        for backbone, own in wanted:
            found.append(_described(backbone, own, size))
            advance(1)
    return Backbones(size=size, backbones=tuple(found))


def _described(backbone: Backbone, variant: str, size: int) -> BackboneFacts:
    spec = BackboneSpec(name=backbone.name, variant=variant, input_size=size)
    graph = from_keras(build_backbone(spec))
    return BackboneFacts(
        name=backbone.name,
        variant=variant,
        default=variant == backbone.default,
        parameters=trainable_parameters(graph),
        macs=multiply_accumulates(graph),
        imagenet=backbone.weights(spec) is not None,
        bundled=variant in backbone.bundled,
        cut_points=backbone.cut_names(variant),
    )
