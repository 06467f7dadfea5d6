"""What every exporter is given and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import onnx

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput
from inference_core.tensorrt.engine_file import EngineFacts, read_facts, read_plan


@dataclass(frozen=True)
class Origin:
    """A model to export: an ONNX graph, or an engine with its facts. Exactly one is set."""

    name: str
    manifest: ModelManifest
    graph: onnx.ModelProto | None = None
    engine: EngineFacts | None = None
    plan: bytes = b""


@dataclass(frozen=True)
class Export:
    """Files by their path in the folder, and what a person must know of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def open_origin(path: Path, name: str, manifest: ModelManifest) -> Origin:
    """An ``.onnx`` or an ``.engine`` file. Raises ``BadInput`` or ``LoadFailed``."""
    if path.suffix == ".engine":
        facts = read_facts(path)
        if facts.flavour == "rtx":
            raise BadInput(
                "DeepStream and Triton run no engines of TensorRT for RTX; export the ONNX model"
            )
        return Origin(name, manifest, engine=facts, plan=read_plan(path))
    if path.suffix != ".onnx":
        raise BadInput(f"{path.name} cannot be exported; give an .onnx or an .engine file")
    try:
        graph = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's decoder raises its own, which onnx does not name
        raise BadInput(f"{path.name} is no ONNX file: {error}") from error
    return Origin(name, manifest, graph=graph)


def write_export(folder: Path, export: Export) -> None:
    """Write the files into a folder that is new or empty; ``BadInput`` where it is neither."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder; an export replaces nothing")
    for name, data in export.files.items():
        path = folder / PurePosixPath(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def list_labels(manifest: ModelManifest) -> tuple[str, ...]:
    """The classes of the decoder, empty where it has none."""
    return tuple(getattr(manifest.decoder, "labels", ()))
