"""The library in three lines: `load_classifier("model.tflite").predict("image.png")`, or `.explain("image.png").save("map.png")`.

Preprocessing, threshold and labels come from the card in the file, so that a device answers as training did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import Artifact, Card, not_a_classifier
from mstl_edge.data.workers import ahead_in_order, usable_cores
from mstl_edge.errors import ArtifactError, DataError
from mstl_edge.explain import evidence_of
from mstl_edge.metrics import decide
from mstl_edge.metrics.conformal import label_sets
from mstl_edge.prediction import Explanation, Familiarity, Prediction, Unreadable
from mstl_edge.preprocess import Stored, heard, load_image
from mstl_edge.runtime import (
    Runtime,
    RuntimeChoice,
    as_artifact,
    ask,
    load_runtime,
    replay_golden,
    to_input,
    to_real,
)

MAX_DECODERS = 3
"""Threads that decode ahead of inference, at most. On two cores a second one brings 1.9 instead of 2.9 ms an image (512×512 PNG,
MobileNet 0.25); on a Raspberry Pi's four, three and the one that infers take all. Each costs 4 MB of peak memory."""
AHEAD_PER_DECODER = 2
"""Images in work or waiting for inference; what keeps memory constant however many files there are."""


@dataclass(frozen=True)
class _Decoded:
    pixels: NDArray[np.uint8]
    warnings: tuple[str, ...]


_Outcome = TypeVar("_Outcome")


class Classifier:
    """A model file that is loaded and checked; made by `load_classifier`.

    Attributes:
        card: What the file says about itself.
        runtime: Where it runs.
        replayed_lsb: How far the golden answers were off, in steps of the output; None where the file has none.
    """

    def __init__(self, artifact: Artifact, card: Card, runtime: Runtime, replayed_lsb: float | None) -> None:
        self.artifact = artifact
        self.card = card
        self.runtime = runtime
        self.replayed_lsb = replayed_lsb

    def predict(self, image: Path | str | bytes | Stored) -> Prediction:
        """Classify one image file or its bytes.

        Raises:
            DataError: It is no readable image.
        """
        return self._answer(self._decoded(image))

    def predict_many(self, images: Iterable[Path]) -> Iterator[tuple[Path, Prediction | Unreadable]]:
        """Yield each file with its answer, in order; decoding runs ahead of inference in threads.

        At most `AHEAD_PER_DECODER` images for each of them are taken ahead, so that memory stays constant however many there are.
        """
        return self._in_order(images, self._answer)

    def explain(self, image: Path | str | bytes | Stored) -> Explanation:
        """Classify one image file or its bytes, and say where the answer comes from.

        A file that puts its feature map out tells it exactly, at no further inference; of any other, parts of the image are covered
        one after the other, which takes `(CELLS + 1)²` inferences.

        Raises:
            DataError: It is no readable image.
        """
        return self._explained(self._decoded(image))

    def explain_many(self, images: Iterable[Path]) -> Iterator[tuple[Path, Explanation | Unreadable]]:
        """Yield each file with its explanation, as `predict_many` does with answers."""
        return self._in_order(images, self._explained)

    def _in_order(
        self, images: Iterable[Path], told: Callable[[_Decoded], _Outcome]
    ) -> Iterator[tuple[Path, _Outcome | Unreadable]]:
        threads = decoders()
        ahead = AHEAD_PER_DECODER * threads + 1
        with closing(
            ahead_in_order(self._decoded_or_not, images, threads=threads, ahead=ahead, name="decode")
        ) as outcomes:
            for image, decoded in outcomes:
                yield image, decoded if isinstance(decoded, Unreadable) else told(decoded)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return `(n, classes) float32` for preprocessed pixels `(n, height, width, 3) uint8`."""
        runtime = self.runtime
        return to_real(runtime.invoke(to_input(pixels, runtime.input)), runtime.output)

    def _decoded(self, image: Path | str | bytes | Stored) -> _Decoded:
        source = Path(image) if isinstance(image, str) else image
        with heard() as remarks:
            pixels = load_image(source, self.card.input.height, self.card.input.preprocess)
        return _Decoded(pixels, tuple(remarks))

    def _decoded_or_not(self, image: Path) -> tuple[Path, _Decoded | Unreadable]:
        # Here, not where the answer is asked for: a waiting error would keep the half-decoded picture in memory.
        try:
            return image, self._decoded(image)
        except DataError as error:
            return image, Unreadable(str(error))

    def _answer(self, decoded: _Decoded) -> Prediction:
        answer = ask(self.runtime, decoded.pixels)
        return self._predicted(answer.probabilities, answer.pooled(), decoded)[1]

    def _explained(self, decoded: _Decoded) -> Explanation:
        row, evidence = evidence_of(self.runtime, self.artifact.head, decoded.pixels)
        decided, prediction = self._predicted(row, evidence.pooled, decoded)
        return Explanation(prediction, evidence, decided, decoded.pixels)

    def _predicted(
        self, row: NDArray[np.float32], means: NDArray[np.float32] | None, decoded: _Decoded
    ) -> tuple[int, Prediction]:
        card = self.card
        decided = decide(row[None], positive=card.positive_index, threshold=card.threshold)
        probabilities = {label: float(p) for label, p in zip(card.labels, row, strict=True)}
        label = card.labels[int(decided[0])]
        sets = None if card.doubt is None else card.doubt.sets
        held = None if sets is None else label_sets(row[None], decided, sets.lowest)[0]
        prediction = Prediction(
            label,
            probabilities[label],
            probabilities,
            decoded.warnings,
            None if held is None else tuple(name for name, inside in zip(card.labels, held, strict=True) if inside),
            self._familiarity(means),
        )
        return int(decided[0]), prediction

    def _familiarity(self, means: NDArray[np.float32] | None) -> Familiarity | None:
        record = None if self.card.doubt is None else self.card.doubt.familiarity
        if record is None or means is None or self.artifact.familiar is None:
            return None
        score, bound = record.judge(self.artifact.familiar, means)
        return Familiarity(score, bound, score <= bound)


def decoders() -> int:
    """Return how many threads decode on this machine: one per core that this process may use, up to `MAX_DECODERS`."""
    return min(usable_cores(), MAX_DECODERS)


def load_classifier(
    model: Path | str | bytes | Artifact, *, runtime: RuntimeChoice = "auto", threads: int = 1, replay: int | None = 1
) -> Classifier:
    """Open, verify and load a model, and replay a golden sample before trusting it.

    Args:
        model: A model file made by `mstl-edge export`, its bytes, or an opened artifact.
        runtime: See `runtime.load_runtime`.
        threads: Threads of one inference.
        replay: Golden samples to replay; None for all.

    Raises:
        ArtifactError: The file is damaged, has no card, is no classifier, or answers its golden images differently.
        MissingExtraError: The runtime is not installed.
        MstlEdgeError: Wrong threads.
    """
    artifact = as_artifact(model)
    card = artifact.card
    if not _classifies(artifact):
        raise not_a_classifier(artifact.facts)
    if card is None:
        raise ArtifactError(
            "a model with a card, which says how to prepare an image and what the outputs mean",
            received=f"{artifact.name}, a .tflite without one",
            hint="Its latency can be measured: 'mstl-edge bench'.",
        )
    if card.input.height != card.input.width:
        raise ArtifactError("a square input", received=f"{card.input.width}×{card.input.height}")
    loaded = load_runtime(artifact, runtime=runtime, threads=threads)
    return Classifier(artifact, card, loaded, replay_golden(loaded, artifact, count=replay))


def _classifies(artifact: Artifact) -> bool:
    source, answer = artifact.facts.input.shape, artifact.facts.output.shape
    return len(source) == 4 and source[3] == 3 and len(answer) == 2 and answer[1] >= 2
