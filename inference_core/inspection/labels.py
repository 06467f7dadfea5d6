"""Whether a manifest names as many classes as its outputs score."""

from __future__ import annotations

from inference_core.contract.decoders import (
    ClassifyDecoder,
    Decoder,
    DetrDecoder,
    GridDecoder,
    SegmentDecoder,
    SsdDecoder,
    YoloDecoder,
)
from inference_core.contract.manifest import ModelManifest
from inference_core.inspection.problem import RefusedError

ClassAxis = tuple[str, int, int]
"""An output, its axis of classes, and how many columns there are not classes with a label."""


def check_labels(manifest: ModelManifest) -> None:
    """Refuse labels that are fewer or more than the classes of an output.

    The decoder would refuse every frame. An axis that is known only after a run is passed over.
    """
    shapes = {spec.name: spec.shape for spec in manifest.outputs}
    for name, axis, others in _class_axes(manifest.decoder):
        labels, shape = len(getattr(manifest.decoder, "labels", ())), shapes[name]
        columns = shape[axis] if axis < len(shape) else None
        if columns not in (None, labels + others):
            raise RefusedError(
                "shape_mismatch",
                f"{labels} labels make {labels + others} columns, but output {name!r} has "
                f"{columns}; give a label for each, empty where a column is not used",
            )


def _class_axes(decoder: Decoder) -> list[ClassAxis]:
    """Nothing for decoders whose outputs do not score each class."""
    if isinstance(decoder, (ClassifyDecoder, SegmentDecoder)):
        return [(decoder.output, 1, 0)]
    if isinstance(decoder, YoloDecoder):
        return [(decoder.output, 2, 5) if decoder.version == "v5" else (decoder.output, 1, 4)]
    if isinstance(decoder, SsdDecoder):
        return [(decoder.scores_output, 2, 0)]
    if isinstance(decoder, DetrDecoder):
        return [(decoder.scores_output, 2, 1 if decoder.activation == "softmax" else 0)]
    if isinstance(decoder, GridDecoder):
        return [(head.scores, 2, 0) for head in decoder.heads]
    return []
