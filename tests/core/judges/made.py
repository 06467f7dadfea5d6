"""Manifests, samples and outputs made by hand, for judges without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from inference_core.contract.dataset import BoxLabel
from inference_core.contract.manifest import ModelManifest
from inference_core.datasets import Sample
from inference_core.image import Prepared, prepare

SIDE = 64


def make_manifest(task: str, decoder: dict[str, Any], *shapes: list[int | None]) -> ModelManifest:
    """A model of 64×64 pixels with outputs named ``out0``, ``out1`` and so on."""
    return ModelManifest.model_validate(
        {
            "task": task,
            "inputs": [{"name": "image", "shape": [1, 3, SIDE, SIDE]}],
            "outputs": [{"name": f"out{n}", "shape": shape} for n, shape in enumerate(shapes)],
            "decoder": decoder,
            "licence": "Apache-2.0",
        }
    )


def detector(**changes: Any) -> ModelManifest:
    """Takes boxes, scores and classes as they are."""
    decoder = {
        "kind": "listed",
        "boxes_output": "out0",
        "scores_output": "out1",
        "classes_output": "out2",
        "labels": ["dent", "scratch"],
        "threshold": 0.5,
        **changes,
    }
    return make_manifest("detection", decoder, [None, 4], [None], [None])


def boxes(*rows: tuple[str, float, float, float, float, float]) -> dict[str, np.ndarray]:
    """Outputs of a detector from rows of label, score, x0, y0, x1, y1."""
    labels = ("dent", "scratch")
    return {
        "out0": np.array([row[2:] for row in rows], np.float32).reshape(-1, 4),
        "out1": np.array([row[1] for row in rows], np.float32),
        "out2": np.array([labels.index(row[0]) for row in rows], np.float32),
    }


def sample(**fields: Any) -> Sample:
    if "boxes" in fields and fields["boxes"] is not None:
        fields["boxes"] = tuple(
            BoxLabel(label=label, xyxy=tuple(xyxy)) for label, *xyxy in fields["boxes"]
        )
    return Sample(name="a.png", image=Path("a.png"), image_sha256="0" * 64, **fields)


def prepared(manifest: ModelManifest) -> Prepared:
    return prepare(np.zeros((SIDE, SIDE, 3), np.uint8), manifest)
