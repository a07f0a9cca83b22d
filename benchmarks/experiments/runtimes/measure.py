"""How far the runtimes' answers lie apart, on a trained model and real images, on x86 and on emulated Raspberry Pi cores.

    python benchmarks/experiments/runtimes/measure.py MODEL... --images FOLDER \
        --tflite-python VENV/bin/python --arm64-litert SYSROOT --arm64-tflite SYSROOT

writes benchmarks/results/runtimes.json. The venv holds `pip install 'WHEEL[tflite-runtime]'`, the sysroots are made by
benchmarks/arm64/sysroot.sh. Every environment answers by its own `mstl-edge predict`, decoding and resizing included. Differences
are in LSB, steps of 1/256 of a probability, which is one step of an int8 output. No image and no file name enters the result.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl_edge.artifact import LSB, Artifact, open_artifact
from mstl_edge.errors import DataError, MstlEdgeError
from mstl_edge.storage import write_text

SCHEMA = "mstl-edge/runtimes/1"
RESULT = Path(__file__).parents[2] / "results" / "runtimes.json"
PACKAGES = {"litert": "ai-edge-litert", "reference": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
X86, CORES = "x86-64", ("cortex-a72", "cortex-a76")


@dataclass(frozen=True)
class Place:
    """Where a model can answer: a Python with `mstl-edge` beside it, a runtime in it, and the machine."""

    python: Path
    kind: str
    machine: str

    @property
    def environment(self) -> dict[str, str]:
        """What its programs are started with."""
        return os.environ | ({} if self.machine == X86 else {"QEMU_CPU": self.machine})


@dataclass(frozen=True)
class Answers:
    """Labels, and probabilities `(images, classes) float64` in the order of the card's labels."""

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]


def main() -> int:
    """Ask every place about every model, compare, and write the result."""
    arguments = parsed()
    try:
        images = sorted(path for path in arguments.images.rglob("*.png"))
        if not images:
            raise DataError("a folder with PNG images", received=arguments.images)
        models = [compare(open_artifact(model), model, images, arguments) for model in arguments.models]
    except MstlEdgeError as error:
        sys.stderr.write(f"runtime_agreement: {error}\n")
        return error.exit_code
    result = {
        "schema": SCHEMA,
        "command": "python benchmarks/experiments/runtimes/measure.py MODEL... --images FOLDER …",
        "about": "differences of probabilities in LSB (1/256) on real images; the cores are emulated by qemu-user",
        "models": models,
    }
    write_text(arguments.out, json.dumps(result, indent=2) + "\n")
    return 0


def parsed() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    for option, variable in (
        ("--tflite-python", "MSTL_EDGE_TFLITE_PYTHON"),
        ("--arm64-litert", "MSTL_EDGE_ARM64_LITERT"),
        ("--arm64-tflite", "MSTL_EDGE_ARM64_TFLITE"),
    ):
        parser.add_argument(
            option, type=Path, default=os.environ.get(variable), help=f"Default ${variable}; left out without."
        )
    parser.add_argument("--limit", type=int, default=160, help="Images for this machine, evenly picked.")
    parser.add_argument("--emulated", type=int, default=16, help="Images for an emulated core and an int8 model.")
    parser.add_argument("--emulated-float", type=int, default=3, help="The same for a float model, which is slower.")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def places(arguments: argparse.Namespace) -> list[Place]:
    """Return every place that was named; LiteRT on this machine, to which all are compared, comes first."""
    here = Path(sys.executable)
    found = [Place(here, "litert", X86), Place(here, "reference", X86)]
    if arguments.tflite_python:
        found.append(Place(arguments.tflite_python, "tflite-runtime", X86))
    for sysroot, kind in ((arguments.arm64_litert, "litert"), (arguments.arm64_tflite, "tflite-runtime")):
        if sysroot:
            found += [Place(sysroot / "python", kind, core) for core in CORES]
    return found


def compare(artifact: Artifact, path: Path, images: list[Path], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return one model's part of the result."""
    if artifact.card is None:
        raise DataError("a model with a card", received=path.name)
    emulated = arguments.emulated_float if artifact.card.scheme == "float32" else arguments.emulated
    # The same few images for every core, the first ones of a seeded order, so that answers can be compared row by row.
    shuffled = [images[number] for number in np.random.default_rng(0).permutation(len(images))]
    rows = []
    by_place: dict[tuple[str, str], Answers] = {}
    for place in places(arguments):
        asked = shuffled[: arguments.limit if place.machine == X86 else min(emulated, arguments.limit)]
        given = ask(place, path, asked)
        by_place[place.kind, place.machine] = given
        row = {
            "machine": place.machine if place.machine == X86 else f"{place.machine}, emulated",
            "runtime": place.kind,
            "version": version(place),
            "n": len(asked),
            "from_litert_x86": distance(given, by_place["litert", X86], artifact),
        }
        if place.machine != X86 and (place.kind, X86) in by_place:
            row["from_same_runtime_x86"] = distance(given, by_place[place.kind, X86], artifact)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)  # noqa: T201
    return {
        "name": artifact.card.name,
        "scheme": artifact.card.scheme,
        "sha256": hashlib.sha256(artifact.flatbuffer).hexdigest(),
        "rows": rows,
    }


def ask(place: Place, model: Path, images: list[Path]) -> Answers:
    """Return what `mstl-edge predict` answers there.

    Raises:
        MstlEdgeError: It failed.
    """
    command = [str(place.python.with_name("mstl-edge")), "predict", str(model), *map(str, images)]
    done = subprocess.run(
        [*command, "--runtime", place.kind, "--json"], env=place.environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or "nothing said").splitlines()[-1]
        raise MstlEdgeError(f"answers of {place.kind} on {place.machine}", received=last)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return Answers(
        tuple(record["label"] for record in records),
        np.array([list(record["probabilities"].values()) for record in records], dtype=np.float64),
    )


def version(place: Place) -> str:
    """Return the version of the place's runtime."""
    program = f"import importlib.metadata as m; print(m.version({PACKAGES[place.kind]!r}))"
    done = subprocess.run(
        [str(place.python), "-c", program], env=place.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def distance(given: Answers, base: Answers, artifact: Artifact) -> dict[str, Any]:
    """Compare answers with those of `base` to the same images, of which it may have more.

    `flipped_within_lsb` tells how near to the decision threshold `base` was where the labels differ, at most.
    """
    card = artifact.card
    assert card is not None
    n = len(given.labels)
    difference = np.abs(given.probabilities - base.probabilities[:n]).max(axis=1) / LSB
    flipped = [a != b for a, b in zip(given.labels, base.labels[:n], strict=True)]
    found = {
        "equal_labels": n - sum(flipped),
        "equal_answers": int((difference == 0).sum()),
        "mean_lsb": round(float(difference.mean()), 5),
        "largest_lsb": round(float(difference.max()), 5),
    }
    if any(flipped) and len(card.labels) == 2:
        margin = np.abs(base.probabilities[:n, card.positive_index] - card.threshold) / LSB
        found["flipped_within_lsb"] = round(float(margin[flipped].max()), 2)
    return found


if __name__ == "__main__":
    sys.exit(main())
