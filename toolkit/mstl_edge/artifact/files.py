"""Write, open and verify a self-contained `.tflite`: flatbuffer, card, labels and golden samples in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mstl_edge.artifact.archive import CARD_FILE, LABELS_FILE, split_entries, zip_tail
from mstl_edge.artifact.card import (
    SCHEMAS,
    Card,
    GoldenRecord,
    bad_card,
    check_card,
    decode_card,
    encode_card,
    schema_of,
    without_paths,
)
from mstl_edge.artifact.doubt import decode_familiar, familiar_entries
from mstl_edge.artifact.flatbuffer import MAX_BYTES
from mstl_edge.artifact.golden import GoldenSample, decode_image, encode_image
from mstl_edge.artifact.head import LinearHead, linear_head
from mstl_edge.artifact.inspection import ModelFacts, graph_facts, inspect_flatbuffer
from mstl_edge.artifact.tflite_graph import parse_graph
from mstl_edge.errors import ArtifactError
from mstl_edge.metrics.familiarity import Familiar
from mstl_edge.storage import write_bytes


@dataclass(frozen=True)
class Artifact:
    """An opened and verified model file; `card` is None and `golden` empty in a foreign `.tflite`.

    `familiar` is what its training images look like, where the file knows; `head` reads its feature map, where it has that output.
    """

    path: Path | None
    flatbuffer: bytes
    facts: ModelFacts
    card: Card | None
    golden: tuple[GoldenSample, ...]
    familiar: Familiar | None = None
    head: LinearHead | None = None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name if self.path else "model"


def write_artifact(
    path: Path,
    flatbuffer: bytes,
    card: Card,
    golden: Sequence[GoldenSample] = (),
    familiar: Familiar | None = None,
) -> Card:
    """Write a model file, whole or not at all, after reading it back in memory; equal input gives equal bytes.

    Args:
        path: Where to; the folder is made.
        flatbuffer: The converter's output.
        card: What to say; `golden`, the flatbuffer's hash and the paths in `recipe` are filled in or taken out here.
        golden: From `runtime.record_golden`.
        familiar: What training images look like, where the card's `doubt` has a record of it.

    Returns:
        The card as it was written.

    Raises:
        ArtifactError: The card does not fit the model.
        MstlEdgeError: The disk is full or the folder cannot be written.
    """
    names = [f"golden/{number}.png" for number in range(len(golden))]
    records = tuple(
        GoldenRecord(
            file=name,
            outputs=sample.outputs,
            answers=sample.answers,
            tolerance_lsb=sample.tolerance_lsb,
            margin_lsb=sample.margin_lsb,
            map_lsb=sample.map_lsb,
        )
        for name, sample in zip(names, golden, strict=True)
    )
    hashes = msgspec.structs.replace(card.hashes, flatbuffer=hashlib.sha256(flatbuffer).hexdigest())
    schema = schema_of(card, inspect_flatbuffer(flatbuffer))
    complete = msgspec.structs.replace(
        card, schema=schema, golden=records, hashes=hashes, recipe=without_paths(card.recipe)
    )
    entries = {CARD_FILE: encode_card(complete), LABELS_FILE: _labels_text(complete)}
    for name, sample in zip(names, golden, strict=True):
        entries[name] = encode_image(sample.image)
    if familiar is not None:
        entries |= familiar_entries(familiar)
    content = flatbuffer + zip_tail(len(flatbuffer), entries)
    read_artifact(content)
    write_bytes(path, content)
    return complete


def open_artifact(path: Path) -> Artifact:
    """Read a model file and verify it: bounds, hash, card, labels, golden images.

    A `.tflite` of somebody else, without a card, opens too, and so does one of ours to whose zip somebody added entries.

    Raises:
        ArtifactError: It is missing, damaged, or not what its card says.
    """
    try:
        if not path.is_file():
            raise ArtifactError("a model file", received=path, hint="Export one with 'mstl-edge export'.")
        if path.stat().st_size > MAX_BYTES:
            raise ArtifactError("a .tflite file", received=f"{path.name} ({path.stat().st_size:,} bytes)")
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError("a model file that can be read", received=f"{path} ({error.strerror})") from error
    try:
        return read_artifact(content, path)
    except ArtifactError as error:
        raise ArtifactError(error.expected, received=f"{path.name}: {error.received}", hint=error.hint) from error


def read_artifact(content: bytes, path: Path | None = None) -> Artifact:
    """Verify a model file's bytes; see `open_artifact`.

    Raises:
        ArtifactError: They are damaged, or not what the card says.
    """
    length, entries = split_entries(content)
    flatbuffer = content[:length]
    graph = parse_graph(flatbuffer)
    facts = graph_facts(graph, len(flatbuffer))
    head = None if facts.feature_map is None else linear_head(graph)
    if CARD_FILE not in entries:
        if any(schema.encode() in content for schema in SCHEMAS):
            raise bad_card("a card that is damaged")
        return Artifact(path, flatbuffer, facts, None, (), head=head)
    card = decode_card(entries[CARD_FILE])
    if hashlib.sha256(flatbuffer).hexdigest() != card.hashes.flatbuffer:
        raise bad_card("a flatbuffer whose SHA-256 is not the card's")
    if entries.get(LABELS_FILE) != _labels_text(card):
        raise bad_card("labels.txt does not list the card's labels")
    check_card(card, facts)
    golden = tuple(_golden(card, record, entries) for record in card.golden)
    return Artifact(path, flatbuffer, facts, card, golden, _familiar(card, facts, entries), head)


def _familiar(card: Card, facts: ModelFacts, entries: dict[str, bytes]) -> Familiar | None:
    record = None if card.doubt is None else card.doubt.familiarity
    if record is None:
        return None
    if facts.feature_map is None:
        raise bad_card("a bound of familiarity without a feature map among the outputs")
    return decode_familiar(record, entries, facts.feature_map.shape[3])


def _golden(card: Card, record: GoldenRecord, entries: dict[str, bytes]) -> GoldenSample:
    if record.file not in entries:
        raise bad_card(f"a golden image that is not there ({record.file})")
    image = decode_image(entries[record.file], card.input.height, card.input.width)
    return GoldenSample(image, record.outputs, record.tolerance_lsb, record.margin_lsb, record.answers, record.map_lsb)


def _labels_text(card: Card) -> bytes:
    return ("\n".join(card.labels) + "\n").encode("utf-8")
