from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from served import serving
from typer.testing import CliRunner

from mstl_edge.errors import MissingExtraError, MstlEdgeError
from mstl_edge_cli.app import app


def refused(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["serve", *map(str, words)])
    assert result.exit_code == 1
    assert isinstance(result.exception, MstlEdgeError | SystemExit)
    return result.stderr or str(result.exception)


@pytest.mark.slow
def test_it_says_where_it_is_answers_and_ends_with_ctrl_c(exported: Callable[[str], Path]) -> None:
    with serving(exported("tiny_int8")) as (address, process):
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}v1/card") as response:
            card = json.load(response)
        assert card["models"][0]["file"] == "tiny_int8.tflite"
        with urllib.request.urlopen(address) as response:
            assert b"<title>mstl-edge</title>" in response.read()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "on this machine alone" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_run_is_shown_with_its_report(exported: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "run" / "exports").mkdir(parents=True)
    model = tmp_path / "run" / "exports" / "m-int8.tflite"
    model.write_bytes(exported("tiny_int8").read_bytes())
    for name in ("run.json", "recipe.toml"):
        (tmp_path / "run" / name).write_text("")
    (tmp_path / "run" / "report.html").write_text("<p>the report</p>")
    with serving(model) as (address, _), urllib.request.urlopen(f"{address}v1/reports/0") as response:
        assert response.read() == b"<p>the report</p>"


@pytest.mark.parametrize(("token", "received"), [((), "none"), (("--token", "short"), "5 characters")])
def test_others_may_ask_with_a_token_alone(
    exported: Callable[[str], Path], token: tuple[str, ...], received: str
) -> None:
    said = refused(exported("tiny_int8"), "--host", "0.0.0.0", *token)
    assert f"a --token of at least 12 characters, since others can reach 0.0.0.0. Received: {received}" in said
    assert "MSTL_EDGE_TOKEN=$(openssl rand -hex 16) mstl-edge serve" in said


def test_a_port_that_is_taken_or_no_address_is_one_line(exported: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(exported("tiny_int8"), "--port", str(taken.getsockname()[1]))
    assert "an address and a port of this machine that are free" in said
    assert "--port 8338" in said
    assert "free" in refused(exported("tiny_int8"), "--host", "no.such.host.invalid", "--token", "x" * 12)


def test_three_models_and_none_are_refused(exported: Callable[[str], Path], tmp_path: Path) -> None:
    one = exported("tiny_int8")
    assert "one model, or two to compare. Received: 3" in refused(one, one, one)
    assert "a model file" in refused(tmp_path / "nothing.tflite", "--port", "0")


def test_without_its_packages_it_is_said_what_to_install(
    exported: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(app, ["serve", str(exported("tiny_int8"))])
    said = result.stderr or str(result.exception)
    assert result.exit_code == MissingExtraError.exit_code
    assert "the extra [serve]. Received: no uvicorn" in said
    assert "[serve]" in said


def test_nothing_of_tensorflow_is_imported(exported: Callable[[str], Path]) -> None:
    import subprocess

    code = (
        "import sys, mstl_edge.serve.api, mstl_edge.serve.answering, mstl_edge_cli.commands.serve\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'tf_keras', 'scipy', 'pydicom')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"
