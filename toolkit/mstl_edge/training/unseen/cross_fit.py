"""The procedure judged by cross-fitting: each training image is answered by a file that was made without it.

The training images are dealt into parts. For each part the last stage is trained again on the others, quantized as the exported
file is, and the two files answer the part that they have not seen. Stored features make that cheap. It tells how far files made
in this way keep the float model's answers, on as many images as were trained on; it does not tell of one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact.feature_output import with_feature_output
from mstl_edge.data.dealing import deal
from mstl_edge.data.sources import Split
from mstl_edge.errors import DataError, WeightsError
from mstl_edge.metrics import choose_threshold, fit_temperature, softmax
from mstl_edge.progress import Reporter
from mstl_edge.runs import StageFolder
from mstl_edge.schemas.metrics import Fitted
from mstl_edge.training import stages
from mstl_edge.training._keras import keras
from mstl_edge.training.asking import tell
from mstl_edge.training.convert import to_float_flatbuffer
from mstl_edge.training.fitting.features import Images
from mstl_edge.training.fitting.workshop import Workshop
from mstl_edge.training.judging.evidence import Paired, pair, viewed_panel
from mstl_edge.training.network.classifier import with_softmax
from mstl_edge.training.network.passes.absorb import absorb_batch_norm
from mstl_edge.training.quantize.candidates import FloatTwin, Kind, build_candidates
from mstl_edge.training.stage_data import StageData
from mstl_edge.training.trained import Trained
from mstl_edge.training.unseen.doubt import Unseen, look_at_seen, look_at_unseen


@dataclass(frozen=True)
class CrossFitted:
    """What the parts said, together: one entry for each kind of candidate; `left_out` says why there is none.

    `unseen` is what the parts' files said of the images that they had not seen, by kind and for `float32`.
    """

    evidence: dict[Kind, Paired]
    left_out: str = ""
    unseen: Mapping[str, tuple[Unseen, ...]] = field(default_factory=dict)


def cross_fit(trained: Trained, kinds: Sequence[Kind], parts: int, *, threads: int, reporter: Reporter) -> CrossFitted:
    """Train and quantize the last stage `parts` times, each time without one part of its training images.

    Args:
        trained: The finished run. Its validation images fit temperature and threshold of each part, as they did of the run.
        kinds: Which candidates are made.
        parts: At least 2; fewer are taken where a class has fewer independent images.
        threads: Threads of the engine.
        reporter: Told of progress.
    """
    dealt = deal_parts(trained, parts)
    if dealt is None:
        return CrossFitted({}, "a class has a single independent training image")
    answered: dict[Kind, list[Paired]] = {kind: [] for kind in kinds}
    unseen: dict[str, list[Unseen]] = {scheme: [] for scheme in ("float32", *kinds)}
    for number in range(max(dealt) + 1):
        try:
            part = train_part(trained, dealt, number, threads, reporter)
        except WeightsError as error:
            return CrossFitted({}, f"the first weights of the run are not at hand ({error})")
        paired, own = _answer_part(part, kinds, _folder(trained, dealt, number), threads, reporter)
        for kind in kinds:
            answered[kind].append(paired[kind])
        for scheme, rows in unseen.items():
            rows.append(own[scheme])
        keras.backend.clear_session()
    return CrossFitted(
        {kind: _joined(parts) for kind, parts in answered.items()},
        unseen={scheme: tuple(told) for scheme, told in unseen.items()},
    )


def deal_parts(trained: Trained, parts: int) -> list[int] | None:
    """Return the part of each training image, patients and near-duplicates together; None where there are not two parts."""
    rows = trained.data.manifest.part("train")
    for count in range(parts, 1, -1):
        try:
            return deal(
                [row.label for row in rows], [row.group for row in rows], [1 / count] * count, seed=trained.seed
            )
        except DataError:
            continue
    return None


def _folder(trained: Trained, dealt: Sequence[int], number: int) -> StageFolder:
    """Return where a part keeps its checkpoints, so that an export that was stopped goes on."""
    name = f"{number + 1}-of-{max(dealt) + 1}"
    return StageFolder(trained.run.stage(trained.stage.name).path / "cross-fit" / name)


def train_part(trained: Trained, dealt: Sequence[int], number: int, threads: int, reporter: Reporter) -> Trained:
    """Return the network that the last stage gives without one part of its training images, which are then its test split.

    Args:
        trained: The finished run.
        dealt: From `deal_parts`.
        number: Which part is left out.
        threads: Threads of the engine.
        reporter: Told of progress.

    Raises:
        WeightsError: The first weights of the run are not at hand.
    """
    recipe, stage = trained.recipe, trained.stage
    data = _part_data(trained.data, dealt, number)
    earlier = recipe.stages[-2].name if len(recipe.stages) > 1 else None
    carried = None if earlier is None else stages.read_weights(trained.run.stage(earlier).weights)
    begun = stages.begin_network(recipe, stage, data, carried)
    folder = _folder(trained, dealt, number)
    reporter.say(f"cross-fitting, part {number + 1} of {max(dealt) + 1}")
    network, _, scores = stages.fine_tune(begun, data, recipe, stage, Workshop(folder, threads, reporter))
    classes = data.part("validation")[1]
    temperature = fit_temperature(scores.validation, classes)
    threshold = None
    if trained.positive is not None:
        p_positive = softmax(scores.validation, temperature)[:, trained.positive]
        threshold = choose_threshold(classes == trained.positive, p_positive)
    entry = Fitted(labels=trained.labels, positive=trained.entry.positive, temperature=temperature, threshold=threshold)
    return Trained(trained.run, recipe, stage, entry, network, data)


def _part_data(data: StageData, dealt: Sequence[int], number: int) -> StageData:
    """Return training and validation images, the training images of one part as the test split; the run's own is left out."""
    kept = [i for i, row in enumerate(data.manifest.rows) if row.split != "test"]
    part = iter(dealt)
    rows = []
    for i in kept:
        row = data.manifest.rows[i]
        split: Split = "test" if row.split == "train" and next(part) == number else row.split
        rows.append(replace(row, split=split))
    images = Images(data.images.pixels.select(kept), tuple(data.images.keys[i] for i in kept))
    return StageData(replace(data.manifest, rows=tuple(rows)), images, data.classes[kept])


def _answer_part(
    part: Trained, kinds: Sequence[Kind], folder: StageFolder, threads: int, reporter: Reporter
) -> tuple[dict[Kind, Paired], dict[str, Unseen]]:
    """Quantize a part's network as an export does, and return what the files say of the images that they have not seen.

    Of each kind its answers held against the float twin's, and of each file what its doubt rests on.
    """
    images, classes = part.data.part("test")
    panel = viewed_panel(part, f"{part.stage.name} cross-fitted", images, classes)
    absorbed = absorb_batch_norm(with_softmax(part.network, part.entry.temperature))
    twin = to_float_flatbuffer(absorbed)
    unseen: dict[str, Unseen] = {}

    def told(scheme: str, flatbuffer: bytes) -> NDArray[np.float32]:
        file = with_feature_output(flatbuffer)
        said = tell(file, panel.flat, threads=threads)
        familiar = look_at_seen(file, part, threads=threads)
        unseen[scheme] = look_at_unseen(familiar, said.every(panel.pixels.shape[1]), classes)
        return said.probabilities

    floats, paired = told("float32", twin), {}
    quantizing = Workshop(StageFolder(folder.path / "quantize"), threads, reporter)
    for candidate in build_candidates(part, FloatTwin(absorbed, twin), kinds, quantizing, signature=False):
        given = told(candidate.kind, candidate.flatbuffer)
        paired[candidate.kind] = pair(panel, floats, given, part, procedure=True)
    return paired, unseen


def _joined(parts: Sequence[Paired]) -> Paired:
    """Return the answers of all parts as one; each image is in one of them."""

    def rows(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return replace(
        parts[0],
        float_labels=rows("float_labels"),
        quantized_labels=rows("quantized_labels"),
        differences=rows("differences"),
        largest_difference=max(part.largest_difference for part in parts),
        classes=rows("classes"),
    )
