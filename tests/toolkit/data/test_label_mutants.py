"""Thousands of damaged tables and odd folders: each is read or refused in one line, soon, and in bounded memory.

`MSTL_EDGE_MUTANTS=10000 pytest tests/toolkit/data/test_label_mutants.py` runs more of them; a failure names the mutant's seed.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from mstl_edge.data.audit import audit_source
from mstl_edge.data.labels.columns import Wanted
from mstl_edge.data.scan import scan_source
from mstl_edge.data.sources import DataSource, open_source
from mstl_edge.data.splits import split_source
from mstl_edge.errors import MstlEdgeError
from mstl_edge.recipe import PreprocessSpec, SplitSpec

MUTANTS = int(os.environ.get("MSTL_EDGE_MUTANTS", "400"))
SECONDS_EACH = 20
MOST_GROWTH_KB = 200_000
IMAGES = 24

pytestmark = pytest.mark.slow


def label(number: int) -> str:
    return ("bleed", "normal")[number % 2]


def table(header: str, row: Callable[[int], str]) -> bytes:
    return "\n".join([*([header] if header else []), *map(row, range(IMAGES)), ""]).encode()


TABLES = (
    table("id, hemorrhage", lambda n: f"{n},{n % 2}"),
    table("id,filename,label", lambda n: f"{n + 1},{n:03d}.png,{label(n)}"),
    table("", lambda n: f"{n:03d}.png,{n % 2}"),
    table("image,MEL,NV", lambda n: f"{n:03d},{n % 2}.0,{1 - n % 2}.0"),
    table("lesion_id,image_id,dx,dx_type,age", lambda n: f"L{n},{n:03d},{('mel', 'nv')[n % 2]},histo,60.0"),
    table("Image Index,Finding Labels,Patient ID,Size[x,y],", lambda n: f"{n:03d}.png,{label(n)},{n // 2},2682,2749,"),
    table("path;label;split", lambda n: f'"images/{n:03d}.png";{label(n)};{("train", "val", "test")[n % 3]}'),
    table("patientId\tx\tTarget", lambda n: f"{n:03d}\t{n * 1.5}\t{n % 2}"),
    table("bild,klasse,patient", lambda n: f"C:\\daten\\images\\{n:03d}.png,{('Schädel', 'o. B.')[n % 2]},p{n // 3}"),
)
CELLS = (
    "", "NA", "nan", "None", "none", "1", "1.0", "01", "-1", "1e999", "9" * 400, "٣",
    "²", "a|b", "a;b", '"', '""', "'", "\0", "\ufeff",
    "../../etc/passwd", "/", "\\", ".", "..", "000.png", "000", "0.0", "images/000.png", "IMAGES\\000.PNG", "x" * 5000, "😀",
    "=1+1",
    "train", "test", "Normal", "NORMAL", "normal ", "no\u0301rmal", "\u2028", "\x1b[31m", "labels.csv", "[", "*", "~", "%s", "{0}",
)  # fmt: skip
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "utf-7")
OPTIONS = (
    lambda told: {"columns": Wanted(patient=told)},
    lambda told: {"columns": Wanted(image=told)},
    lambda told: {"columns": Wanted(label=told)},
    lambda told: {"patient": told},
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return the table with one to four random changes of bytes, lines, cells or of the whole file."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.choice(("byte", "byte", "line", "cell", "cell", "cell", "file"))
        content = {"byte": byte_changed, "line": line_changed, "cell": cell_changed, "file": file_changed}[kind](
            content, rng
        )
    return content


def byte_changed(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return (
        content[:at]
        + rng.choice((b"", bytes([rng.randrange(256)]), rng.randbytes(8)))
        + content[at + rng.randrange(3) :]
    )


def line_changed(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = rng.choice((b"", b",", b"sep=;", b"# comment", b'"', lines[at] + b",extra", lines[at][:-2]))
        case _:
            rng.shuffle(lines)
    return b"\n".join(lines)


def cell_changed(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    everywhere = rng.random() < 0.3
    delimiter = rng.choice((b",", b",", b";", b"\t"))
    column, value = rng.randrange(4), rng.choice(CELLS).encode()
    for at in range(len(lines)) if everywhere else (rng.randrange(len(lines)),):
        cells = lines[at].split(delimiter)
        if column < len(cells):
            cells[column] = rng.choice((value, cells[column] + value, value + cells[column]))
            lines[at] = delimiter.join(cells)
    return b"\n".join(lines)


def file_changed(content: bytes, rng: random.Random) -> bytes:
    match rng.randrange(6):
        case 0:
            return content[: rng.randrange(len(content) + 1)]
        case 1:
            return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n")))
        case 2:
            return content.replace(b",", rng.choice((b";", b"\t", b" ", b"|")))
        case 3:
            return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")
        case 4:
            return content + content
        case _:
            return b'"' + content.replace(b",", b'","').replace(b"\n", b'"\n"') + b'"'


def odd_entries(root: Path, rng: random.Random) -> None:
    """Put a few odd things beside the images: links, pipes, litter, masks, folders, names of any bytes."""
    for number in range(rng.randrange(4)):
        where = rng.choice([path for path in root.rglob("*") if path.is_dir() and not path.is_symlink()] or [root])
        name = rng.choice(
            ("up", "x.png", "000_mask.png", "._a.png", "a\nb.png", os.fsdecode(b"\xe4.png"), "Thumbs.db", "notes.txt", "train",
             "test", "masks", "NORMAL", "1", "other.csv", " ", "-rf", "y" * 250)
        )  # fmt: skip
        path = where / f"{name}{'' if rng.random() < 0.7 else number}"
        if os.path.lexists(path):
            continue
        match rng.randrange(6):
            case 0:
                path.symlink_to(rng.choice(("..", ".", "/", "nowhere", "/dev/zero", "/proc/self/mem", path.name)))
            case 1:
                os.mkfifo(path)
            case 2:
                path.mkdir()
                (path / "000.png").write_bytes((root / "picture").read_bytes())
            case 3:
                path.write_bytes(rng.randbytes(rng.randrange(40)))
            case 4:
                path.write_bytes((root / "picture").read_bytes())
            case _:
                path.write_bytes(b"image,label\n000.png,a\n001.png,b\n")


def checked(source: DataSource) -> None:
    """What every source that is opened must be."""
    assert len(source.labels) >= 2
    assert {image.label for image in source.images} == set(source.labels)
    assert len({image.name for image in source.images}) == len(source.images)
    for image in source.images:
        assert image.path == source.folder / image.name
        assert image.path.is_file()
        image.name.encode()
        image.label.encode()
        assert image.patient != ""
    for lines in (source.missing, source.unlabelled, source.notes):
        for line in lines:
            line.encode()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder, rng = tmp_path_factory.mktemp("pictures"), random.Random(0)
    for number in range(IMAGES):
        Image.frombytes("L", (8, 8), rng.randbytes(64)).save(folder / f"{number:03d}.png")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def tell(*_: object) -> None:
        raise AssertionError(f"a mutant took longer than {SECONDS_EACH} s")

    kept = signal.signal(signal.SIGALRM, tell)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, kept)


def test_every_mutant_is_read_or_refused_in_one_line(tmp_path, pictures):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused: list[tuple[int, str]] = []
    for seed in range(MUTANTS):
        rng = random.Random(seed)
        root = tmp_path / "set"
        in_classes = rng.random() < 0.25
        for number, picture in enumerate(pictures):
            path = root / (label(number) if in_classes else "images") / f"{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        (root / "picture").write_bytes(pictures[0])
        if not in_classes or rng.random() < 0.3:
            (root / rng.choice(("labels.csv", "table.tsv", "T.CSV"))).write_bytes(mutated(rng.choice(TABLES), rng))
        odd_entries(root, rng)
        (root / "picture").unlink()
        option = (
            rng.choice(OPTIONS)(rng.choice(("label", "patient", "id", "2", "", "[", r"^(\d+)")))
            if rng.random() < 0.3
            else {}
        )
        signal.alarm(SECONDS_EACH)
        try:
            source = open_source(str(root), **option)
            checked(source)
            if seed % 4 == 0:
                scan = scan_source(source, PreprocessSpec())
                audit_source(source, scan).to_tree()
                split_source(source, scan, SplitSpec(), seed=0)
        except MstlEdgeError as error:
            refused.append((seed, str(error)))
        except Exception as error:
            raise AssertionError(f"mutant of seed {seed}") from error
        signal.alarm(0)
        shutil.rmtree(root)
    assert 0 < len(refused) < MUTANTS
    assert [told for told in refused if not told[1].isprintable() or len(told[1]) > 6100] == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH_KB
