"""What is installed, what works here, and what each extra would add; TensorFlow is looked for and never imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mstl_edge import __version__
from mstl_edge.errors import MissingExtraError, MstlEdgeError
from mstl_edge.installing import install_extra
from mstl_edge.schemas.bench import Host

if TYPE_CHECKING:
    from mstl_edge.runtime import RuntimeKind

SCHEMA = "mstl-edge/doctor/1"
PACKAGE = "mstl-edge"
EXTRAS = {
    "train": "run, train, export, study and kaggle: data",
    "dicom": "DICOM files, in training and on the device",
    "serve": "the page of serve",
    "cluster": "study --cluster, on Ray",
    "tflite-runtime": "the runtime of 32-bit boards",
    "dev": "tests, linters and types of this project",
}
"""What each extra of pyproject.toml is for."""
ALONE = ("tflite-runtime",)
"""Extras that pull others' packages down: NumPy below 2."""


class Check(Struct, frozen=True, kw_only=True):
    """Something that works here or does not; `hint` is what to type where it does not."""

    name: str
    works: bool
    told: str
    hint: str = ""


class Extra(Struct, frozen=True, kw_only=True):
    """An extra of pyproject.toml.

    `packages` are its packages with their versions here, None where they are not installed, `unmet` the requirements that this
    environment does not meet. `alone` is one that should have an environment of its own.
    """

    name: str
    adds: str
    alone: bool
    packages: dict[str, str | None]
    unmet: tuple[str, ...]
    command: str


class Checkup(Struct, frozen=True, kw_only=True):
    """`doctor --json`. `works` speaks of the device side: predict, bench, inspect; `trains` of training and export."""

    schema: str = SCHEMA
    version: str = __version__
    host: Host
    packages: dict[str, str]
    extras: tuple[Extra, ...]
    checks: tuple[Check, ...]
    works: bool
    trains: bool
    verdict: str


def check_up() -> Checkup:
    """Look around."""
    from mstl_edge_bench.machine.host import describe_host

    requirements = _requirements()
    # Those for other machines stand there too.
    base = {name: version for name, version in _versions(requirements.get("", ())).items() if version}
    extras = tuple(_extra(name, requirements.get(name, ())) for name in EXTRAS)
    device = _device_check()
    training = _training_check(extras[0], known=bool(requirements))
    runtimes = [_runtime_check(kind) for kind in _RUNTIMES]
    rest = (_kaggle_check(), _cache_check(), _weights_check(), _terminal_check())
    return Checkup(
        host=describe_host(),
        packages=base,
        extras=extras,
        checks=(device, training, *runtimes, *rest),
        works=device.works,
        trains=training.works,
        verdict=_verdict(device, training),
    )


def _verdict(device: Check, training: Check) -> str:
    if not device.works:
        return f"no model runs here: {device.told}. {device.hint}"
    if not training.works:
        return f"models run here; training does not: {training.told}. {training.hint}"
    return "models run here, and training works"


_RUNTIMES: tuple[RuntimeKind, ...] = ("litert", "tflite-runtime")


def _device_check() -> Check:
    from mstl_edge.runtime import choose_runtime
    from mstl_edge.runtime.interpreter import runtime_title

    try:
        kind, _ = choose_runtime("auto")
    except MissingExtraError as error:
        return _failed("predict, bench, inspect", error)
    tried = [kind, *(other for other in _RUNTIMES if other != kind)]
    problems = {one: _problem(one) for one in tried}
    working = next((one for one in tried if not problems[one]), None)
    if working is None:
        return Check(name="predict, bench, inspect", works=False, told=problems[kind], hint=_runtime_hint(kind))
    return Check(name="predict, bench, inspect", works=True, told=f"with {runtime_title(working)}")


def _runtime_check(kind: RuntimeKind) -> Check:
    from mstl_edge.runtime.interpreter import runtime_title

    problem = _problem(kind)
    hint = _runtime_hint(kind) if problem else ""
    return Check(name=f"runtime {kind}", works=not problem, told=problem or runtime_title(kind), hint=hint)


def _problem(kind: RuntimeKind) -> str:
    """Return why a runtime does not work, nothing where it does; it is imported, which is quick."""
    from mstl_edge.runtime import choose_runtime
    from mstl_edge.runtime.interpreter import import_interpreter

    try:
        choose_runtime(kind)
        import_interpreter(kind)
    except MissingExtraError as error:
        return str(error.received)
    return ""


def _runtime_hint(kind: RuntimeKind) -> str:
    from mstl_edge.runtime import install_command

    return f"Install it: {install_command(kind)}"


def _training_check(extra: Extra, *, known: bool) -> Check:
    name = "run, train, export, study"
    if not known:
        found = importlib.util.find_spec("tensorflow") is not None and importlib.util.find_spec("tf_keras") is not None
        told = "TensorFlow and tf-keras are there" if found else "TensorFlow or tf-keras is not installed"
        return Check(name=name, works=found, told=told, hint="" if found else f"Install it: {extra.command}")
    if extra.unmet:
        return Check(
            name=name, works=False, told=f"lacks {', '.join(extra.unmet)}", hint=f"Install it: {extra.command}"
        )
    return Check(name=name, works=True, told=f"with TensorFlow {extra.packages.get('tensorflow')}")


def _kaggle_check() -> Check:
    found = importlib.util.find_spec("kagglehub") is not None
    told = "kagglehub is installed" if found else "kagglehub is not installed"
    return Check(
        name="kaggle: data", works=found, told=told, hint="" if found else f"Install it: {install_extra('train')}"
    )


def _cache_check() -> Check:
    from mstl_edge.storage import LIMIT_GB, LIMIT_VARIABLE, cache_folder, cache_used_bytes

    try:
        folder = cache_folder()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except MstlEdgeError as error:
        return _failed("cache", error)
    except OSError as error:
        return Check(
            name="cache", works=False, told=f"{error.filename or 'the folder'}: {error.strerror}",
            hint="Set MSTL_EDGE_CACHE to a folder that can be written.",
        )  # fmt: skip
    limit = os.environ.get(LIMIT_VARIABLE) or f"{LIMIT_GB:g}"
    return Check(name="cache", works=True, told=f"{folder}: {cache_used_bytes() / 1e9:.1f} of {limit} GB used")


def _weights_check() -> Check:
    try:
        folder = Path.home() / ".keras" / "models"
        found = sorted(path.name for path in folder.glob("*no_top*.h5"))
    except (RuntimeError, OSError):
        return Check(name="ImageNet weights", works=False, told="no home folder to keep them in", hint="Set HOME.")
    if found:
        return Check(name="ImageNet weights", works=True, told=f"{folder}: {', '.join(found)}")
    hint = "Keras downloads a file at the first use; without a network use --weights bundled or --weights FILE."
    return Check(name="ImageNet weights", works=False, told=f"none in {folder}", hint=hint)


def _terminal_check() -> Check:
    from rich.console import Console

    console = Console()
    encoding = sys.stdout.encoding or "unknown"
    whole = encoding.lower().replace("-", "") == "utf8"
    kind = (
        f"{console.width} columns, colours: {console.color_system or 'none'}" if sys.stdout.isatty() else "no terminal"
    )
    hint = "" if whole else "Characters that it lacks are escaped; PYTHONIOENCODING=utf-8 shows them."
    return Check(name="stdout", works=whole, told=f"{encoding}, {kind}", hint=hint)


def _failed(name: str, error: MstlEdgeError) -> Check:
    return Check(name=name, works=False, told=f"{error.received or error.expected}", hint=error.hint)


_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*(?:;(?P<marker>.*))?")


def _requirements() -> dict[str, list[str]]:
    """Return the requirements by extra, those of every installation under the empty name; nothing where this is not installed."""
    try:
        told = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for requirement in told:
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", requirement)
        found.setdefault(extra.group(1) if extra else "", []).append(requirement)
    return found


def _extra(name: str, requirements: Sequence[str]) -> Extra:
    packages = _versions(requirements)
    unmet = tuple(_unmet(requirements, packages, name))
    alone = name in ALONE
    return Extra(name=name, adds=EXTRAS[name], alone=alone, packages=packages, unmet=unmet, command=install_extra(name))


def _versions(requirements: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for requirement in requirements:
        matched = _REQUIREMENT.match(requirement)
        assert matched is not None
        name = matched["name"]
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _unmet(requirements: Sequence[str], packages: Mapping[str, str | None], extra: str) -> list[str]:
    """Return the requirements that this environment does not meet; without `packaging`, what is not installed at all."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return [name for name, version in packages.items() if version is None]
    unmet = []
    for text in requirements:
        asked = Requirement(text)
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
            continue
        version = packages[asked.name]
        if version is None or not asked.specifier.contains(version, prereleases=True):
            unmet.append(f"{asked.name}{asked.specifier}")
    return unmet
