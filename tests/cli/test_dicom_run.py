"""The main job on a hospital's tree: DICOM in, a model out, and no identifier anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom_bytes
from PIL import Image
from pydicom.uid import generate_uid

PATIENTS, SLICES = 24, 3
SHORT = ("--backbone", "mobilenet_v1:0.25", "--size", "32", "--weights", "bundled", "--epochs", "3", "--positive", "bleed",
         "--set", "quantize.epochs=1", "--set", "quantize.min_agreement=0", "--set", "quantize.max_drop=100",
         "--set", "quantize.cross_fit=0", "--set", "stages.target.augment.views=1", "--set", "preprocess.window=brain")  # fmt: skip


def command(*words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mstl_edge_cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MSTL_EDGE_CACHE": str(cache)},
    )


@pytest.fixture
def tree(tmp_path: Path) -> tuple[Path, set[str]]:
    """Write a tree of studies and series without suffixes, and return it with every identifier in it."""
    draw, held = np.random.default_rng(0), {"ROE^JANE", "ACC-4711", "19700101", "St. Elsewhere"}
    for number in range(PATIENTS):
        label = "bleed" if number % 2 else "normal"
        told = {
            "PatientID": f"MRN-{number:06}",
            "StudyInstanceUID": generate_uid(),
            "SeriesInstanceUID": generate_uid(),
        }
        folder = tmp_path / "archive" / label / f"P{number:03}" / "S0"
        folder.mkdir(parents=True)
        for place in range(SLICES):
            levels = np.asarray(
                Image.fromarray(draw.integers(0, 120, (8, 8), dtype=np.uint8)).resize(
                    (64, 64), Image.Resampling.BICUBIC
                )
            ).astype(np.int16)
            if number % 2:
                levels[20:40, 20:40] += 60
            named = {**told, "SOPInstanceUID": generate_uid(), "PatientName": "ROE^JANE", "AccessionNumber": "ACC-4711",
                     "PatientBirthDate": "19700101", "InstitutionName": "St. Elsewhere"}  # fmt: skip
            content = dicom_bytes(levels, ("implicit", "rle", "jpeg2000")[place], InstanceNumber=place, **named)
            (folder / f"IM{place:04}").write_bytes(content)
            held.add(named["SOPInstanceUID"])
        held.update(told.values())
    return tmp_path / "archive", held


@pytest.mark.slow
def test_a_run_on_dicom_keeps_patients_together_and_writes_no_identifier(
    tree: tuple[Path, set[str]], tmp_path: Path
) -> None:
    data, held = tree
    cache, run = tmp_path / "cache", tmp_path / "run"
    done = command("run", str(data), *SHORT, "--out", str(run), cache=cache)
    assert done.returncode == 0, done.stderr
    assert f"patients by their DICOM tags: {PATIENTS}" in done.stderr
    rows = json.loads((run / "splits" / "target.json").read_text())["rows"]
    assert len(rows) == PATIENTS * SLICES
    parts = {row["name"].split("/")[1]: set() for row in rows}
    for row in rows:
        parts[row["name"].split("/")[1]].add(row["split"])
    assert all(len(found) == 1 for found in parts.values())

    model = next((run / "exports").glob("*-int8.tflite"))
    inspected = command("inspect", str(model), "--json", cache=cache)
    assert json.loads(inspected.stdout)["card"]["input"]["preprocess"]["window"] == [0.0, 80.0]
    one = data / "bleed" / "P001" / "S0" / "IM0002"
    outputs = [
        done,
        inspected,
        command("predict", str(model), str(data), "--json", "--explain", str(tmp_path / "maps"), cache=cache),
        command("data", "check", str(data), "--json", cache=cache),
        command("data", "check", str(data), "-v", "--sheet", str(run / "sheet.html"), cache=cache),
        command("report", str(run), "--with-images", cache=cache),
        command("bench", str(run), "--json", "--blocks", "5", "--repeats", "3", "--patience", "0", cache=cache),
        command("predict", str(model), str(one), cache=cache),
    ]
    for output in outputs:
        assert output.returncode == 0, output.stderr
    assert len(outputs[2].stdout.splitlines()) == PATIENTS * SLICES
    written = [path for folder in (run, cache, tmp_path / "maps") for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content += b"".join(archive.read(name) for name in archive.namelist())
        for text in held:
            assert text.encode() not in content, f"{text} in {path}"
    for output in outputs:
        for text in held:
            assert text not in output.stdout + output.stderr
