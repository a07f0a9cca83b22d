"""What an error tells to type can be typed: the command exists, has these options, and takes a path with spaces."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from mstl_edge.errors import typed
from mstl_edge_cli.app import app

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("cli/mstl_edge_cli", "toolkit/mstl_edge", "benchmarks/mstl_edge_bench", "models/mstl_edge_models")
    for path in (ROOT / folder).rglob("*.py")
)
VALUE = "VALUE"
"""Stands for what a hint fills in."""
COMMAND = re.compile(r"mstl-edge ((?:[a-z]+ ?){1,2})((?:[^'.;,:()]|\.[a-z])*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def options_of(command) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in found if name.startswith("--")} | {"--help"}


def walk(command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


COMMANDS = {name: options_of(command) for name, command in walk(typer.main.get_command(app)) if name}
EVERY_OPTION = set().union(*COMMANDS.values())
# Of other programs: pip's and Ray's.
FOREIGN = {"--force-reinstall", "--head"}


def text_of(node: ast.AST) -> str:
    """Return the text of an expression, with VALUE for what is only known later."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            text_of(part.value) if isinstance(part, ast.FormattedValue) else text_of(part) for part in node.values
        )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "typed":
        return " ".join(text_of(word) or VALUE for word in node.args)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return VALUE if isinstance(node, ast.expr) else ""


def hints(path: Path) -> Iterator[tuple[int, str, ast.AST]]:
    """Yield what stands after `hint=`, and whatever else names a command of ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            yield node.value.lineno, text_of(node.value), node.value
        elif isinstance(node, (ast.JoinedStr, ast.Call)) and "mstl-edge " in text_of(node):
            yield node.lineno, text_of(node), node


FOUND = [(path.relative_to(ROOT), line, text) for path in SOURCES for line, text, _ in hints(path) if text]


def test_hints_are_found():
    assert len(FOUND) > 100
    assert any("mstl-edge train --resume" in text for _, _, text in FOUND)


@pytest.mark.parametrize(("path", "line", "text"), FOUND, ids=lambda value: str(value)[-40:])
def test_every_command_and_option_in_a_hint_exists(path, line, text):
    named = COMMAND.findall(text)
    for words, rest in named:
        command = next((name for name in (words.strip(), words.split()[0]) if name in COMMANDS), None)
        if command is None:
            continue  # a sentence, such as `mstl-edge is …`
        for option in OPTION.findall(rest):
            assert option in COMMANDS[command], f"{path}:{line}: {command} has no {option}: {text}"
    for option in OPTION.findall(text):
        assert option in EVERY_OPTION | FOREIGN, f"{path}:{line}: no command has {option}: {text}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_path_in_a_command_is_quoted(path):
    """A value stands in a command only by `typed`, which quotes it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            plain = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            bare = re.search(
                r"mstl-edge (?:train|run|export|bench|report|study|predict|inspect)\b[^'.;]*?[ =]\0", plain
            )
            assert bare is None, f"{path.relative_to(ROOT)}:{node.lineno}: {plain!r}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_hint_names_a_package_that_no_index_has(path):
    assert "install 'mstl-edge" not in path.read_text(encoding="utf-8")


def test_a_typed_command_is_read_back_as_its_words():
    words = ["mstl-edge", "train", "--resume", "my runs/it's $HOME"]
    assert shlex.split(typed(*words)) == words


def test_a_folder_with_spaces_is_quoted_where_it_is_to_be_typed(mstl_edge, tmp_path):
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run

    create_run(load_recipe("phantom"), tmp_path / "my runs" / "a", versions={})
    again = mstl_edge("train", "--out", "my runs/a")
    assert "mstl-edge train --resume 'my runs/a'" in again.stderr
    run = mstl_edge("run", "phantom", "--out", "my runs/a")
    assert "mstl-edge run --resume 'my runs/a'" in run.stderr
    export = mstl_edge("bench", "my runs/a")
    assert "mstl-edge export 'my runs/a'" in export.stderr
