"""Copies of model files for MediaPipe Tasks: the same answers, uint8 or float input, one output, metadata that others read."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table
from PIL import Image

from mstl_edge import load_classifier
from mstl_edge.artifact import inspect_flatbuffer, open_artifact, write_artifact
from mstl_edge.artifact.tflite_metadata import encode_metadata
from mstl_edge.artifact.uint8_ends import for_image_programs
from mstl_edge.errors import ArtifactError
from mstl_edge.runs import RunFolder
from mstl_edge.runtime import record_golden
from mstl_edge.schemas.export import EXPORT, Export, ExportedFile
from mstl_edge.training.exporting import mediapipe
from mstl_edge.training.exporting.mediapipe import write_for_mediapipe, write_mediapipe_files

MODELS = ("tiny_int8", "tiny_float32", "three_classes")
MEDIAPIPE_PYTHON = os.environ.get("MSTL_EDGE_MEDIAPIPE_PYTHON", "")


@pytest.fixture(scope="module")
def copied(
    exported: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Path]]:
    """Return a model file and its copy for MediaPipe."""
    folder = tmp_path_factory.mktemp("mediapipe")

    def copy(model: str) -> tuple[Path, Path]:
        source, target = exported(model), folder / f"{model}-mediapipe.tflite"
        if not target.exists():
            write_for_mediapipe(open_artifact(source), target)
        return source, target

    return copy


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of the models' own input size, so that nobody has to resize them."""
    folder, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(5)
    paths = [folder / f"{number}.png" for number in range(24)]
    for path in paths:
        coarse = np.clip(draw.normal(draw.integers(40, 216), 60, (8, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(np.repeat(np.repeat(coarse, 4, 0), 4, 1)).save(path)
    return paths


@pytest.mark.parametrize("model", MODELS)
def test_the_copy_answers_every_image_as_the_file_that_it_was_made_from(
    copied: Callable[[str], tuple[Path, Path]], pictures: list[Path], model: str
) -> None:
    ours, theirs = (load_classifier(path, replay=None) for path in copied(model))
    given = [(ours.predict(path), theirs.predict(path)) for path in pictures]
    assert [a.label for a, _ in given] == [b.label for _, b in given]
    assert len({round(a.probability, 3) for a, _ in given}) > 8
    for a, b in given:
        expected = a.probabilities if model == "tiny_int8" else pytest.approx(a.probabilities, abs=1e-6)
        assert b.probabilities == expected


def test_int8_ends_become_uint8_that_takes_an_images_own_bytes(copied: Callable[[str], tuple[Path, Path]]) -> None:
    before, after = (open_artifact(path).facts for path in copied("tiny_int8"))
    assert (after.input.dtype, after.input.scale, after.input.zero_point) == ("uint8", 1 / 128, 128)
    assert (after.output.dtype, after.output.scale, after.output.zero_point) == ("uint8", 1 / 256, 0)
    assert after.operators == {**before.operators, "QUANTIZE": 2}
    assert after.kernels == before.kernels
    assert after.full_integer
    assert after.static


def test_a_float_file_keeps_its_graph(copied: Callable[[str], tuple[Path, Path]]) -> None:
    before, after = (open_artifact(path).facts for path in copied("tiny_float32"))
    assert (after.input, after.output, after.operators) == (before.input, before.output, before.operators)


def test_the_signature_names_the_new_ends(copied: Callable[[str], tuple[Path, Path]]) -> None:
    model = schema.ModelT.InitFromPackedBuf(open_artifact(copied("tiny_int8")[1]).flatbuffer, 0)
    (graph,) = model.subgraphs
    for signature in model.signatureDefs or ():
        assert [entry.tensorIndex for entry in signature.inputs] == list(graph.inputs)
        assert [entry.tensorIndex for entry in signature.outputs] == list(graph.outputs)


def test_constants_lie_at_aligned_places(copied: Callable[[str], tuple[Path, Path]]) -> None:
    content = open_artifact(copied("tiny_float32")[1]).flatbuffer
    model = schema.Model.GetRootAs(content)
    start = np.frombuffer(content, np.uint8).ctypes.data
    held = [model.Buffers(number).DataAsNumpy() for number in range(model.BuffersLength())]
    places = [array.ctypes.data - start for array in held if isinstance(array, np.ndarray)]
    assert len(places) > 8
    assert all(place % 16 == 0 for place in places)


def test_of_several_outputs_the_scores_stay(models: Path, tiny_card: Callable[..., Any]) -> None:
    model = schema.ModelT.InitFromPackedBuf((models / "tiny_int8.tflite").read_bytes(), 0)
    (graph,) = model.subgraphs
    features = next(op.outputs[0] for op in graph.operators if len(graph.tensors[op.outputs[0]].shape) == 4)
    graph.outputs = np.array([features, *graph.outputs], np.int32)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    copy = for_image_programs(bytes(builder.Output()), encode_metadata(tiny_card()))
    assert len(schema.ModelT.InitFromPackedBuf(copy, 0).subgraphs[0].outputs) == 1
    assert inspect_flatbuffer(copy).output.shape == (1, 2)


def _metadata(path: Path) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(open_artifact(path).flatbuffer, 0)
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


class _Read:
    """Fields of a flatbuffer's table by their numbers in metadata_schema.fbs, through the flatbuffers library alone."""

    def __init__(self, content: bytes, place: int) -> None:
        self.table = Table(content, place)

    @classmethod
    def root(cls, content: bytes) -> _Read:
        assert content[4:8] == b"M001"
        return cls(content, int.from_bytes(content[:4], "little"))

    def _at(self, field: int) -> int:
        offset = self.table.Offset(4 + 2 * field)
        assert offset, f"no field {field}"
        return offset + self.table.Pos

    def text(self, field: int) -> str:
        return self.table.String(self._at(field)).decode()

    def byte(self, field: int) -> int:
        return self.table.Get(number_types.Uint8Flags, self._at(field))

    def number(self, field: int) -> int:
        return self.table.Get(number_types.Uint32Flags, self._at(field))

    def child(self, field: int) -> _Read:
        return _Read(self.table.Bytes, self.table.Indirect(self._at(field)))

    def children(self, field: int) -> list[_Read]:
        offset = self._at(field) - self.table.Pos
        start = self.table.Vector(offset)
        return [
            _Read(self.table.Bytes, self.table.Indirect(start + 4 * number))
            for number in range(self.table.VectorLen(offset))
        ]

    def floats(self, field: int) -> list[float]:
        return self.table.GetVectorAsNumpy(number_types.Float32Flags, self._at(field) - self.table.Pos).tolist()


@pytest.mark.parametrize("model", MODELS)
def test_an_independent_reader_finds_normalization_names_and_labels(
    copied: Callable[[str], tuple[Path, Path]], model: str
) -> None:
    _, path = copied(model)
    root = _Read.root(_metadata(path))
    assert root.text(0) == "tiny"
    assert "Research software" in root.text(1)
    assert root.text(7) == "1.0.0"
    (graph,) = root.children(3)
    (image,), (scores,) = graph.children(2), graph.children(3)
    assert (image.text(0), scores.text(0)) == ("image", "probability")
    assert image.child(3).byte(0) == 2  # ImageProperties
    assert image.child(3).child(1).byte(0) == 1  # RGB
    size = image.child(3).child(1).child(1)
    assert (size.number(0), size.number(1)) == (32, 32)
    (unit,) = image.children(4)
    assert unit.byte(0) == 1  # NormalizationOptions
    assert (unit.child(1).floats(0), unit.child(1).floats(1)) == ([128.0], [128.0])
    (file,) = scores.children(6)
    assert (file.text(0), file.byte(2)) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("labels.txt").compress_type == zipfile.ZIP_STORED
        labels = archive.read("labels.txt").decode().splitlines()
    card = open_artifact(path).card
    assert card is not None
    assert tuple(labels) == card.labels


def test_the_metadata_say_the_threshold_that_a_program_would_not_know(tiny_card: Callable[..., Any]) -> None:
    two = _Read.root(encode_metadata(tiny_card(threshold=0.31)))
    assert "hemorrhage from a probability of 0.3100 on" in two.text(1)
    three = _Read.root(encode_metadata(tiny_card("three_classes", threshold=0.31)))
    assert "Decision: likeliest" in three.text(1)


def test_the_copy_is_an_artifact_of_its_own(copied: Callable[[str], tuple[Path, Path]]) -> None:
    source, copy = (open_artifact(path) for path in copied("tiny_int8"))
    assert source.card is not None
    assert copy.card is not None
    assert (copy.card.labels, copy.card.threshold, copy.card.verdict, copy.card.metrics) == (
        source.card.labels, source.card.threshold, source.card.verdict, source.card.metrics,
    )  # fmt: skip
    assert (copy.card.input.dtype, copy.card.input.zero_point) == ("uint8", 128)
    assert copy.card.hashes.flatbuffer == hashlib.sha256(copy.flatbuffer).hexdigest()
    assert len(copy.golden) == 3


def test_writing_a_copy_twice_gives_equal_bytes_and_a_copy_of_a_copy_changes_nothing_but_answers_the_same(
    copied: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    source, copy = copied("tiny_int8")
    write_for_mediapipe(open_artifact(source), tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == copy.read_bytes()
    write_for_mediapipe(open_artifact(copy), tmp_path / "twice.tflite")
    twice = open_artifact(tmp_path / "twice.tflite")
    assert twice.facts.operators == open_artifact(copy).facts.operators
    assert len(_metadata(tmp_path / "twice.tflite")) == len(_metadata(copy))


def test_labels_of_any_script_travel(models: Path, tiny_card: Callable[..., Any], tmp_path: Path) -> None:
    flatbuffer = (models / "tiny_int8.tflite").read_bytes()
    card = tiny_card(labels=("normal", "出血 (größer)"), positive="出血 (größer)")
    write_artifact(tmp_path / "m.tflite", flatbuffer, card, record_golden(flatbuffer))
    write_for_mediapipe(open_artifact(tmp_path / "m.tflite"), tmp_path / "c.tflite")
    assert "出血 (größer)" in _Read.root(_metadata(tmp_path / "c.tflite")).text(1)


def test_a_copy_that_would_answer_otherwise_is_not_written(
    exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = open_artifact(exported("tiny_int8"))
    changed = bytearray(artifact.flatbuffer)
    kernel = next(t for t in inspect_flatbuffer(artifact.flatbuffer).kernels if t.operator == "FULLY_CONNECTED")
    tensor = next(t for t in schema.ModelT.InitFromPackedBuf(artifact.flatbuffer, 0).subgraphs[0].tensors
                  if t.name.decode() == kernel.name)  # fmt: skip
    values = schema.Model.GetRootAs(changed).Buffers(tensor.buffer).DataAsNumpy()
    values[:] = values[::-1].copy()
    monkeypatch.setattr(mediapipe, "for_image_programs", lambda *_: bytes(changed))
    with pytest.raises(ArtifactError, match=r"a file that answers as tiny_int8\.tflite does"):
        write_for_mediapipe(artifact, tmp_path / "c.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_card_is_one_clear_line(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a model with a card.*Received: three_classes\.tflite"):
        write_for_mediapipe(open_artifact(models / "three_classes.tflite"), tmp_path / "c.tflite")


def test_every_file_of_an_export_gets_a_copy_but_no_candidate_and_no_refused_one(
    exported: Callable[[str], Path], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    names = (
        "tiny-float32.tflite",
        "tiny-int8.tflite",
        "candidates/tiny-int8-ptq.tflite",
        "tiny-int8-qat.tflite.rejected",
    )
    for name in names:
        (run.exports / name).parent.mkdir(parents=True, exist_ok=True)
        (run.exports / name).write_bytes(exported("tiny_float32" if "float" in name else "tiny_int8").read_bytes())
    files = tuple(ExportedFile(scheme="int8", path=f"exports/{name}") for name in names)
    EXPORT.write(
        run.exports / "export.json",
        Export(schema=EXPORT.identifier, model="exports/tiny-int8.tflite", candidates=files),
    )
    told = write_mediapipe_files(run)
    assert [entry.path for entry in told.mediapipe] == [
        "exports/tiny-float32-mediapipe.tflite",
        "exports/tiny-int8-mediapipe.tflite",
    ]
    assert [entry.of for entry in told.mediapipe] == ["exports/tiny-float32.tflite", "exports/tiny-int8.tflite"]
    assert all((tmp_path / entry.path).stat().st_size == entry.size_bytes for entry in told.mediapipe)
    assert EXPORT.read(run.exports / "export.json", hint="") == told
    assert len(list(run.exports.rglob("*-mediapipe.tflite"))) == 2


ASK = """
import sys
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
import mediapipe
options = vision.ImageClassifierOptions(base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]))
classifier = vision.ImageClassifier.create_from_options(options)
for path in sys.argv[2:]:
    best = classifier.classify(mediapipe.Image.create_from_file(path)).classifications[0].categories[0]
    print(best.category_name, best.score, sep="\\t", flush=True)
import os
os._exit(0)
"""


@pytest.mark.mediapipe
@pytest.mark.skipif(not MEDIAPIPE_PYTHON, reason="MSTL_EDGE_MEDIAPIPE_PYTHON is not set")
@pytest.mark.parametrize("model", MODELS)
def test_mediapipe_gives_the_labels_and_scores_that_we_give(
    copied: Callable[[str], tuple[Path, Path]], pictures: list[Path], model: str
) -> None:
    source, copy = copied(model)
    done = subprocess.run(
        [MEDIAPIPE_PYTHON, "-c", ASK, copy, *pictures], capture_output=True, text=True, check=True, timeout=120
    )
    theirs = [line.split("\t") for line in done.stdout.splitlines()]
    ours = [load_classifier(source).predict(path).probabilities for path in pictures]
    likeliest = [max(shares, key=lambda label: shares[label]) for shares in ours]
    assert [label for label, _ in theirs] == likeliest
    for (label, score), shares in zip(theirs, ours, strict=True):
        assert float(score) == pytest.approx(shares[label], abs=1 / 128)
