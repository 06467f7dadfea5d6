"""ONNX Runtime on the CPU: the reference that every other runtime is held against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from inference_core.contract.build import TensorFacts
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions, check_tensors

_DTYPES = {"float": "float32", "double": "float64"}
_ERRORS_ONLY = 3


class OnnxSession:
    """An ``InferenceSession`` that answers with the manifest's names."""

    def __init__(self, session: ort.InferenceSession, manifest: ModelManifest) -> None:
        self._session: ort.InferenceSession | None = session
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self._names = [spec.name for spec in manifest.outputs]
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        if self._session is None:
            raise InferenceFailed("the session is closed")
        try:
            return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))
        except Exception as error:  # the binding's exceptions share no public base
            raise InferenceFailed(f"ONNX Runtime: {error}") from error

    def close(self) -> None:
        """Gives the memory back."""
        self._session = None


class OnnxRuntime:
    """ONNX Runtime with its CPU provider."""

    name = RuntimeName.ONNXRUNTIME

    def version(self) -> str:
        """The version of the onnxruntime package."""
        return str(ort.__version__)

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> OnnxSession:
        """Loads an ONNX file."""
        try:
            session = ort.InferenceSession(
                str(path), _configure(options), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the binding's exceptions share no public base
            raise LoadFailed(f"ONNX Runtime does not load {path.name}: {error}") from error
        check_tensors("input", manifest.inputs, _facts(session.get_inputs()))
        check_tensors("output", manifest.outputs, _facts(session.get_outputs()))
        return OnnxSession(session, manifest)


def _configure(options: SessionOptions) -> ort.SessionOptions:
    configured = ort.SessionOptions()
    configured.intra_op_num_threads = options.threads
    configured.inter_op_num_threads = 1
    configured.log_severity_level = _ERRORS_ONLY
    # Spinning threads of one session starve the other sessions of the process: 1.5× slower.
    configured.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return configured


def _facts(nodes: list[ort.NodeArg]) -> dict[str, TensorFacts]:
    return {
        node.name: TensorFacts(
            name=node.name,
            shape=tuple(side if isinstance(side, int) else None for side in node.shape),
            dtype=_dtype(node.type),
        )
        for node in nodes
    }


def _dtype(kind: str) -> str:
    """``tensor(float)`` to ``float32``."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(inner, inner)


RUNTIME = OnnxRuntime()
