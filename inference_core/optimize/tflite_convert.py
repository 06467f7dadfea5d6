"""Asks the converter's environment for a TFLite file: ONNX in, float, fp16 or int8 out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.tflite_child import MISSING, VERSIONS
from inference_core.optimize.tflite_jail import Ending, run_jailed
from inference_core.runtimes.base import Array

INTERPRETER_VARIABLE = "LINEWARDEN_LITERT_PYTHON"
"""Path of the Python of the converter's environment; not set, it is this one."""

_CHILD = Path(__file__).with_name("tflite_child.py")
_TIMEOUT_S = 1800
_ASK_TIMEOUT_S = 60
HOW_TO = (
    "make an environment of Python 3.12 or newer with pip install 'linewarden[litert-build]', "
    f"and give the path of its Python in {INTERPRETER_VARIABLE}"
)


def input_name(number: int) -> str:
    """What the graph's input is called while it is converted."""
    return f"linewarden_in_{number}"


def output_name(number: int) -> str:
    """What the graph's output is called while it is converted."""
    return f"linewarden_out_{number}"


def convert_onnx(model: onnx.ModelProto, folder: Path) -> Path:
    """The float TFLite file of ``model``; its signature names what ``input_name`` says.

    Raises ``ConversionFailed``, and ``RuntimeUnavailable`` where the converter is not installed.
    """
    onnx.save(_rename(model), str(folder / "model.onnx"))
    _run("convert", folder)
    return folder / "float.tflite"


def halve(folder: Path) -> Path:
    """``folder``'s float file with weights in fp16."""
    _run("fp16", folder)
    return folder / "fp16.tflite"


def quantise(folder: Path, inputs: Iterable[Array]) -> Path:
    """``folder``'s float file in int8 throughout; ``inputs`` as that file takes them."""
    pictures = folder / "calibration"
    pictures.mkdir()
    for number, array in enumerate(inputs):
        np.save(pictures / f"{number:06}.npy", array, allow_pickle=False)
    _run("int8", folder)
    return folder / "int8.tflite"


def read_versions(folder: Path) -> dict[str, str]:
    """What the converter's environment was, by distribution."""
    versions: dict[str, str] = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    return versions


def read_converter() -> dict[str, str]:
    """Versions of the converter's environment before it converts; empty where it is not there."""
    command = [find_interpreter(), "-I", str(_CHILD), VERSIONS]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        return {}
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def find_interpreter() -> str:
    """The Python that converts. Raises ``RuntimeUnavailable``."""
    named = os.environ.get(INTERPRETER_VARIABLE)
    found = shutil.which(named or sys.executable)
    if found is None:
        raise RuntimeUnavailable(f"{INTERPRETER_VARIABLE} names {named}, which is no program")
    return str(Path(found).absolute())  # not resolved: a link's place tells Python its environment


def _run(job: str, folder: Path) -> None:
    python = find_interpreter()
    try:
        ending = run_jailed([python, "-I", str(_CHILD), job, str(folder)], folder, _TIMEOUT_S)
    except TimeoutError as error:
        raise ConversionFailed(f"the converter was stopped: {error}") from error
    if ending.code == MISSING:
        raise RuntimeUnavailable(f"{python} cannot build for LiteRT, {ending.last_words}; {HOW_TO}")
    if ending.code != 0:
        raise ConversionFailed(_explain(job, ending))


def _explain(job: str, ending: Ending) -> str:
    how = f"signal {-ending.code}" if ending.code < 0 else ending.last_words
    doing = {"convert": "turn the graph into TFLite", "int8": "quantise the graph"}
    return f"LiteRT's tools cannot {doing.get(job, 'halve the weights')}: {how}"


def _rename(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with names that no converter has to change: a ":" becomes "__" in TFLite."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    initial = {tensor.name for tensor in copy.graph.initializer}
    inputs = [value.name for value in copy.graph.input if value.name not in initial]
    names = {name: input_name(number) for number, name in enumerate(inputs)}
    names |= {value.name: output_name(number) for number, value in enumerate(copy.graph.output)}
    for value in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in copy.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return copy
