"""Calls Google's compiler for the Edge TPU where it is installed; no registry ships it."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.tflite_jail import run_jailed
from inference_core.runtimes.litert_probe import EDGE_TPU_OPERATOR

EDGE_TPU = "edgetpu"
"""The accelerator's name in a profile."""

COMPILER = "edgetpu_compiler"

_TIMEOUT_S = 600
_COUNTS = re.compile(r"Number of operations that will run on (Edge TPU|CPU): *([0-9]+)")


def find_compiler() -> str:
    """Path of the compiler. Raises ``RuntimeUnavailable``."""
    found = shutil.which(COMPILER)
    if found is None:
        raise RuntimeUnavailable(
            f"a profile with the accelerator {EDGE_TPU!r} needs {COMPILER}, which is not on the "
            "PATH here: install the Debian package edgetpu-compiler on an x86-64 build worker, as "
            f"docs/hardware/coral.md says (this machine is {platform.machine()})"
        )
    return str(Path(found).absolute())


def read_compiler_version() -> dict[str, str]:
    """The compiler by its digest: it is one file, and its word on its version is not exact.

    Empty where it is not installed.
    """
    found = shutil.which(COMPILER)
    if found is None:
        return {}
    return {COMPILER: hashlib.sha256(Path(found).read_bytes()).hexdigest()}


def compile_for_edge_tpu(model: Path, tell: Callable[[str], None]) -> Path:
    """The compiled file beside ``model``, a full-int8 TFLite file in a private folder.

    Raises ``ConversionFailed``, also where the compiler leaves everything to the CPU.
    """
    arguments = [find_compiler(), "--out_dir", str(model.parent), "--show_operations", str(model)]
    try:
        ending = run_jailed(arguments, model.parent, _TIMEOUT_S)
    except TimeoutError as error:
        raise ConversionFailed(f"{COMPILER} was stopped: {error}") from error
    compiled = model.with_name(f"{model.stem}_edgetpu.tflite")
    if ending.code != 0 or not compiled.is_file():
        raise ConversionFailed(f"{COMPILER} gave no file: {ending.last_words}")
    if EDGE_TPU_OPERATOR.encode() not in compiled.read_bytes():
        raise ConversionFailed(f"{COMPILER} found no operation that the Edge TPU can compute")
    counts = dict(_COUNTS.findall(ending.words))
    tell(
        f"the Edge TPU takes {counts.get('Edge TPU', 'some')} operations, "
        f"the CPU keeps {counts.get('CPU', 'the others')}"
    )
    return compiled
