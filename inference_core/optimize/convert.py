"""Which file builds for which runtime."""

from __future__ import annotations

from importlib import import_module

from inference_core.contract.words import RuntimeName
from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.builders.base import Builder

_MODULES = {
    name: f"inference_core.optimize.builders.{name}"
    for name in (
        RuntimeName.ONNXRUNTIME,
        RuntimeName.OPENVINO,
        RuntimeName.OPENCV_DNN,
        RuntimeName.TENSORRT,
        RuntimeName.LITERT,
    )
}


def get_builder(name: RuntimeName) -> Builder:
    """The builder for a runtime; ``RuntimeUnavailable`` says what is missing."""
    if name not in _MODULES:
        raise RuntimeUnavailable(f"this version of Linewarden builds nothing for {name}")
    try:
        builder: Builder = import_module(_MODULES[name]).BUILDER
    except ImportError as error:
        raise RuntimeUnavailable(
            f"building for {name} is not possible here ({error}); "
            "install it with: pip install 'linewarden[build]'"
        ) from error
    return builder
