"""The exporter's table of test answers is what the report reads."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import numpy as np

from mstl_edge.data.splits import Manifest, ManifestRow
from mstl_edge.training.judging.held_out import answers_csv


def test_answers_of_both_files_stand_beside_the_image_in_the_order_of_the_split() -> None:
    labels = ("hemorrhage", "normal, or not")
    rows = tuple(ManifestRow(f"{i}.png", labels[i % 2], str(i), "test" if i else "train", "0") for i in range(3))
    data = SimpleNamespace(manifest=Manifest("somewhere", labels, rows, False, ()))
    answers = {"float32": np.array([[0.25, 0.75], [1.0, 0.0]]), "int8": np.array([[0.5, 0.5], [0.9, 0.1]])}
    text = answers_csv(SimpleNamespace(data=data, labels=labels), answers)  # type: ignore[arg-type]
    head, *table = csv.reader(io.StringIO(text))
    assert head == ["image", "label", *(f"{model} {label}" for model in answers for label in labels)]
    assert table[0] == ["1.png", labels[1], "0.250000", "0.750000", "0.500000", "0.500000"]
    assert table[1] == ["2.png", labels[0], "1.000000", "0.000000", "0.900000", "0.100000"]
