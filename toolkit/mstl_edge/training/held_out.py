"""The test split, answered once by the chosen file and its float twin in the runtime that a device uses."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mstl_edge.metrics import classification_metrics, decide, mcnemar_exact, paired_agreement, paired_difference
from mstl_edge.runs import read_json
from mstl_edge.storage import write_text
from mstl_edge.training.qat import answers
from mstl_edge.training.trained import Trained


def paired_test(trained: Trained, float_flatbuffer: bytes, int8_flatbuffer: bytes) -> dict[str, Any]:
    """Score the chosen file and its twin on the test split, paired, and keep their answers beside them.

    `scored` counts the different files of this run that the test split has judged: with every further one, choosing among
    them by it gets closer to training on it.
    """
    images, classes = trained.data.part("test")
    pixels = trained.pixels(images)
    positive, threshold = trained.positive, trained.entry.threshold
    rows = {
        "float32": answers(float_flatbuffer, pixels, threads=1),
        "int8": answers(int8_flatbuffer, pixels, threads=1),
    }
    write_text(trained.run.test_predictions, answers_csv(trained, rows))
    correct = {
        name: np.asarray(decide(p, positive=positive, threshold=threshold) == classes) for name, p in rows.items()
    }
    scored = {
        name: classification_metrics(classes, p, positive=positive, threshold=threshold, names=trained.labels)
        for name, p in rows.items()
    }
    compared = {
        "drop": paired_difference(correct["float32"], correct["int8"]),
        "mcnemar": mcnemar_exact(correct["float32"], correct["int8"]),
        "agreement": paired_agreement(
            rows["float32"], rows["int8"], positive=positive, thresholds=(threshold, threshold)
        ),
    }
    tree: dict[str, Any] = msgspec.to_builtins({**scored, **compared})
    return {**tree, "scored": _remember(trained.run.test_ledger, int8_flatbuffer)}


def _remember(ledger: Path, flatbuffer: bytes) -> int:
    """Add a file to those that the test split has judged, and return how many there are."""
    known: list[str] = (
        read_json(ledger, hint="Delete it: the count of files begins anew.")["files"] if ledger.is_file() else []
    )
    files = list(dict.fromkeys([*known, hashlib.sha256(flatbuffer).hexdigest()]))
    write_text(ledger, json.dumps({"files": files}, indent=2) + "\n")
    return len(files)


def answers_csv(trained: Trained, rows: dict[str, Any]) -> str:
    """Return the test images' answers of both files as CSV, in the order of the split."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", *(f"{model} {label}" for model in rows for label in trained.labels)])
    for row, *given in zip(trained.data.manifest.part("test"), *rows.values(), strict=True):
        writer.writerow([row.name, row.label, *(f"{p:.6f}" for probabilities in given for p in probabilities)])
    return text.getvalue()
