from __future__ import annotations

import os
from pathlib import Path

import pytest

from mstl_edge.data.audit import audit_source
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import SPLITS, open_source
from mstl_edge.data.splits import split_source
from mstl_edge.recipe import PreprocessSpec, SplitSpec

REAL_DATA = os.environ.get("MSTL_EDGE_REAL_DATA", "")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not REAL_DATA, reason="MSTL_EDGE_REAL_DATA does not point at the real images"),
]


def scanned(name: str, patient: str = ""):
    source = open_source(str(Path(REAL_DATA) / "data" / name), patient=patient)
    return source, scan_source(source, PreprocessSpec())


def test_head_ct_slices_of_one_head_are_found_and_strangers_are_not():
    audit = audit_source(*scanned("head-ct-hemorrhage"))
    assert audit.classes == {"hemorrhage": 80, "normal": 80}
    assert audit.modes == {"RGB": 153, "RGBA": 7}
    pairs = {(Path(pair.first).stem, Path(pair.second).stem) for pair in audit.near_duplicates}
    surely = {("010", "066"), ("011", "061"), ("105", "187"), ("107", "108"), ("170", "172"), ("171", "172")}
    assert pairs - {("170", "171")} == surely  # this one lies on the bound, in a cluster that the others make anyway
    assert audit.groups == 154
    assert audit.errors == ()


@pytest.mark.parametrize("patient", ["", "^([0-9]+)_"])
def test_chest_images_of_one_patient_stay_together_and_no_strangers_look_alike(patient):
    source, scan = scanned("chest-xray14-sample", patient=patient)
    audit = audit_source(source, scan)
    assert audit.near_duplicates == ()
    assert [len(names) for names in audit.exact_duplicates] == [2]
    assert (len(audit.patients), audit.groups) == (546, 546)
    manifest = split_source(source, scan, SplitSpec(), seed=0)
    shares = [len(manifest.part(split)) / len(manifest.rows) for split in SPLITS]
    assert shares == pytest.approx([0.65, 0.15, 0.2], abs=0.01)
    for one in SPLITS:
        for other in SPLITS[: SPLITS.index(one)]:
            assert not {row.group for row in manifest.part(one)} & {row.group for row in manifest.part(other)}
