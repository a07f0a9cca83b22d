from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mstl_edge.runtime.choice as choice_module
from mstl_edge.errors import ArtifactError, MissingExtraError, MstlEdgeError
from mstl_edge.runtime import CHOICES, TensorSpec, choose_runtime, install_command, load_runtime, to_input, to_real

INT8 = TensorSpec((1, 2, 2, 3), np.dtype(np.int8), 1 / 128, 0)


def _installed(monkeypatch: pytest.MonkeyPatch, *packages: str, numpy: str = "1.26.4") -> None:
    monkeypatch.setattr(choice_module.importlib.util, "find_spec", lambda name: object() if name in packages else None)
    monkeypatch.setattr(np, "__version__", numpy)


@pytest.mark.parametrize("runtime", ["auto", "litert", "reference"])
@pytest.mark.parametrize("model", ["tiny_int8", "tiny_float32", "three_classes"])
def test_every_runtime_answers_in_the_models_own_numbers(models: Path, model: str, runtime: str) -> None:
    loaded = load_runtime(models / f"{model}.tflite", runtime=runtime, threads=2)  # type: ignore[arg-type]
    pixels = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    raw = loaded.invoke(to_input(pixels, loaded.input))
    assert raw.dtype == loaded.output.dtype
    assert raw.shape == loaded.output.shape
    assert to_real(raw, loaded.output).sum() == pytest.approx(1, abs=0.01)
    assert loaded.threads == 2
    assert re.fullmatch(r"LiteRT (reference kernels )?\d+\.\d+\.\d+.*", loaded.name)
    assert loaded.why


def test_a_batch_is_answered_image_by_image(models: Path) -> None:
    runtime = load_runtime(models / "tiny_int8.tflite")
    batch = to_input(np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8), runtime.input)
    together = runtime.invoke(batch)
    assert together.shape == (5, 2)
    np.testing.assert_array_equal(together, np.concatenate([runtime.invoke(row[None]) for row in batch]))
    assert runtime.invoke(batch[:0]).shape == (0, 2)


def test_a_batch_of_another_shape_or_dtype_is_one_clear_line(models: Path) -> None:
    runtime = load_runtime(models / "tiny_int8.tflite")
    for batch in (np.zeros((1, 16, 16, 3), np.int8), np.zeros((1, 32, 32, 3), np.float32)):
        with pytest.raises(MstlEdgeError, match=r"expected a batch \[1, 32, 32, 3\] of int8"):
            runtime.invoke(batch)


def test_an_int8_input_is_the_pixel_minus_128() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1, 1)
    expected = pixels.astype(np.int16) - 128
    fast = to_input(pixels, INT8)
    assert fast.dtype == np.int8
    np.testing.assert_array_equal(fast, expected)


def test_any_other_scale_is_rounded_and_clipped() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    unsigned = TensorSpec((1,), np.dtype(np.uint8), 1 / 128, 128)
    np.testing.assert_array_equal(to_input(pixels, unsigned), pixels)
    coarse = to_input(pixels, TensorSpec((1,), np.dtype(np.int8), 1 / 64, 3))
    np.testing.assert_array_equal(coarse, np.rint((pixels.astype(float) - 128) / 2) + 3)
    fine = to_input(pixels, TensorSpec((1,), np.dtype(np.int8), 1 / 512, 0))
    assert (fine.min(), fine.max()) == (-128, 127)


def test_a_float_input_is_normalized_and_an_int8_output_is_read_back() -> None:
    spec = TensorSpec((1,), np.dtype(np.float32), 0.0, 0)
    np.testing.assert_array_equal(to_input(np.array([0, 128, 255], np.uint8), spec), [-1, 0, 127 / 128])
    output = TensorSpec((1, 2), np.dtype(np.int8), 1 / 256, -128)
    np.testing.assert_array_equal(to_real(np.array([-128, 127], np.int8), output), np.array([0, 255 / 256], np.float32))


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_zero_threads_are_one_clear_line(models: Path, threads: int) -> None:
    with pytest.raises(MstlEdgeError, match=rf"expected --threads from 1 to 256\. Received: {threads}\."):
        load_runtime(models / "tiny_int8.tflite", threads=threads)


def test_an_unknown_runtime_is_one_clear_line() -> None:
    with pytest.raises(MstlEdgeError, match=r"Received: onnx"):
        choose_runtime("onnx")  # type: ignore[arg-type]


def test_auto_takes_litert_first_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "ai_edge_litert", "tflite_runtime")
    assert choose_runtime("auto") == ("litert", "LiteRT is installed; its XNNPACK kernels run int8")
    _installed(monkeypatch, "tflite_runtime")
    kind, why = choose_runtime("auto")
    assert kind == "tflite-runtime"
    assert "LiteRT is not installed" in why


@pytest.mark.parametrize("choice", CHOICES)
def test_without_a_runtime_the_command_for_this_platform_is_said(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch)
    with pytest.raises(MissingExtraError) as caught:
        choose_runtime(choice)  # type: ignore[arg-type]
    assert "pip install" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_32_bit_pi_is_sent_to_tflite_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")
    assert "'tflite-runtime==2.14.0' 'numpy<2'" in install_command()
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert install_command() == "pip install ai-edge-litert"
    # Raspberry Pi OS of 32 bit reports the 64-bit kernel's machine.
    monkeypatch.setattr(choice_module.struct, "calcsize", lambda form: 4)
    assert "tflite-runtime" in install_command()


@pytest.mark.parametrize("choice", ["auto", "tflite-runtime"])
def test_tflite_runtime_beside_numpy_2_is_explained_before_it_fails(
    choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(monkeypatch, "tflite_runtime", numpy="2.4.6")
    with pytest.raises(MissingExtraError) as caught:
        choose_runtime(choice)  # type: ignore[arg-type]
    assert "NumPy below 2" in str(caught.value)
    assert "Received: NumPy 2.4.6" in str(caught.value)
    assert "pip install 'tflite-runtime==2.14.0' 'numpy<2'" in str(caught.value)


def _break_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)  # importing it is now an ImportError


@pytest.mark.parametrize("choice", ["auto", "litert", "reference"])
@pytest.mark.parametrize("numpy", ["1.26.4", "2.4.6"])
def test_a_litert_that_does_not_import_is_one_clear_line(
    choice: str, numpy: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["tflite_runtime"] if choice != "auto" or numpy > "2" else []
    _installed(monkeypatch, "ai_edge_litert", *others, numpy=numpy)
    _break_litert(monkeypatch)
    with pytest.raises(MissingExtraError) as caught:
        load_runtime(models / "tiny_int8.tflite", runtime=choice)  # type: ignore[arg-type]
    assert "that can be imported. Received: import of ai_edge_litert.interpreter halted" in str(caught.value)
    assert "pip install --force-reinstall ai-edge-litert" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_auto_goes_on_with_tflite_runtime_where_litert_does_not_import(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ai_edge_litert.interpreter as stand_in  # the two share their Python interface

    _installed(monkeypatch, "ai_edge_litert", "tflite_runtime")
    _break_litert(monkeypatch)
    monkeypatch.setitem(sys.modules, "tflite_runtime", stand_in)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", stand_in)
    loaded = load_runtime(models / "tiny_int8.tflite")
    assert loaded.kind == "tflite-runtime"
    assert loaded.why.startswith("LiteRT is installed but does not import (import of ")


def test_a_runtime_from_a_distribution_of_another_name_runs_without_a_version(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    assert load_runtime(models / "tiny_int8.tflite").name == "LiteRT of unknown version"


def test_a_damaged_model_never_reaches_an_interpreter(
    exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(exported("tiny_int8").read_bytes())
    content[700] ^= 4
    (tmp_path / "m.tflite").write_bytes(content)
    monkeypatch.setattr("mstl_edge.runtime.loading.InterpreterRuntime", None)
    with pytest.raises(ArtifactError, match=r"m\.tflite"):
        load_runtime(tmp_path / "m.tflite")


def test_a_model_that_the_interpreter_refuses_is_one_clear_line(models: Path) -> None:
    content = (models / "three_classes.tflite").read_bytes()
    head = content.index(b"serving_default_image")
    messages = []
    for place in range(200, head, 4):
        changed = bytearray(content)
        changed[place] ^= 0x01
        try:
            load_runtime(bytes(changed))
        except ArtifactError as error:
            messages.append(str(error))
    assert any("a model that LiteRT" in message for message in messages)
    assert not any("\n" in message for message in messages)
