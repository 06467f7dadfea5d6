"""OpenVINO on the CPU: IR in one file, or ONNX directly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile

import numpy as np
import openvino as ov

from inference_core.contract.build import TensorFacts
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions, check_tensors

XML_NAME = "model.xml"
WEIGHTS_NAME = "model.bin"
"""An artifact is one file: a ZIP of these two, stored and not compressed."""

_MAX_XML_BYTES = 64 * 1024 * 1024


class OpenVinoSession:
    """A compiled model with one inference request."""

    def __init__(
        self, compiled: ov.CompiledModel, manifest: ModelManifest, metadata: dict[str, str]
    ) -> None:
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata = metadata

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        if self._request is None:
            raise InferenceFailed("the session is closed")
        try:
            self._request.infer(dict(inputs), share_inputs=True)
            # The request writes into the same memory next time, so the caller gets copies.
            return {
                spec.name: np.array(self._request.get_tensor(spec.name).data)
                for spec in self.outputs
            }
        except Exception as error:  # the binding raises bare RuntimeError and TypeError
            raise InferenceFailed(f"OpenVINO: {error}") from error

    def close(self) -> None:
        """Gives the memory back."""
        self._request = None


class OpenVino:
    """OpenVINO's CPU plugin in fp32 arithmetic; what is quantised in the graph stays so."""

    name = RuntimeName.OPENVINO

    def version(self) -> str:
        """The release, without the build number behind it."""
        return str(ov.__version__).split("-", maxsplit=1)[0]

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> OpenVinoSession:
        """Loads a ZIP of IR, or an ONNX file."""
        core = ov.Core()
        try:
            model = _read(core, path)
            check_tensors("input", manifest.inputs, _facts(model.inputs))
            model.reshape({spec.name: list(spec.fixed_shape) for spec in manifest.inputs})
            check_tensors("output", manifest.outputs, _facts(model.outputs))
            compiled = core.compile_model(model, "CPU", _configure(options))
        except (RuntimeError, ValueError, BadZipFile, OSError) as error:
            raise LoadFailed(f"OpenVINO does not load {path.name}: {error}") from error
        return OpenVinoSession(compiled, manifest, _read_metadata(model))


def _configure(options: SessionOptions) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": 1,
        # The default is bf16 where the CPU has it: then a certificate would not travel.
        "INFERENCE_PRECISION_HINT": "f32",
    }


def _read(core: ov.Core, path: Path) -> ov.Model:
    if not is_zipfile(path):
        return core.read_model(str(path))
    with ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if set(members) != {XML_NAME, WEIGHTS_NAME}:
            raise LoadFailed(
                f"{path.name} holds {sorted(members)}, not {XML_NAME} and {WEIGHTS_NAME}"
            )
        _check_member(members[XML_NAME], _MAX_XML_BYTES)
        _check_member(members[WEIGHTS_NAME], MAX_ARTIFACT_BYTES)
        xml, weights = archive.read(XML_NAME), archive.read(WEIGHTS_NAME)
    return core.read_model(model=xml, weights=weights)


def _check_member(member: ZipInfo, limit_bytes: int) -> None:
    """A stored member cannot grow when it is read, so its size is known beforehand."""
    if member.compress_type != ZIP_STORED or member.file_size != member.compress_size:
        raise LoadFailed(f"{member.filename} is compressed; it must be stored as it is")
    if member.file_size > limit_bytes:
        raise LoadFailed(f"{member.filename} is larger than {limit_bytes} bytes")


def _facts(ports: list[Any]) -> dict[str, TensorFacts]:
    return {
        name: TensorFacts(
            name=name,
            shape=tuple(
                side.get_length() if side.is_static else None for side in port.get_partial_shape()
            ),
            dtype=str(np.dtype(port.get_element_type().to_dtype())),
        )
        for port in ports
        for name in port.get_names()
    }


def _read_metadata(model: ov.Model) -> dict[str, str]:
    """What the ONNX reader keeps of the metadata; IR has none."""
    if not model.has_rt_info(["framework"]):
        return {}
    return {str(key): str(value) for key, value in model.get_rt_info(["framework"]).value.items()}


RUNTIME = OpenVino()
