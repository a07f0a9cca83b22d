"""How fast compressed DICOM is decoded."""

from __future__ import annotations

import statistics

from rendered.markdown import read, table


def dicom_decoding() -> str:
    """Return how long compressed DICOM takes against pydicom's own decoding, and over cores."""
    tree = read("dicom-decoding.json")
    rows = []
    for entry in tree["forms"]:
        alone, together = (
            statistics.median(taken[name] for taken in entry["rounds"]) for name in ("one_process", "all_cores")
        )
        own = entry["of_pydicom"]
        rows.append(
            [
                entry["form"],
                f"{alone:.1f}",
                "–" if own is None else f"{own:.2f}",
                f"{together:.1f}",
                f"{entry['speed_up']:.2f}",
            ]
        )
    head = [
        f"{tree['slices']:,} slices of 512×512, 16 bits, to 224 pixels", "one process, s", "against pydicom alone",
        f"{tree['cores']} cores, s", "faster by",
    ]  # fmt: skip
    return table(head, rows)


TABLES = {"dicom-decoding": dicom_decoding}
