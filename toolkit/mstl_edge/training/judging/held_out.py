"""The test split, answered once by the chosen file and its float twin in the runtime that a device uses."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from mstl_edge.metrics import classification_metrics, mcnemar_exact, paired_agreement, paired_difference
from mstl_edge.runs import read_json
from mstl_edge.schemas.export import PairedTest
from mstl_edge.storage import write_text
from mstl_edge.training.asking import answers
from mstl_edge.training.trained import Trained

PREDICTIONS = "test_predictions.csv"


def paired_test(trained: Trained, exports: Path, float_flatbuffer: bytes, int8_flatbuffer: bytes) -> PairedTest:
    """Score the chosen file and its twin on the test split, paired, and keep their answers beside them in `exports`."""
    images, classes = trained.data.part("test")
    pixels = trained.pixels(images)
    positive, threshold = trained.positive, trained.entry.threshold
    floats, quantized = (answers(file, pixels, threads=1) for file in (float_flatbuffer, int8_flatbuffer))
    write_text(exports / PREDICTIONS, answers_csv(trained, {"float32": floats, "int8": quantized}))
    told: Any = {"positive": positive, "threshold": threshold, "names": trained.labels}
    right = [np.asarray(trained.decide(rows) == classes) for rows in (floats, quantized)]
    return PairedTest(
        float32=classification_metrics(classes, floats, **told),
        int8=classification_metrics(classes, quantized, **told),
        drop=paired_difference(*right),
        mcnemar=mcnemar_exact(*right),
        agreement=paired_agreement(floats, quantized, positive=positive, thresholds=(threshold, threshold)),
        scored=_remember(trained.run.test_ledger, int8_flatbuffer),
    )


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
