"""Which runtimes there are, and which of them this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from inference_core.contract.words import RuntimeName
from inference_core.errors import RuntimeUnavailable
from inference_core.runtimes.base import Runtime

_EXTRAS: dict[RuntimeName, str] = {
    RuntimeName.ONNXRUNTIME: "onnx",
    RuntimeName.OPENVINO: "openvino",
    RuntimeName.OPENCV_DNN: "opencv",
    RuntimeName.LITERT: "litert",
    RuntimeName.TENSORRT: "tensorrt",
}
"""A runtime is one file of this folder, named like it, and the extra that installs it."""


@dataclass(frozen=True)
class Availability:
    """Exactly one of the two: the library's version, or why it cannot be used."""

    version: str | None = None
    reason: str | None = None


def get_runtime(name: RuntimeName) -> Runtime:
    """The runtime called ``name``.

    Raises ``RuntimeUnavailable``, which says what to install.
    """
    try:
        module = import_module(f"inference_core.runtimes.{name}")
    except ImportError as error:
        raise RuntimeUnavailable(
            f"the runtime {name} cannot be imported ({error}); "
            f"install it with: pip install 'linewarden[{_EXTRAS[name]}]'"
        ) from error
    runtime: Runtime = module.RUNTIME
    return runtime


def available() -> dict[RuntimeName, Availability]:
    """Every real runtime with its version, or the reason why it cannot be used here."""
    return {name: _probe(name) for name in _EXTRAS}


def _probe(name: RuntimeName) -> Availability:
    try:
        return Availability(version=get_runtime(name).version())
    except RuntimeUnavailable as error:
        return Availability(reason=str(error))
