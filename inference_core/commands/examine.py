"""What can be told of a model's file when nobody gives a manifest with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from inference_core.commands.loading import MANIFEST_KEY, find_manifest_beside, read_manifest
from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput

_KINDS = {
    ".zip": "OpenVINO IR, packed",
    ".tflite": "TensorFlow Lite",
    ".engine": "TensorRT engine, packed with its facts",
    ".plan": "TensorRT engine",
}
_ABBREVIATED = 40


@dataclass(frozen=True)
class Examination:
    """Where the manifest comes from, and the manifest or what is wrong with it."""

    origin: str
    manifest: ModelManifest | None = None
    missing: tuple[str, ...] = ()
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Fields for the JSON of ``infer inspect``."""
        manifest = None if self.manifest is None else json.loads(self.manifest.to_json())
        return {
            "manifest_origin": self.origin,
            "manifest": manifest,
            "missing": list(self.missing),
            "manifest_problem": self.problem or None,
        }


def examine(model: Path) -> Examination:
    """The manifest beside an ONNX file, in it, or recognised from what its exporter wrote."""
    from inference_core.inspection.inspect import inspect_model
    from inference_core.recognise import draft_manifest
    from inference_core.recognise.graph import read_graph

    missing: tuple[str, ...] = ()
    origin = "cannot be told"
    try:
        graph = read_graph(model)
        beside = find_manifest_beside(model)
        if beside is not None:
            origin = f"beside the model: {beside.name}"
        elif MANIFEST_KEY in graph.metadata:
            origin = f"inside the model: {MANIFEST_KEY}"
        else:
            draft = draft_manifest(graph)
            origin, missing = f"recognised: {draft.family}", draft.missing
        manifest = read_manifest(model)
    except BadInput as error:
        return Examination(origin, missing=missing, problem=str(error))
    contradiction = inspect_model(model, manifest).problem
    return Examination(origin, manifest, problem=contradiction.detail if contradiction else "")


def make_skeleton(model: Path) -> dict[str, Any]:
    """A manifest with all that is known, and words where a person must fill in.

    Raises ``BadInput`` where not even the inputs can be described.
    """
    from inference_core.recognise import draft_manifest
    from inference_core.recognise.graph import read_graph

    return {"schema_version": 1, **draft_manifest(read_graph(model)).to_skeleton()}


def describe_file(model: Path) -> dict[str, Any]:
    """Digest, size and kind of what is no ONNX; the rest is known to its runtime only."""
    data = model.read_bytes()
    beside = find_manifest_beside(model)
    facts = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": f"{len(data) / 1e6:.1f} MB",
        "kind": _KINDS[model.suffix.lower()],
        "manifest": beside.name
        if beside
        else f"none beside it, and it has none inside: write {model.stem}.manifest.json",
    }
    if members := _list_members(model):
        facts["members"] = members
    return facts


def _list_members(model: Path) -> str:
    try:
        with ZipFile(model) as archive:
            members = archive.infolist()[:_ABBREVIATED]
    except BadZipFile:
        return ""
    return ", ".join(f"{member.filename} ({member.file_size} bytes)" for member in members)
