"""Manifests of detectors that the tests of the decoders need, and a slow second opinion of NMS."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.lookup import decode
from inference_core.image import Transform
from inference_core.results import Boxes

LABELS = ("person", "car", "", "dog")


def detector(
    size: tuple[int, int] = (100, 80), resize: str = "stretch", **decoder: Any
) -> ModelManifest:
    """A detector with an input of ``size`` (width, height); the shapes of its outputs are open."""
    decoder = {"labels": LABELS, **decoder}
    heads = decoder.get("heads", ())
    names = [value for key, value in decoder.items() if key == "output" or key.endswith("_output")]
    names += [head[part] for head in heads for part in ("scores", "sides")]
    return ModelManifest.model_validate(
        {
            "task": "detection",
            "inputs": [{"name": "image", "shape": [1, 3, size[1], size[0]]}],
            "outputs": [{"name": name, "shape": [1, None, None]} for name in names],
            "preprocess": {"resize": resize},
            "decoder": decoder,
            "licence": "Apache-2.0",
        }
    )


def listed(**decoder: Any) -> ModelManifest:
    """Boxes, scores and numbers in three outputs."""
    return detector(
        kind="listed", boxes_output="boxes", scores_output="scores", classes_output="classes",
        **decoder,
    )  # fmt: skip


def same_size(manifest: ModelManifest) -> Transform:
    """The frame is the tensor."""
    width, height = manifest.input_size
    return Transform((1.0, 1.0), (0, 0, width, height), (0, 0, width, height))


def find(
    manifest: ModelManifest, transform: Transform | None = None, **outputs: np.ndarray
) -> Boxes:
    boxes = decode(outputs, manifest, transform or same_size(manifest))
    assert isinstance(boxes, Boxes)
    return boxes


def find_listed(
    manifest: ModelManifest,
    rows: Any,
    transform: Transform | None = None,
) -> Boxes:
    """``rows`` of x0, y0, x1, y1, score, class."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    parts = {"boxes": table[:, :4], "scores": table[:, 4], "classes": table[:, 5]}
    return find(manifest, transform, **parts)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union by the book."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(shared / (sum(areas) - shared))
