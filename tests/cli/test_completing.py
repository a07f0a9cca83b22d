"""What the shell offers when Tab is pressed, asked for as bash asks; and that it costs no heavy import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mstl_edge.recipe import load_recipe
from mstl_edge.runs import create_run
from mstl_edge_cli import completing
from mstl_edge_models import backbones, recipes

PROGRAM = "import sys; sys.argv[0] = 'mstl-edge'; from mstl_edge_cli.__main__ import main; main()"


def asked(line: str, folder: Path, shell: str = "bash", **environment: str) -> list[str]:
    """Return what is offered for a line whose last word, which may be empty, is being typed."""
    words = line.split(" ")
    told = {"_MSTL_EDGE_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell != "bash":
        told = {"_MSTL_EDGE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **told}, cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two runs, a recipe of one's own, a model, and images in a folder per class."""
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("later", "earlier")):
        run = create_run(load_recipe("phantom"), Path("runs") / name, versions={})
        os.utime(run.run_file, (1e9 - age, 1e9 - age))
    (tmp_path / "mine.toml").write_text(recipes.read("ct-hemorrhage-best"))
    (tmp_path / "tiny.tflite").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    for name in ("healthy", "ill"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        (tmp_path / "dealt" / "train" / name).mkdir(parents=True)
        (tmp_path / "dealt" / "test" / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_recipe_is_a_built_in_one_a_file_or_a_folder(folder: Path, command: str) -> None:
    offered = asked(f"mstl-edge {command} ", folder)
    assert offered == [*recipes.names(), "dealt", "mine.toml", "runs", "scans"]
    assert asked(f"mstl-edge {command} ct-hemorrhage-l", folder) == ["ct-hemorrhage-lite"]
    assert asked(f"mstl-edge {command} ./mi", folder) == ["./mine.toml"]


def test_a_folder_can_be_taken_or_gone_into(folder: Path) -> None:
    assert asked("mstl-edge run sc", folder) == ["scans", "scans/"]
    assert asked("mstl-edge run scans/", folder) == ["scans/healthy", "scans/ill"]


@pytest.mark.parametrize("line", ["export ", "runs show ", "runs clean ", "train --resume ", "run --resume ru"])
def test_runs_are_offered_the_latest_first(folder: Path, line: str) -> None:
    assert asked(f"mstl-edge {line}", folder) == ["runs/later", "runs/earlier"]


def test_what_can_be_run_and_reported(folder: Path) -> None:
    assert asked("mstl-edge predict t", folder) == ["tiny.tflite"]
    assert asked("mstl-edge predict runs/l", folder)[0] == "runs/later"
    assert asked("mstl-edge report runs/e", folder)[0] == "runs/earlier"
    assert asked("mstl-edge recipes show ct-hemorrhage-s", folder) == ["ct-hemorrhage-single"]
    assert asked("mstl-edge recipes keys backbone.v", folder) == ["backbone.variant"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("run --set stages.target.ep", ["stages.target.epochs="]),
        ("run mine.toml --set stages.d", "drawn"),
        ("run ct-hemorrhage-single --set stages.", "target"),
        ("run --set quantize.w", ["quantize.weight_bits="]),
        ("train phantom --seed 3 --set stages.bridge.augment.v", ["stages.bridge.augment.views="]),
        ("run --set stages.target.optimizer=", ["stages.target.optimizer=adam", "stages.target.optimizer=sgd"]),
        ("run --set stages.target.augment.flip=t", ["stages.target.augment.flip=true"]),
        ("run --set stages.target.unfreeze_from=conv_dw_13", ["stages.target.unfreeze_from=conv_dw_13"]),
        ("run --set nothing", []),
    ],
)
def test_keys_of_set_are_those_of_the_recipe_on_the_line(folder: Path, line: str, offered: list[str] | str) -> None:
    found = asked(f"mstl-edge {line}", folder)
    if isinstance(offered, list):
        assert found == offered
    else:
        assert found
        assert {key.split(".")[1] for key in found} == {offered}


def test_without_a_readable_recipe_keys_have_the_stages_of_the_built_in_ones(folder: Path) -> None:
    found = asked("mstl-edge run scans --set stages.", folder)
    assert {key.split(".")[1] for key in found} == {"bridge", "target", "drawn"}


def test_bash_parts_words_at_the_equals_sign_and_gets_values_all_the_same(folder: Path) -> None:
    assert asked("mstl-edge run --set stages.target.optimizer =", folder) == ["adam", "sgd"]
    assert asked("mstl-edge run --data target =", folder) == []


def test_zsh_and_fish_are_told_what_a_key_means(folder: Path) -> None:
    zsh = "\n".join(asked("mstl-edge run --set backbone.va", folder, "zsh"))
    assert "backbone.variant=" in zsh
    assert "Size of the architecture" in zsh
    fish = asked("mstl-edge run --set backbone.va", folder, "fish", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert "backbone.variant=" in "\n".join(fish)


def test_commands_and_options_are_still_offered(folder: Path) -> None:
    assert asked("mstl-edge do", folder) == ["doctor"]
    assert asked("mstl-edge run --re", folder) == ["--resplit", "--resume"]


def context(**params: object) -> typer.Context:
    made = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    made.params.update(params)
    return made


def test_backbones_are_offered_with_their_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    class Varied:
        variants = ("0.35", "1.0")

    monkeypatch.setattr(backbones, "REGISTRY", {"mobilenet_v1": object(), "mobilenet_v2": Varied})
    names = [name for name, _ in completing.complete_backbone("mobilenet")]
    assert names == ["mobilenet_v1", "mobilenet_v2", "mobilenet_v2:0.35", "mobilenet_v2:1.0"]
    assert completing.complete_backbone("mobilenet_v2:1") == [("mobilenet_v2:1.0", "")]


@pytest.mark.parametrize(
    "params",
    [{"recipe": "scans"}, {"recipe": "dealt"}, {"source": "scans"}, {"recipe": "phantom", "data": ["target=scans"]}],
)
def test_classes_are_those_of_the_data_on_the_line(folder: Path, params: dict[str, object]) -> None:
    assert completing.complete_positive(context(**params), "") == [("healthy", ""), ("ill", "")]
    assert completing.complete_positive(context(**params), "i") == [("ill", "")]


def test_no_folder_on_the_line_offers_no_classes(folder: Path) -> None:
    assert completing.complete_positive(context(recipe="phantom"), "") == []


@pytest.mark.parametrize(
    "line", ["run ", "run --set stages.", "export ", "predict ", "recipes keys ", "report ", "train --resume "]
)
def test_an_offer_imports_nothing_heavy(folder: Path, line: str) -> None:
    code = (
        "import sys; sys.argv[0] = 'mstl-edge'; from mstl_edge_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'numpy', 'PIL', 'tensorflow'} & set(sys.modules); assert not heavy, heavy"
    )
    words = f"mstl-edge {line}"
    told = {"_MSTL_EDGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **told},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("shell", "written"), [("bash", ".bash_completions/mstl-edge.sh"), ("zsh", ".zfunc/_mstl-edge")]
)
def test_completion_can_be_shown_and_installed(tmp_path: Path, shell: str, written: str) -> None:
    told = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", PROGRAM]
    shown, installed = (
        subprocess.run([*command, option, shell], env=told, capture_output=True, text=True, check=False)
        for option in ("--show-completion", "--install-completion")
    )
    assert shown.returncode == installed.returncode == 0, (shown.stderr, installed.stderr)
    assert "_MSTL_EDGE_COMPLETE" in shown.stdout
    assert "_MSTL_EDGE_COMPLETE" in (tmp_path / written).read_text()
