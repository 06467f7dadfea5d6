"""Loading the models of a pipeline: runtime, artifact and a manifest that needs no metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.decode.ctc import resolve_alphabet
from inference_core.runtimes.base import DEFAULT_OPTIONS, Session, SessionOptions
from inference_core.runtimes.lookup import get_runtime


@dataclass(frozen=True)
class LoadedModel:
    """A session with the manifest that explains its tensors."""

    manifest: ModelManifest
    session: Session


def load_model(
    path: Path,
    manifest: ModelManifest,
    runtime: RuntimeName,
    options: SessionOptions = DEFAULT_OPTIONS,
) -> LoadedModel:
    """Loads an artifact. An alphabet that the manifest leaves out is read from its metadata.

    Raises ``RuntimeUnavailable``, ``LoadFailed``, and ``BadInput`` for an absent alphabet.
    """
    session = get_runtime(runtime).load(path, manifest, options)
    return LoadedModel(resolve_alphabet(manifest, session.metadata), session)
