"""Labels of a golden set that the model has a word for."""

from __future__ import annotations

from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import DatasetError, Sample


def require_known(label: str, manifest: ModelManifest, sample: Sample) -> None:
    """``DatasetError`` for a class that the model cannot answer: it would count as lost."""
    known = getattr(manifest.decoder, "labels", ())
    if label not in known:
        raise DatasetError(
            f"{sample.name} is labelled {label!r}, which is none of the model's {len(known)} "
            "classes; mend the label or take it out of the golden set"
        )
