"""Where labelled images come from: folders, a CSV, Kaggle, the drawn phantoms. Names and labels only, no pixels."""

from __future__ import annotations

import shlex
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

from mstl_edge.counted import counted
from mstl_edge.data.files.kaggle import kaggle_folder
from mstl_edge.data.files.labelled import SPLITS, DataSource, LabelledImage, Split
from mstl_edge.data.files.patients import with_patients, with_public_patients
from mstl_edge.data.files.volumes import Slices, with_slices
from mstl_edge.data.files.walk import LeftOut, Unreadable, kind_of
from mstl_edge.data.labels.choosing import Choice, with_chosen_classes
from mstl_edge.data.labels.classes import check_names, check_spellings
from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.labels.table import is_table
from mstl_edge.data.layout import LAYOUTS, from_listing, from_table, list_files, unwrapped
from mstl_edge.errors import DataError, printable
from mstl_edge.recipe import StageSpec
from mstl_edge.storage import expanded

__all__ = ["SPLITS", "DataSource", "LabelledImage", "Split", "open_source", "open_stage", "source_folder"]

PHANTOM_PATIENT = r"^(p\d+)_"


def open_stage(stage: StageSpec, opened: Callable[..., DataSource] | None = None) -> DataSource:
    """List the labelled images of a recipe's stage, as its keys `split` and `labels` say.

    Args:
        stage: Whose data.
        opened: `open_source` of somebody who remembers what was listed before.

    Raises:
        DataError: See `open_source`.
    """
    return (opened or open_source)(
        stage.data,
        Wanted(image=stage.labels.image, label=stage.labels.label, patient=stage.split.column),
        patient=stage.split.patient,
        choice=Choice(stage.labels.map, stage.labels.only),
        slices=stage.labels.slices,
    )


def open_source(
    source: str,
    columns: Wanted = Wanted(),
    *,
    patient: str = "",
    choice: Choice = Choice(),
    slices: Slices = "all",
    seed: int = 0,
) -> DataSource:
    """List the labelled images of a data source.

    Args:
        source: A folder (one folder per class; `train/ val/ test/` with classes inside; or images beside a CSV), a CSV file,
            `kaggle:owner/name`, or `phantom:chest` / `phantom:head-ct` (with `?count=300&seed=4` if wanted).
        columns: Columns of the CSV: which names the image (else found by its cells), holds the label (else found by its name), and
            names the patient.
        patient: Regular expression over the file name; its first group, or the whole match, is the patient. Empty: the names
            of well-known public sets tell it, and that is noted.
        choice: Findings that become classes; without any, each is one.
        slices: Which slices of DICOM series, and of files of several frames, are images.
        seed: Draws the phantoms.

    Raises:
        DataError: Nothing there, no images, fewer than two classes, names of classes that no model can carry, or labels and
            patients that do not fit the files.
        MissingExtraError: `kaggle:` without kagglehub.
    """
    path, drawn = _located(source, seed)
    found = with_chosen_classes(_open_path(source, path, replace(columns, several=bool(choice))), choice)
    if not found.images:
        raise DataError("images with labels", received=f"none in {source}{_lost(found)}", hint=LAYOUTS)
    counts = Counter(image.label for image in found.images)
    check_names(counts, source)
    check_spellings(counts, source)
    if len(found.labels) < 2:
        raise DataError(
            "at least two classes", received=f"only {', '.join(found.labels)} in {source}{_lost(found)}", hint=LAYOUTS
        )
    options = {
        "--patient": patient,
        "--column": columns.patient,
        "--image-column": columns.image,
        "--label-column": columns.label,
        "--map": ",".join(choice.renamed),
        "--only": ",".join(choice.only),
        "--slices": slices if slices != "all" else "",
    }
    typed = [word for option, value in options.items() if value for word in (option, value)]
    found = replace(found, check=shlex.join(["mstl-edge", "data", "check", source, *typed]))
    patient = patient or (PHANTOM_PATIENT if drawn else "")
    found = with_patients(found, patient) if patient else with_public_patients(found)
    return found if drawn else with_slices(found, slices)


def source_folder(source: str, *, seed: int = 0) -> Path:
    """Return the folder that the names of a source's images are relative to.

    Raises:
        DataError: The source is not there any more, or cannot be read.
        MissingExtraError: `kaggle:` without kagglehub.
    """
    path, _ = _located(source, seed)
    if not path.is_dir():
        return path.parent
    return unwrapped(list_files(path)).folder


def _located(source: str, seed: int) -> tuple[Path, bool]:
    """Return the folder or file that a source stands for, and whether it is drawn."""
    kind, _, rest = source.partition(":")
    if kind == "phantom":
        return _phantom(rest, seed), True
    return (kaggle_folder(rest) if kind == "kaggle" else _existing(source)), False


def _phantom(rest: str, seed: int) -> Path:
    from mstl_edge.data.phantom import phantom_folder  # drawing is only imported where something is drawn

    kind, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - {"count", "seed"} or {k for k, value in options.items() if not value.isdecimal()}:
        raise DataError(
            "count and seed as whole numbers behind the phantom's name",
            received=f"phantom:{rest} ({', '.join(sorted(unknown))})",
            hint="For example phantom:head-ct?count=300&seed=4.",
        )
    count = int(options["count"]) if "count" in options else None
    folder: Path = phantom_folder(kind, seed=int(options.get("seed", seed)), count=count)
    return folder


def _existing(source: str) -> Path:
    """Return a path that may be looked at.

    Raises:
        DataError: It is not there, may not be looked at, or is no possible path.
    """
    reason = ""
    try:
        path = expanded(source)
        path.stat()
        source.encode()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except UnicodeEncodeError:
        reason = "its name is not UTF-8"
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:  # a zero byte
        reason = str(error).rstrip(".")
    else:
        return path
    raise DataError(
        "a data source that exists (a folder, a CSV file, kaggle:owner/name, phantom:chest or phantom:head-ct)",
        received=f"{printable(source)} ({reason})" if reason else printable(source),
        hint="Check the path, or try phantom:head-ct; a stage takes it as --data STAGE=PATH.",
    )


def _open_path(source: str, path: Path, wanted: Wanted) -> DataSource:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        listing = list_files(path)
        if any(entry.name == "/" for entry in listing.unreadable):
            raise DataError(
                f"a folder that can be read ({listing.unreadable[0].reason})", received=path,
                hint="Give yourself the right to read it and to enter it (r and x).",
            )  # fmt: skip
        return from_listing(source, listing, wanted)
    if not stat.S_ISREG(mode) or not is_table(path.name):
        what = path if stat.S_ISREG(mode) else f"{path}, {kind_of(mode)}"
        raise DataError("a folder or a CSV file", received=what, hint=LAYOUTS)
    return from_table(source, path, list_files(path.parent), wanted)


def _lost(found: DataSource) -> str:
    """Say what was not taken, where that may be why too little is left."""
    entries: list[Unreadable | LeftOut] = [*found.unreadable, *found.left_out]
    if not entries:
        return ""
    return f"; {counted(len(entries), 'entry')} passed over, such as {entries[0].name} ({entries[0].reason})"
