"""The sample models and what the tests make of them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.files import read_document
from inference_core.picture import Picture, read_picture
from inference_core.pipeline.frames import Frame

DEMO = Path(__file__).parents[2] / "server" / "demo"
MODELS = DEMO / "models"
BOARD = DEMO / "pictures" / "board.jpg"
MM_PER_PX = 0.2


def sample_manifest(model: str) -> ModelManifest:
    return read_document(MODELS / model / "manifest.json", ModelManifest)


def sample_pipeline() -> PipelineSpec:
    return read_document(DEMO / "pipeline.yaml", PipelineSpec)


def board() -> Picture:
    return read_picture(BOARD)


def frame_of(picture: Picture, mm_per_px: float | None = MM_PER_PX) -> Frame:
    return Frame("cam", 0, "board.jpg", datetime.now(timezone.utc), 0.0, picture, mm_per_px)


def segmenter(width: int = 8, height: int = 6, **preprocess: Any) -> ModelManifest:
    """A segmentation model of two flaws for a tiny tensor."""
    return ModelManifest.model_validate(
        {
            "task": "segmentation",
            "inputs": [{"name": "image", "shape": [1, 3, height, width]}],
            "outputs": [{"name": "logits", "shape": [1, 3, height, width]}],
            "preprocess": preprocess,
            "decoder": {
                "kind": "segment",
                "output": "logits",
                "labels": ["background", "scratch", "dent"],
                "activation": "none",
            },
            "licence": "Apache-2.0",
        }
    )


def reader(steps: int = 6, **decoder: Any) -> ModelManifest:
    """A text recogniser with a short alphabet."""
    return ModelManifest.model_validate(
        {
            "task": "text_recognition",
            "inputs": [{"name": "image", "shape": [1, 3, 16, 32]}],
            "outputs": [{"name": "scores", "shape": [1, steps, 4]}],
            "preprocess": {"resize": "pad_right"},
            "decoder": {"kind": "ctc", "output": "scores", "alphabet": list("abc"), **decoder},
            "licence": "Apache-2.0",
        }
    )


def write_fake(folder: Path, **behaviour: Any) -> Path:
    """An artifact of the fake runtime."""
    path = folder / "fake.json"
    path.write_text(json.dumps(behaviour))
    return path


def one_scratch(width: int = 8, height: int = 6) -> np.ndarray:
    """Probabilities 1×3×H×W with a scratch of 3 pixels in the second row."""
    probabilities = np.zeros((1, 3, height, width), np.float32)
    probabilities[0, 0] = 1
    probabilities[0, :, 1, 2:5] = np.array([[0.2], [0.8], [0.0]])
    return probabilities
