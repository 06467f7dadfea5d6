"""OpenVINO on the CPU, or on another device of its own: IR in one file, or ONNX directly."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import openvino as ov

from inference_core.archive import require_members, unpack
from inference_core.contract.build import TensorFacts
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from inference_core.contract.words import ComputeDevice, RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed, RuntimeUnavailable
from inference_core.runtimes.base import (
    DEFAULT_OPTIONS,
    Array,
    SessionOptions,
    Ticket,
    check_tensors,
)
from inference_core.runtimes.reuse import OutputPool

if not hasattr(ov, "Core"):
    raise ImportError("it is older than 2023.1, whose interface is needed")

XML_NAME = "model.xml"
WEIGHTS_NAME = "model.bin"
"""An artifact is one file: a ZIP of these two, stored and not compressed."""

_MAX_XML_BYTES = 64 * 1024 * 1024


class OpenVinoSession:
    """A compiled model with an inference request for each input that may be under way.

    ``run`` and ``submit`` share the requests. They are handed out in turn, oldest first.
    """

    def __init__(
        self,
        compiled: ov.CompiledModel,
        manifest: ModelManifest,
        metadata: dict[str, str],
        in_flight: int,
    ) -> None:
        self._compiled: ov.CompiledModel | None = compiled
        self._idle = deque(compiled.create_infer_request() for _ in range(in_flight))
        self._pool = OutputPool()
        self.max_in_flight = in_flight
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata = metadata

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        request = self._take()
        try:
            request.infer(dict(inputs), share_inputs=True, share_outputs=True)
            return self._read(request)
        except Exception as error:  # the binding raises bare RuntimeError and TypeError
            raise InferenceFailed(f"OpenVINO: {error}") from error
        finally:
            self._idle.append(request)

    def submit(self, inputs: Mapping[str, Array]) -> Ticket:
        """Starts an inference. Raises ``InferenceFailed`` where all requests are under way."""
        request = self._take()
        try:
            request.start_async(dict(inputs), share_inputs=True)
        except Exception as error:  # the binding raises bare RuntimeError and TypeError
            self._idle.append(request)
            raise InferenceFailed(f"OpenVINO: {error}") from error
        return request

    def wait(self, ticket: Ticket, timeout_s: float | None = None) -> dict[str, Array]:
        """The outputs. Raises ``InferenceFailed``, also for a time-out."""
        if not isinstance(ticket, ov.InferRequest):
            raise InferenceFailed(f"{type(ticket).__name__} is no ticket of this session")
        if timeout_s is not None and not ticket.wait_for(round(timeout_s * 1000)):
            self._abandon(ticket)
            raise InferenceFailed(f"OpenVINO: no answer within {timeout_s} s")
        try:
            ticket.wait()
            return self._read(ticket)
        except Exception as error:  # the binding raises bare RuntimeError and TypeError
            raise InferenceFailed(f"OpenVINO: {error}") from error
        finally:
            self._idle.append(ticket)

    def close(self) -> None:
        """Gives the memory back."""
        self._idle.clear()
        self._compiled = None

    def _take(self) -> ov.InferRequest:
        if self._compiled is None:
            raise InferenceFailed("the session is closed")
        if not self._idle:
            raise InferenceFailed(f"{self.max_in_flight} inferences are under way, no more fit")
        return self._idle.popleft()

    def _read(self, request: ov.InferRequest) -> dict[str, Array]:
        """Copies: the request writes into the same memory next time."""
        return {
            spec.name: self._pool.copy(request.get_tensor(spec.name).data) for spec in self.outputs
        }

    def _abandon(self, request: ov.InferRequest) -> None:
        """A request that may still compute is never used again; a fresh one takes its place."""
        request.cancel()
        if self._compiled is not None:
            self._idle.append(self._compiled.create_infer_request())


class OpenVino:
    """In fp32 arithmetic on CPU and GPU; what is quantised in the graph stays so."""

    name = RuntimeName.OPENVINO

    def version(self) -> str:
        """The release, without the build number behind it."""
        return str(ov.__version__).split("-", maxsplit=1)[0]

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> OpenVinoSession:
        """Loads a ZIP of IR, or an ONNX file."""
        core = ov.Core()
        device = options.compute_device
        try:
            model = _read(core, path)
            check_tensors("input", manifest.inputs, _facts(model.inputs))
            model.reshape({spec.name: list(spec.fixed_shape) for spec in manifest.inputs})
            check_tensors("output", manifest.outputs, _facts(model.outputs))
            compiled = core.compile_model(model, _find_device(core, device), _configure(options))
        except (RuntimeError, ValueError, OSError) as error:
            raise LoadFailed(f"OpenVINO does not load {path.name}: {error}") from error
        return OpenVinoSession(compiled, manifest, _read_metadata(model), options.in_flight)


def require_device(device: ComputeDevice) -> None:
    """Raises ``RuntimeUnavailable`` where this machine has no such device, with what it has."""
    try:
        _find_device(ov.Core(), device)
    except LoadFailed as error:
        raise RuntimeUnavailable(str(error)) from error


def _find_device(core: ov.Core, device: ComputeDevice) -> str:
    """The first of its kind: OpenVINO counts several as GPU.0 and GPU.1."""
    wanted, here = device.value.upper(), list(core.available_devices)
    found: str | None = next((name for name in here if name.split(".")[0] == wanted), None)
    if found is None:
        raise LoadFailed(
            f"OpenVINO {OpenVino().version()} finds no {wanted} here, only {', '.join(here)}; "
            "it needs the device and its driver"
        )
    return found


def _configure(options: SessionOptions) -> dict[str, Any]:
    if options.compute_device is ComputeDevice.GPU:
        return {"INFERENCE_PRECISION_HINT": "f32"}  # as certified, like on the CPU
    if options.compute_device is not ComputeDevice.CPU:
        return {}  # they compute in arithmetic of their own, and parity judges it
    return {
        "INFERENCE_NUM_THREADS": options.threads,
        # A stream computes one input at a time with its share of the threads.
        "NUM_STREAMS": min(options.in_flight, options.threads),
        # The default is bf16 where the CPU has it: then a certificate would not travel.
        "INFERENCE_PRECISION_HINT": "f32",
    }


def _read(core: ov.Core, path: Path) -> ov.Model:
    if not is_zipfile(path):
        return core.read_model(str(path))
    require_members(path, (XML_NAME, WEIGHTS_NAME))
    xml = unpack(path, XML_NAME, _MAX_XML_BYTES)
    return core.read_model(model=xml, weights=unpack(path, WEIGHTS_NAME, MAX_ARTIFACT_BYTES))


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
