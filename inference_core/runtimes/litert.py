"""LiteRT (TFLite) on the CPU, and on the Edge TPU for files that were compiled for it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter, load_delegate

from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.release import MAX_ARTIFACT_BYTES
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed, RuntimeUnavailable
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions, check_tensors
from inference_core.runtimes.litert_notes import Notes, read_notes
from inference_core.runtimes.litert_ports import Port
from inference_core.runtimes.litert_probe import probe

EDGE_TPU_LIBRARY = "libedgetpu.so.1"

_IDENTIFIER = b"TFL3"


class LiteRtSession:
    """An interpreter that takes and gives tensors as the manifest describes them.

    Pictures are turned to the file's order of axes and back; where the file computes in integers
    and the manifest says float32, inputs are quantised and outputs dequantised.
    """

    def __init__(
        self,
        interpreter: Any,
        manifest: ModelManifest,
        ports: tuple[Sequence[Port], Sequence[Port]],
        metadata: dict[str, str],
    ) -> None:
        self._interpreter: Any | None = interpreter
        self._takes, self._gives = ports
        self._names = {spec.name for spec in manifest.inputs}
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata = metadata

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        interpreter = self._interpreter
        if interpreter is None:
            raise InferenceFailed("the session is closed")
        if inputs.keys() != self._names:
            raise InferenceFailed(f"the model takes {sorted(self._names)}, not {sorted(inputs)}")
        try:
            for port in self._takes:
                port.write(interpreter, inputs[port.name])
            interpreter.invoke()
            return {port.name: port.read(interpreter) for port in self._gives}
        except (RuntimeError, ValueError, TypeError) as error:
            raise InferenceFailed(f"LiteRT: {error}") from error

    def close(self) -> None:
        """Gives the memory, and an Edge TPU, back."""
        self._interpreter = None


class LiteRt:
    """LiteRT with XNNPACK, which it uses unasked."""

    name = RuntimeName.LITERT

    def version(self) -> str:
        """The version of the ai-edge-litert package."""
        return version("ai-edge-litert")

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> LiteRtSession:
        """Loads a TFLite file, after a first run of it in another process.

        Raises ``RuntimeUnavailable`` for a file for the Edge TPU where its library is absent.
        """
        _check_file(path)
        delegates = [_load_edge_tpu(path)] if probe(path) else []
        try:
            interpreter = Interpreter(
                str(path), num_threads=options.threads, experimental_delegates=delegates
            )
            notes = read_notes(path.read_bytes())
            ports = _open_ports(interpreter, manifest, notes)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError, OSError) as error:
            raise LoadFailed(f"LiteRT does not load {path.name}: {error}") from error
        return LiteRtSession(interpreter, manifest, ports, notes.metadata if notes else {})


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise LoadFailed(f"{path.name} cannot be read: {error.strerror}") from error
    if head[4:] != _IDENTIFIER:
        raise LoadFailed(f"{path.name} is no TFLite file: it lacks the mark {_IDENTIFIER.decode()}")
    if size > MAX_ARTIFACT_BYTES:
        raise LoadFailed(f"{path.name} is larger than {MAX_ARTIFACT_BYTES} bytes")


def _load_edge_tpu(path: Path) -> Any:
    try:
        ctypes.CDLL(EDGE_TPU_LIBRARY)  # load_delegate leaves a half-made object that complains
        return load_delegate(EDGE_TPU_LIBRARY)
    except OSError as error:
        raise RuntimeUnavailable(
            f"{path.name} is compiled for the Edge TPU, whose library {EDGE_TPU_LIBRARY} is not "
            "installed here; install libedgetpu1-std as docs/hardware/coral.md says, "
            "or build for the profile of a device without it"
        ) from error
    except ValueError as error:
        raise LoadFailed(
            f"{path.name} is compiled for the Edge TPU, and {EDGE_TPU_LIBRARY} finds none: "
            "plug one in, and let this user open it (group plugdev for USB, apex for PCIe)"
        ) from error


def _open_ports(
    interpreter: Any, manifest: ModelManifest, notes: Notes | None
) -> tuple[list[Port], list[Port]]:
    found = _find_ports(interpreter, "inputs", notes), _find_ports(interpreter, "outputs", notes)
    takes = _match("input", manifest.inputs, found[0])
    for port, spec in zip(takes, manifest.inputs, strict=True):
        port.fix_shape(interpreter, spec)
    interpreter.allocate_tensors()
    return takes, _match("output", manifest.outputs, found[1])


def _match(kind: str, declared: Sequence[TensorSpec], found: Mapping[str, Port]) -> list[Port]:
    """The declared ports in order, speaking the manifest's dtype."""
    spoken = {
        spec.name: found[spec.name].speak(spec.dtype) for spec in declared if spec.name in found
    }
    facts = {name: port.facts() for name, port in {**found, **spoken}.items()}
    try:
        check_tensors(kind, declared, facts)
    except LoadFailed as error:
        if all(port.is_noted for port in found.values()):
            raise
        raise LoadFailed(
            f"{error}. This file was not built by Linewarden, so its tensors are taken as they "
            "lie: name and describe them so in the manifest, pictures mostly as NHWC"
        ) from error
    return [spoken[spec.name] for spec in declared]


def _find_ports(interpreter: Any, kind: str, notes: Notes | None) -> dict[str, Port]:
    """By the notes' order; else by the names of the only signature; else by the tensors' own."""
    details = (
        interpreter.get_input_details() if kind == "inputs" else interpreter.get_output_details()
    )
    if notes is not None:
        noted = notes.inputs if kind == "inputs" else notes.outputs
        if len(noted) != len(details):
            raise LoadFailed(
                f"its notes name {len(noted)} {kind}, but the graph has {len(details)}"
            )
        pairs = zip(noted, details, strict=True)
        return {note.name: Port.of(note.name, detail, note.axes) for note, detail in pairs}
    named = _name_by_signature(interpreter, kind) or {item["name"]: item for item in details}
    return {name: Port.of(name, detail, None) for name, detail in named.items()}


def _name_by_signature(interpreter: Any, kind: str) -> dict[str, Any]:
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        return {}
    runner = interpreter.get_signature_runner(signatures[0])
    found = runner.get_input_details() if kind == "inputs" else runner.get_output_details()
    return dict(found)


RUNTIME = LiteRt()
