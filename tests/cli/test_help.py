"""Every command explains itself and ends with something to type; asking for it costs no TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
import typer.main

from mstl_edge_cli.app import COMMANDS, app, main


def walk(command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every command and group below `command`, itself included."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


def explained(command) -> bool:
    """Whether the text has more than a line of example, and ends with one."""
    texts = [text for text in (command.help, command.epilog) if text]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and lines[-1].startswith("Example: mstl-edge ")


WALKED = {" ".join(path): command for path, command in walk(typer.main.get_command(app))}
LEAVES = {name: command for name, command in WALKED.items() if not hasattr(command, "commands")}


def test_every_module_of_commands_is_registered():
    assert {name.split()[0] for name in WALKED if name} == set(COMMANDS)


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_a_help_text_that_ends_with_an_example_of_itself(name):
    command = LEAVES[name]
    assert explained(command)
    text = f"{command.help}\n{command.epilog or ''}".strip()
    assert text.splitlines()[-1].strip().startswith(f"Example: mstl-edge {name}")


@pytest.mark.parametrize("name", [name for name in WALKED if name not in LEAVES])
def test_every_group_says_what_it_is_for(name):
    assert WALKED[name].help


@pytest.mark.parametrize("name", LEAVES)
def test_every_argument_and_option_is_explained(name):
    for parameter in LEAVES[name].params:
        assert parameter.name == "help" or parameter.help, f"{name} {parameter.name}"


def test_an_undocumented_command_would_be_found():
    broken = typer.Typer()

    @broken.command("silent")
    def silent() -> None:
        """Do something.

        No example here.
        """

    @broken.command("bare")
    def bare() -> None:
        """Example: mstl-edge bare"""

    found = {name[-1]: command for name, command in walk(typer.main.get_command(broken)) if name}
    assert not explained(found["silent"])
    assert not explained(found["bare"])


def test_the_overview_says_of_every_command_what_its_own_help_begins_with(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mstl-edge", "--help"])
    with pytest.raises(SystemExit):
        main()
    listed = capsys.readouterr().out.split("Commands:\n")[1].splitlines()
    told: dict[str, str] = {}
    for line in listed:
        if line[2] != " ":  # not the rest of a sentence
            name, summary = line.strip().split(maxsplit=1)
            told[name] = summary
        else:
            told[name] += f" {line.strip()}"
    assert list(told) == list(COMMANDS)
    for name, summary in told.items():
        own = " ".join(WALKED[name].help.split())
        assert not summary.endswith("...")
        assert own.startswith(summary.rstrip(".")), name


@pytest.mark.parametrize("name", ["bench", "predict", "inspect"])
def test_what_a_device_calls_is_built_without_the_other_commands(name):
    code = (
        "import sys; from mstl_edge_cli.app import main; sys.argv = ['mstl-edge', sys.argv[1], '--help']\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "print('modules:', *(name for name in sys.modules if name.startswith('mstl_edge_cli.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", code, name], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].split()[1:] == [f"mstl_edge_cli.commands.{name}"]


def test_the_overview_loads_no_architecture_and_no_parser():
    code = (
        "import sys; from mstl_edge_cli.app import main; sys.argv = ['mstl-edge', '--help']\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "print('modules:', *({'mstl_edge_models', 'tomllib', 'csv', 'numpy', 'msgspec', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].split()[1:] == []


def test_a_misspelt_command_is_answered_with_the_nearest_name(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mstl-edge", "prdict"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "Did you mean 'predict'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    ["--help"], ["--version"], ["train", "--help"], ["runs", "list"], ["recipes", "list"], ["recipes", "keys"], ["doctor"],
])  # fmt: skip
def test_looking_around_imports_no_tensorflow(arguments, tmp_path):
    code = (
        "import sys; from mstl_edge_cli.app import main; sys.argv = ['mstl-edge', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'tensorflow', 'tf_keras', 'keras', 'scipy', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, cwd=tmp_path)
