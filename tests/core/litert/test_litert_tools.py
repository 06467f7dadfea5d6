"""What the build for LiteRT and the Edge TPU does where its tools are absent, stuck or odd."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.contract.build import ProfileSpec
from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.litert import BUILDER
from inference_core.optimize.edgetpu import COMPILER, compile_for_edge_tpu
from inference_core.optimize.feed import Feed
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.tflite_convert import INTERPRETER_VARIABLE, convert_onnx
from inference_core.optimize.tflite_jail import run_jailed
from inference_core.optimize.tflite_layout import list_orders, prove_layout
from inference_core.optimize.tflite_seal import seal
from inference_core.runtimes.litert_notes import Notes, TensorNote, read_notes
from tests.core.build_jobs import make_profile, write_pictures
from tests.core.litert.tflite_models import TO_FILE, doubler, edge_tpu_model, noted, unpack, write
from tests.core.onnx_models import brightness_manifest, brightness_model, save
from tests.core.test_runtimes import doubler as onnx_doubler


def make_source(folder: Path, accelerator: str | None) -> Source:
    manifest = brightness_manifest()
    pictures = read_dataset(write_pictures(folder / "calibration", seed=1, count=2))
    return Source(
        save(brightness_model(), folder / "model.onnx"),
        manifest,
        Feed(pictures, manifest),
        "x86_64",
        accelerator=accelerator,
    )


def put_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A program with the compiler's name and arguments; Google's cannot be had here."""
    programs = folder / "programs"
    programs.mkdir()
    program = programs / COMPILER
    body = programs / "body.py"
    body.write_text(f"import sys, pathlib, shutil\n{script}\n")
    # By a shell, since a first line cannot hold a path with a space in it.
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{body}' \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    private = folder / "private"
    private.mkdir()
    return write(private / "model.tflite", noted(doubler()))


def test_a_profile_names_its_accelerator() -> None:
    fields = {**make_profile("litert", "int8"), "accelerator": "edgetpu"}
    assert ProfileSpec.model_validate(fields).accelerator == "edgetpu"
    assert ProfileSpec.model_validate(make_profile()).accelerator is None


def test_without_the_converter_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setenv(INTERPRETER_VARIABLE, str(bare / "bin" / "python"))
    with pytest.raises(
        RuntimeUnavailable,
        match=rf"lacks onnx2tf and ai-edge-quantizer; .*litert-build.*{INTERPRETER_VARIABLE}",
    ):
        convert_onnx(brightness_model(), tmp_path)


def test_an_interpreter_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INTERPRETER_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(RuntimeUnavailable, match="gone, which is no program"):
        convert_onnx(brightness_model(), tmp_path)


def test_a_tool_that_hangs_is_ended(tmp_path: Path) -> None:
    sleeper = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(TimeoutError, match="took more than 3 s"):
        run_jailed([sys.executable, "-c", sleeper], tmp_path, 3)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_tool_sees_no_secrets_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    ending = run_jailed(
        [sys.executable, "-c", "import os; print(sorted(os.environ), os.getcwd())"], tmp_path, 60
    )
    assert ending.code == 0
    assert "DATABASE_PASSWORD" not in ending.words
    assert str(tmp_path.resolve()) in ending.words


def test_without_the_compiler_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeUnavailable, match=r"edgetpu_compiler.*install the Debian package"):
        BUILDER.build(make_source(tmp_path, "edgetpu"), Precision.INT8, tmp_path / "out")


@pytest.mark.parametrize(
    ("accelerator", "precision", "sentence"),
    [
        ("edgetpu", "fp32", "computes in int8 only, not in fp32"),
        ("hailo8", "int8", "knows the accelerator 'edgetpu', not 'hailo8'"),
    ],
)
def test_what_the_chip_cannot_do_is_refused_before_the_work(
    tmp_path: Path, accelerator: str, precision: str, sentence: str
) -> None:
    with pytest.raises(ConversionFailed, match=sentence):
        BUILDER.build(make_source(tmp_path, accelerator), Precision(precision), tmp_path / "out")


def test_the_compilers_file_is_taken_and_its_counts_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = write(tmp_path / "compiled", edge_tpu_model())
    model = put_compiler(
        tmp_path,
        monkeypatch,
        "assert sys.argv[1] == '--out_dir' and sys.argv[3] == '--show_operations'\n"
        "print('Number of operations that will run on Edge TPU: 7')\n"
        "print('Number of operations that will run on CPU: 2')\n"
        f"shutil.copy({str(compiled)!r}, pathlib.Path(sys.argv[2]) / 'model_edgetpu.tflite')",
    )
    told: list[str] = []
    path = compile_for_edge_tpu(model, told.append)
    assert path.read_bytes() == compiled.read_bytes()
    assert told == ["the Edge TPU takes 7 operations, the CPU keeps 2"]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("print('Invalid model: /in/x'); sys.exit(1)", "gave no file: Invalid model"),
        ("print('done')", "gave no file: done"),
        (
            "shutil.copy(sys.argv[4], sys.argv[4].replace('.tflite', '_edgetpu.tflite'))",
            "found no operation that the Edge TPU can compute",
        ),
    ],
)
def test_a_compiler_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    model = put_compiler(tmp_path, monkeypatch, script)
    with pytest.raises(ConversionFailed, match=sentence):
        compile_for_edge_tpu(model, print)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms())
def test_every_order_of_axes_is_tried_once(shape: list[int], random: object) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)  # type: ignore[attr-defined]
    values = np.arange(np.prod(shape)).reshape(shape)
    wanted = values.transpose(order)
    turned = [values.transpose(guess) for guess in list_orders(shape, wanted.shape)]
    assert any(np.array_equal(guess, wanted) for guess in turned)
    assert len({guess.tobytes() for guess in turned}) == len(turned)
    every = {values.transpose(p).tobytes() for p in permutations(order)
             if values.transpose(p).shape == wanted.shape}  # fmt: skip
    assert {guess.tobytes() for guess in turned} == every


def test_the_layout_is_proven_by_what_the_file_answers(tmp_path: Path) -> None:
    names = ("linewarden_in_0", "linewarden_out_0")
    file = write(tmp_path / "m", noted(doubler((1, 8, 6, 3), names=names), *names))
    sample = {"image": np.random.default_rng(1).random((1, 3, 8, 6), dtype=np.float32)}
    layout = prove_layout(onnx_doubler(tmp_path / "o", (1, 3, 8, 6)), file, sample)
    assert layout == (
        (TensorNote(name="image", axes=TO_FILE),),
        (TensorNote(name="logits", axes=TO_FILE),),
    )


def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    names = ("linewarden_in_0", "linewarden_out_0")
    file = write(tmp_path / "m", noted(doubler((1, 8, 6, 3), names=names), *names))
    model = onnx.load(str(onnx_doubler(tmp_path / "o", (1, 3, 8, 6))))
    model.graph.node[0].op_type = "Mul"
    sample = {"image": np.random.default_rng(1).random((1, 3, 8, 6), dtype=np.float32)}
    with pytest.raises(ConversionFailed, match=r"'logits' differs by .*% of its largest value"):
        prove_layout(save(model, tmp_path / "o"), file, sample)


def test_sealing_keeps_the_graph_and_says_it_once(tmp_path: Path) -> None:
    notes = Notes(
        inputs=(TensorNote(name="a", axes=TO_FILE),), outputs=(TensorNote(name="b", axes=TO_FILE),)
    )
    twice = seal(seal(noted(doubler()), notes), notes)
    assert read_notes(twice) == notes
    assert [entry.name for entry in unpack(twice).metadata] == [b"linewarden"]
    with pytest.raises(ConversionFailed, match="1 outputs, not 0"):
        seal(twice, notes.model_copy(update={"outputs": ()}))
