"""`run`, `train`, `study` and `new` on images that no recipe knows, and one line for each way it cannot be done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge.planning import plan

SMALL = ("--size", "32", "--epochs", "1", "--set", "stages.target.augment.views=1", "--set", "quantize.epochs=1")


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(plan, "can_download", lambda found: False)


@pytest.fixture
def scans(draw_classes: Callable[..., Path], tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "scans", ("bleed", "clear"), seed=3)


def test_train_makes_a_recipe_and_keeps_why(mstl_edge, scans, tmp_path):
    ended = mstl_edge("train", "./scans", *SMALL, "--out", "run", "--json")
    assert ended.exit_code == 0, ended.stderr
    told = ended.stderr.splitlines()
    assert told[0].startswith("target: 20 images (bleed 10, clear 10), ")
    assert told[1] == (
        "chosen: mobilenet_v1 0.25 at 32 pixels, trained from conv_dw_4 up, 1 epoch, 1 view of each image, batch 16"
    )
    assert told[2].startswith("weights: bundled (no connection, and mobilenet_2_5_224_tf_no_top.h5 is not at ")
    assert told[3].startswith("positive: bleed (guessed: clear reads as the absence of a finding; another: --positive ")
    tree = json.loads(ended.stdout)
    assert (tree["recipe"], tree["stages"][-1]["positive"]) == ("scans", "bleed")
    kept = json.loads((tmp_path / "run" / "choices.json").read_text())
    assert kept["schema"] == "mstl-edge/choices/1"
    assert kept["facts"]["target"]["classes"] == {"bleed": 10, "clear": 10}
    assert {choice["key"] for choice in kept["choices"] if choice.get("asked")} == {
        "backbone.input_size", "stages.target.epochs", "stages.target.augment.views", "quantize.epochs",
    }  # fmt: skip


@pytest.mark.parametrize("words", [("--data", "./scans"), ("scans",), ("./scans/",)])
def test_data_may_be_named_in_several_ways(mstl_edge, scans, tmp_path, words):
    ended = (
        mstl_edge("new", words[-1], "--out", "a.toml") if words[0] != "--data" else mstl_edge("train", *words, *SMALL)
    )
    assert ended.exit_code == 0, ended.stderr
    assert "20 images (bleed 10, clear 10)" in ended.stderr


def test_new_writes_a_recipe_that_is_edited_and_trained(mstl_edge, scans, tmp_path):
    ended = mstl_edge("new", "./scans", *SMALL, "--name", "mine")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr.splitlines()[-2:] == ["recipe: mine.toml", "next: mstl-edge run mine.toml"]
    text = (tmp_path / "mine.toml").read_text()
    assert "# Why: guessed: clear reads as the absence of a finding; another: --positive clear" in text
    assert "# target: 20 images (bleed 10, clear 10)" in text
    again = mstl_edge("new", "./scans", "--name", "mine")
    assert again.exit_code == 1
    assert "Received: mine.toml. Choose another one: --out FILE" in again.stderr
    (tmp_path / "mine.toml").write_text(text.replace('positive = "bleed"', 'positive = "clear"'))
    trained = mstl_edge("train", "mine.toml", "--out", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["stages"][-1]["positive"] == "clear"
    assert not (tmp_path / "run" / "choices.json").exists()


@pytest.mark.slow
def test_a_study_takes_images_and_lends_its_reading_of_them_to_other_arms(mstl_edge, draw_classes, tmp_path):
    folder = draw_classes(tmp_path / "scans", ("bleed", "clear"), count=14, seed=3)
    shutil.copy(folder / "bleed" / "bleed00.png", folder / "clear" / "copy.png")
    (tmp_path / "other.toml").write_text(
        'name = "other"\n[backbone]\nalpha = 0.25\ninput_size = 32\nweights = "bundled"\n[[stages]]\nname = "target"\n'
        'data = "phantom:head-ct"\npositive = "hemorrhage"\nunfreeze_from = "conv_dw_13"\nepochs = 1\n'
    )
    ended = mstl_edge(
        "study", "./scans", *SMALL, "--set", "stages.target.split.limit_unreadable=0.2", "--arms", "single",
        "--arm", "other=other.toml", "--folds", "2", "--repeats", "1", "--schemes", "float32", "--out", "study", "--json",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.stderr
    tree = json.loads(ended.stdout)
    assert {arm["name"] for arm in tree["arms"]} == {"single", "other"}
    assert tree["n"] == 27
    assert "target: left out: 2 copies of pictures that lie under two labels" in ended.stderr


def _text(path: Path, content: str = "no image") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (None, ["./empty"], "expected images with labels. Received: none in "),
        ("notes", ["./empty"], "Lay the images out as one folder per class"),
        ("one", ["./one"], "expected at least two classes. Received: only "),
        ("three", ["./three"], "class"),
        (
            None,
            ["./scans", "--data", "target=./scans"],
            "expected the data once. Received: ./scans and --data target=./scans.",
        ),
        (None, ["./scans", "--data", "./scans"], "expected the data once."),
        (None, ["phantom", "./scans"], "For that recipe on these data: mstl-edge train phantom --data target=./scans"),
        (
            None,
            ["phantom", "--bridge", "./scans"],
            "Data of such a stage: mstl-edge train phantom --data bridge=./scans",
        ),
        (None, ["./scans/bleed"], "expected "),
        (None, ["./scans", "--positive", "blood"], "Received: blood. For example --set stages.target.positive=bleed"),
        (None, ["./scans", "--backbone", "mobilenet_v1:9"], "expected a variant of mobilenet_v1"),
        (None, ["./scans", "--patient", "("], "expected a regular expression for patients"),
        (None, ["./scans", "--name", "a/b"], "name"),
        (None, ["ct-hemorrhage-lite", "--data", "target=./scans"], "could not be downloaded"),
        (
            None,
            ["phantom", "--data", "target=./spaced", "--weights", "none", "--patient", "(.)"],
            "For example --set 'stages.target.positive=a bleed'",
        ),
    ],
)
def test_wrong_input_is_one_clear_line_and_leaves_nothing(
    mstl_edge, scans, draw_classes, tmp_path, monkeypatch, make, arguments, message
):
    from mstl_edge.planning import weights_at_hand

    monkeypatch.setattr(weights_at_hand, "can_download", lambda found: False)
    (tmp_path / "empty").mkdir()
    draw_classes(tmp_path / "spaced", ("a bleed", "clear"), seed=1)
    if make == "notes":
        _text(tmp_path / "empty" / "a" / "notes.txt")
    if make == "one":
        draw_classes(tmp_path / "one", ("only",), seed=1)
    if make == "three":
        draw_classes(tmp_path / "three", ("few", "many"), seed=1)
        for file in sorted((tmp_path / "three" / "few").iterdir())[2:]:
            file.unlink()
    before = sorted(tmp_path.iterdir())
    ended = mstl_edge("train", *arguments)
    assert ended.exit_code == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("mstl-edge: ")]
    assert message in line
    assert "Traceback" not in ended.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_names_with_spaces_quotes_and_other_scripts_are_trained_on(mstl_edge, draw_classes, tmp_path):
    draw_classes(tmp_path / 'it\'s "mine"', ("no finding", "Blutung (groß)"), seed=1)
    ended = mstl_edge("train", 'it\'s "mine"', *SMALL, "--out", "run", "--json")
    assert ended.exit_code == 0, ended.stderr
    stage = json.loads(ended.stdout)["stages"][-1]
    assert (stage["labels"], stage["positive"]) == (["Blutung (groß)", "no finding"], "Blutung (groß)")
    assert json.loads(ended.stdout)["recipe"] == "it-s-mine"


@pytest.mark.parametrize(("made_from_data", "then"), [(True, "passes"), (True, "is refused"), (False, "")])
def test_where_the_gate_refuses_a_run_on_own_images_tries_mixed_precision(
    made_from_data, then, tmp_path, monkeypatch, capsys
):
    from mstl_edge.errors import GateRefusedError
    from mstl_edge.recipe import load_recipe
    from mstl_edge.runs import create_run
    from mstl_edge.schemas.choices import Choices
    from mstl_edge.schemas.export import EXPORT, Export
    from mstl_edge.training.exporting import export
    from mstl_edge_cli.commands.run import _exported

    asked = []

    def refusing(run, options, **_):
        asked.append((options.kinds, options.allow_float))
        if len(asked) == 2 and then == "passes":
            return Export(schema=EXPORT.identifier, chosen="mixed")
        raise GateRefusedError("an int8 model", received="too many labels differ", tree={"schema": EXPORT.identifier})

    monkeypatch.setattr(export, "export_int8", refusing)
    choices = Choices(schema="mstl-edge/choices/1", facts={}, choices=()) if made_from_data else None
    run = create_run(load_recipe("phantom"), tmp_path / "run", versions={}, choices=choices)
    exported, refusal = _exported(run, 1)
    assert asked[0] == (("ptq", "qat"), False)
    assert asked[1:] == ([(("ptq", "qat", "mixed"), True)] if made_from_data else [])
    assert (refusal is None) == (then == "passes")
    assert exported.chosen == ("mixed" if then == "passes" else None)
    assert ("trying mixed precision" in capsys.readouterr().err) == made_from_data


def test_completion_offers_backbones_and_the_classes_of_the_data_on_the_line(scans, tmp_path, monkeypatch):
    import os
    import subprocess
    import sys

    def offered(line: str) -> list[str]:
        words = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_MSTL_EDGE_COMPLETE": "complete_bash",
        }
        program = "import sys; sys.argv[0] = 'mstl-edge'; from mstl_edge_cli.__main__ import main; main()"
        asked = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **words}
        )
        return asked.stdout.split()

    assert "mobilenet_v1:0.5" in offered("mstl-edge run ./scans --backbone mob")
    assert offered("mstl-edge run ./scans --positive ") == ["bleed", "clear"]
    assert offered("mstl-edge new ./scans --positive c") == ["clear"]
