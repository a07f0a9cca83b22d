"""What columns of tables are called."""

from __future__ import annotations

import re

IMAGE_COLUMNS = frozenset((
    "id", "image", "imageid", "imageindex", "imagename", "imagefile", "imagepath", "filename", "filepath", "file", "path", "name",
    "img", "imgid", "imgpath", "scan", "slice", "isicid",
))  # fmt: skip
LABEL_COLUMNS = frozenset((
    "label", "labels", "class", "target", "diagnosis", "category", "y", "classname", "findinglabels", "finding", "findings", "dx",
    "outcome", "grade",
))  # fmt: skip
"""What columns are called, without case, spaces and joints."""

CALLED_SPLIT = re.compile(
    r".*split.*|.*subset|.*partition|folds?|cvfold|(is)?(train|training|val|valid|validation|test|testing)"
)
"""How columns are called that declare a split, or would; others may hold its words, too."""

PATIENT_COLUMNS = frozenset(
    ("patient", "patientid", "patients", "subject", "subjectid", "lesionid", "caseid", "studyid", "pid")
)
PUBLIC_TABLES = {
    "patientid": frozenset(("imageindex", "findinglabels")),  # NIH ChestX-ray14
    "lesionid": frozenset(("imageid", "dx")),  # HAM10000
}
"""What tables of public sets call the patient, and the columns beside it that they are known by."""


def plain(name: str) -> str:
    """Return a column's name without case, spaces and joints."""
    return re.sub(r"[\s_.#-]+", "", name).casefold()
