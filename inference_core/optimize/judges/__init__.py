"""What a model's answers on the golden set are worth: one judge for each kind of decoder."""

from __future__ import annotations

from importlib import import_module

from inference_core.contract.manifest import ModelManifest
from inference_core.optimize.judges.base import Judge, Reading

__all__ = ["Judge", "Reading", "make_judge"]

_BOX_KINDS = ("yolo", "end_to_end", "ssd", "listed", "detr", "grid")
_MODULES: dict[str, str] = {
    "anomaly": "anomaly",
    "classify": "classify",
    "ctc": "text",
    "segment": "segment",
    "text_boxes": "text_boxes",
    **dict.fromkeys(_BOX_KINDS, "boxes"),
}
"""A module has ``make(manifest) -> Judge``."""


def make_judge(manifest: ModelManifest) -> Judge:
    """The judge for the manifest's decoder; the alphabet must be resolved."""
    module = import_module(f"{__name__}.{_MODULES[manifest.decoder.kind]}")
    judge: Judge = module.make(manifest)
    return judge
