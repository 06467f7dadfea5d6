"""What the tests of TensorRT share: sources to build from, and a driver that says what it is told.

The engines are real ones of TensorRT for RTX, which builds without a GPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import onnx
import pytest

from inference_core.contract.build import TensorRtProfile
from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.tensorrt import BUILDER
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from tests.core.build_jobs import write_pictures
from tests.core.onnx_models import brightness_manifest, brightness_model, save

pytest.importorskip("tensorrt_rtx_bindings", reason="NVIDIA has no wheel for this machine")

CALIBRATION = "c" * 64

_DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return INIT; }
int cuGetErrorName(int code, const char **name) { *name = "CUDA_ERROR_NO_DEVICE"; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
  return 0;
}
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Orin", size); return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
"""


def make_source(folder: Path, model: onnx.ModelProto | None = None, **profile: Any) -> Source:
    """The brightness model, folded; by default for RTX cards of compute capability 8.6."""
    path = save(model or brightness_model(), folder / "model.onnx")
    manifest, folded = brightness_manifest(), folder / "folded.onnx"
    fold(path, manifest, folded)
    fields = {"flavour": "rtx", "compute_capabilities": ["8.6"], **profile}
    return Source(
        folded=folded,
        manifest=manifest,
        calibration=Feed(read_dataset(write_pictures(folder / "calibration", seed=1)), manifest),
        architecture="x86_64",
        model=path,
        calibration_sha256=CALIBRATION,
        tensorrt=TensorRtProfile.model_validate(fields),
    )


def build(source: Source, folder: Path, precision: Precision = Precision.FP32) -> Path:
    path = folder / f"{precision}.engine"
    BUILDER.build(source, precision, path)
    return path


def make_driver(folder: Path, *, init: int = 0) -> Path:
    """A ``libcuda.so.1`` that tells of an Orin, or refuses to start with code ``init``."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    source, library = folder / "driver.c", folder / "libcuda.so.1"
    source.write_text(_DRIVER)
    command = [compiler, "-shared", "-fPIC", f"-DINIT={init}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


def with_driver(library: Path) -> dict[str, str]:
    """An environment in which a child finds this driver before any other."""
    return {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
