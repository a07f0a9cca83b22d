"""What the suites share: the grid, the model files, and a host description in every result file.

`python -m pytest benchmarks/suites --benchmark-enable --benchmark-json FILE` runs them; see benchmarks/README.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from in_turns import Member, Turns

from mstl_edge.errors import RunError
from mstl_edge.runs import RunFolder, open_run
from mstl_edge.storage import cache_folder
from mstl_edge_bench.machine.host import describe_host
from mstl_edge_bench.timing.latency import PATIENCE_S

ALPHAS = (0.25, 0.5, 0.75, 1.0)
SIZES = (96, 128, 160, 192, 224)
SCHEMES = ("float32", "int8")
RUNTIMES = ("litert", "tflite-runtime", "reference")
HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mstl-edge")
    group.addoption(
        "--models", metavar="FOLDER", type=Path, help="Models made by make_models.py; default: made as needed."
    )
    group.addoption(
        "--patience",
        metavar="SECONDS",
        type=float,
        default=PATIENCE_S,
        help="How long blocks are added to a row until they agree.",
    )
    group.addoption("--run", metavar="RUN", type=Path, help="A run with exports, for accuracy; default the latest.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cores = len(os.sched_getaffinity(0))
    values = {
        "alpha": ALPHAS,
        "size": SIZES,
        "scheme": SCHEMES,
        "threads": tuple(sorted({1, *(2**n for n in range(cores.bit_length()) if 2**n <= cores), cores})),
        "kind": RUNTIMES,
    }
    for name, listed in values.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, listed, ids=lambda value, name=name: f"{name}={value}", scope="session")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Say what the machine is, and not what it is called."""
    host = describe_host()
    machine_info["node"] = host.board
    machine_info["mstl_edge_host"] = msgspec.to_builtins(host)


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Leave out who committed what where."""
    output_json["commit_info"] = {"id": output_json["commit_info"].get("id"), "project": "mstl-edge"}


@pytest.fixture(scope="session")
def host() -> Any:
    """The machine; a suite that times anything is skipped where it is emulated."""
    return describe_host()


@pytest.fixture(scope="session")
def real_cpu(host: Any) -> None:
    if host.emulated:
        pytest.skip(f"emulated CPU ({host.emulated}): times would say nothing")


@pytest.fixture(scope="session")
def turns(request: pytest.FixtureRequest) -> Turns:
    """What was timed together so far."""
    return Turns(request.config.getoption("--patience"))


@pytest.fixture
def in_turns(request: pytest.FixtureRequest, benchmark: Any, turns: Turns) -> Callable[..., None]:
    """Record this test's times: `in_turns(member, *shared)`.

    `member` returns what to time for the parameters of a test, None where that can't be; the collected tests of the same function
    that agree in the parameters named by `shared` are timed in turns.
    """

    def record(member: Callable[[dict[str, Any]], Member | None], *shared: str) -> None:
        node = request.node
        common = {name: node.callspec.params[name] for name in shared}

        def members() -> dict[str, Member]:
            beside = [
                item
                for item in request.session.items
                if getattr(item, "originalname", None) == node.originalname
                and item.path == node.path
                and all(item.callspec.params[name] == value for name, value in common.items())
            ]
            made = {item.name: member(item.callspec.params) for item in beside}
            return {name: one for name, one in made.items() if one is not None}

        turns.record(benchmark, (node.originalname, *common.values()), node.name, members)

    return record


@pytest.fixture(scope="session")
def model_file(request: pytest.FixtureRequest) -> Callable[[float, int, str], Path]:
    """Return `mobilenet_v1-ALPHA-SIZE-SCHEME.tflite`; whatever the collected tests need is made first, in one go."""
    given = request.config.getoption("--models")
    folder = given or cache_folder("suites")
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    needed = {(params["alpha"], params["size"]) for params in calls if "size" in params}
    needed |= {(params["alpha"], 224) for params in calls if "alpha" in params and "size" not in params}
    needed |= {(1.0, 224)}
    missing = [
        f"{a}:{s}" for a, s in sorted(needed) if not all(_path(folder, a, s, scheme).is_file() for scheme in SCHEMES)
    ]
    if missing and given:
        pytest.fail(
            f"expected models in {given.name}. Missing: {missing}. Make them: make_models.py {given}", pytrace=False
        )
    if missing:
        subprocess.run([sys.executable, str(HERE / "make_models.py"), str(folder), *missing], check=True)
    return lambda alpha, size, scheme: _path(folder, alpha, size, scheme)


def _path(folder: Path, alpha: float, size: int, scheme: str) -> Path:
    return folder / f"mobilenet_v1-{alpha}-{size}-{scheme}.tflite"


@pytest.fixture(scope="session")
def trained_run(request: pytest.FixtureRequest) -> RunFolder:
    """A run with exports; accuracy needs trained weights."""
    try:
        run = open_run(request.config.getoption("--run"))
    except RunError as error:
        pytest.skip(str(error))
    if not (run.exports / "export.json").is_file():
        pytest.skip(f"{run.path} has no exports")
    return run
