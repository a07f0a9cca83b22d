"""What other programs answer with our files, and what weights of 7 bits cost: writes benchmarks/results/other-programs.json.

    python benchmarks/experiments/other_programs/measure.py RUN... --images FOLDER \
        --openvino-python VENV/bin/python --onnx-python VENV/bin/python --mediapipe-python VENV/bin/python

RUN are exported runs that differ in `quantize.weight_bits`; of one whose int8 candidates were all refused, the quantization-aware
one is asked all the same, and the result says so. Every program gets the same preprocessed pixels (MediaPipe
as PNG of the input size) and is compared with LiteRT here. The environments hold `openvino`; `tf2onnx onnxruntime
tensorflow`; `mediapipe`; what is not named is left out. ONEDNN_MAX_CPU_ISA=AVX512_CORE takes VNNI from a CPU that has it.
No image and no file name enters the result.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl_edge.artifact import Artifact, Card, input_contract, open_artifact, write_artifact
from mstl_edge.errors import DataError, MstlEdgeError
from mstl_edge.metrics import decide
from mstl_edge.preprocess import load_image
from mstl_edge.runs import RunFolder, open_run, read_json
from mstl_edge.runtime import load_runtime, to_input, to_real
from mstl_edge.runtime.interpreter import InterpreterRuntime
from mstl_edge.storage import write_text
from mstl_edge.training.exporting.mediapipe import write_for_mediapipe
from mstl_edge_bench.machine.host import describe_host

SCHEMA = "mstl-edge/other-programs/1"
RESULT = Path(__file__).parents[2] / "results" / "other-programs.json"
OPENVINO = """
import json, sys
import numpy as np, openvino
model, given, told, settings = sys.argv[1:]
images = np.load(given)
compiled = openvino.Core().compile_model(openvino.Core().read_model(model), "CPU", json.loads(settings))
np.save(told, np.stack([np.array(compiled(images[k : k + 1])[0]).reshape(-1) for k in range(len(images))]))
print(openvino.__version__.split("-")[0])
"""
ONNX = """
import subprocess, sys
import numpy as np, onnxruntime, tf2onnx
model, given, told, _ = sys.argv[1:]
command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", model, "--output", told + ".onnx", "--opset", "18"]
subprocess.run(command, check=True, capture_output=True)
session, images = onnxruntime.InferenceSession(told + ".onnx"), np.load(given)
name = session.get_inputs()[0].name
np.save(told, np.concatenate([session.run(None, {name: images[k : k + 1]})[0] for k in range(len(images))]))
print(f"{onnxruntime.__version__} (tf2onnx {tf2onnx.__version__})", flush=True)
"""
MEDIAPIPE = """
import importlib.metadata, os, sys
from pathlib import Path
import numpy as np, mediapipe
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
model, given, told, _ = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=tasks.BaseOptions(model_asset_path=model))
classifier, rows = vision.ImageClassifier.create_from_options(options), []
for path in sorted(Path(given).glob("*.png")):
    found = classifier.classify(mediapipe.Image.create_from_file(str(path))).classifications[0].categories
    rows.append([entry.score for entry in sorted(found, key=lambda entry: entry.index)])
np.save(told, np.array(rows))
print(importlib.metadata.version("mediapipe"), flush=True)
os._exit(0)
"""


@dataclass(frozen=True)
class Question:
    """One way to ask a program: its Python, a script from above, the setting in words and as JSON, and ONEDNN_MAX_CPU_ISA."""

    program: str
    python: Path
    script: str
    setting: str = "default"
    settings: str = "{}"
    isa: str = ""


def main() -> int:
    """Ask every program about every run's files, compare, and write the result."""
    arguments = parsed()
    try:
        images = sorted(arguments.images.rglob("*.png"))[:: arguments.every]
        if not images:
            raise DataError("a folder with PNG images", received=arguments.images)
        runs = [measured(run, images, arguments) for run in arguments.runs]
    except MstlEdgeError as error:
        sys.stderr.write(f"other_programs: {error}\n")
        return error.exit_code
    host = describe_host()
    about = {"machine": host.cpu, "vnni": any("vnni" in feature for feature in host.features)}
    write_text(
        arguments.out, json.dumps({"schema": SCHEMA, **about, "images": len(images), "runs": runs}, indent=1) + "\n"
    )
    return 0


def parsed() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--every", type=int, default=1, help="Take every n-th image.")
    for program in ("openvino", "onnx", "mediapipe"):
        parser.add_argument(f"--{program}-python", type=Path)
    parser.add_argument(
        "--isa", nargs="*", default=["", "AVX512_CORE"], help="ONEDNN_MAX_CPU_ISA for OpenVINO; '': none."
    )
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def questions(arguments: argparse.Namespace) -> Iterator[Question]:
    """Yield every way to ask the programs that were named."""
    if arguments.openvino_python:
        for isa in arguments.isa:
            yield Question("OpenVINO", arguments.openvino_python, OPENVINO, isa=isa)
            exact = json.dumps({"LP_TRANSFORMS_MODE": "NO"})
            yield Question("OpenVINO", arguments.openvino_python, OPENVINO, "LP_TRANSFORMS_MODE=NO", exact, isa)
    if arguments.onnx_python:
        yield Question("ONNX Runtime", arguments.onnx_python, ONNX)
    if arguments.mediapipe_python:
        yield Question("MediaPipe Tasks", arguments.mediapipe_python, MEDIAPIPE, "a copy by --metadata")


@dataclass(frozen=True)
class Subject:
    """A model file to ask about: what it is, its bytes without a zip, and the card that says what its answers mean."""

    scheme: str
    artifact: Artifact
    card: Card

    @property
    def runtime(self) -> InterpreterRuntime:
        """LiteRT, which everybody is compared with."""
        return load_runtime(self.artifact, runtime="litert")


def subjects(run: RunFolder, tree: dict[str, Any]) -> tuple[Subject, Subject]:
    """Return a run's int8 file, or its refused quantization-aware candidate where there is none, and its float twin.

    Raises:
        MstlEdgeError: The run was not exported to int8.
    """
    twin = open_artifact(run.path / tree["float_model"])
    tried = [row["path"] for row in tree["candidates"] if row["scheme"] == "int8-qat"]
    if twin.card is None or not tried:
        raise DataError("a run with an int8 export", received=run.path, hint="mstl-edge export RUN --int8")
    int8 = open_artifact(run.path / (tree["model"] or tried[0]))
    scheme = {"recipe": msgspec.to_builtins(run.recipe()), "scheme": "int8", "verdict": "unchecked"}
    contract = input_contract(int8.facts, twin.card.input.preprocess)
    card = int8.card or msgspec.structs.replace(twin.card, input=contract, golden=(), **scheme)
    return Subject("int8", int8, card), Subject("float32", twin, twin.card)


def measured(path: Path, images: list[Path], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return one run's part of the result: what its gate saw, and what every program answers with its two files."""
    run = open_run(path)
    spec, tree = run.recipe().quantize, read_json(run.exports / "export.json")
    rows = []
    for subject in subjects(run, tree):
        contract, runtime = subject.card.input, subject.runtime
        pixels = np.stack([load_image(image, contract.height, contract.preprocess) for image in images])
        base = to_real(runtime.invoke(to_input(pixels, runtime.input)), runtime.output)
        for question in questions(arguments):
            if subject.scheme == "float32" and (spec.weight_bits < 8 or question.settings != "{}"):
                continue  # the float files are equal, and that setting is for int8
            given, version = ask(question, subject, pixels)
            row = {"program": question.program, "version": version, "file": subject.scheme, "setting": question.setting}
            rows.append({**row, "isa": question.isa, **compared(given, base, subject.card)})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)  # noqa: T201 - a script's progress
    return {
        "recipe": run.recipe().name,
        "seed": run.recipe().seed,
        "weight_bits": spec.weight_bits,
        "min_agreement": spec.min_agreement,
        "candidates": [
            {
                "scheme": row["scheme"],
                "accuracy": row["accuracy"],
                "agreement": row["agreement"],
                "verdict": row["gate"]["verdict"] if "gate" in row else None,
                "validation_n": row["gate"]["validation_n"] if "gate" in row else None,
            }
            for row in tree["candidates"]
        ],
        "programs": rows,
    }


def ask(question: Question, subject: Subject, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], str]:
    """Return `(n, classes)` probabilities and the program's version.

    Raises:
        MstlEdgeError: The program failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, told, model = Path(folder, "given.npy"), Path(folder, "told.npy"), Path(folder, "model.tflite")
        write_artifact(model, subject.artifact.flatbuffer, subject.card)
        if question.script is MEDIAPIPE:
            given = Path(folder)
            write_for_mediapipe(open_artifact(model), model)
            for number, image in enumerate(pixels):
                Image.fromarray(image).save(given / f"{number:05d}.png")
        else:
            np.save(given, to_input(pixels, subject.runtime.input))
        done = subprocess.run(
            [str(question.python), "-c", question.script, str(model), str(given), str(told), question.settings],
            env=os.environ | ({"ONEDNN_MAX_CPU_ISA": question.isa} if question.isa else {}),
            capture_output=True,
            text=True,
        )
        if done.returncode or not told.is_file():
            last = (done.stderr.strip() or "nothing said").splitlines()[-1]
            raise MstlEdgeError(f"answers of {question.program}", received=last)
        raw = np.load(told)
    real = raw if question.script is MEDIAPIPE else to_real(raw, subject.runtime.output)
    return np.asarray(real, dtype=np.float32), done.stdout.strip().splitlines()[-1]


def compared(given: NDArray[np.float32], base: NDArray[np.float32], card: Card) -> dict[str, Any]:
    """Compare a program's answers with LiteRT's: labels by the card's threshold, and probabilities."""
    labels = [decide(rows, positive=card.positive_index, threshold=card.threshold) for rows in (given, base)]
    difference = np.abs(given - base).max(axis=1)
    return {
        "n": len(base),
        "equal_labels": int((labels[0] == labels[1]).sum()),
        "mean_difference": round(float(difference.mean()), 5),
        "largest_difference": round(float(difference.max()), 5),
    }


if __name__ == "__main__":
    sys.exit(main())
