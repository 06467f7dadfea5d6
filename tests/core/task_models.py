"""Tiny models of every task for the fake runtime: what they find is written down by the test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.words import RuntimeName
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from tests.core.core_models import reader, segmenter

Box = tuple[float, float, float, float, float, int]
"""x1, y1, x2, y2 in pixels of an 80×60 tensor, score, class."""

LABELS = ("screw", "nut")
MAX_BOXES = 8


def manifest_of(task: str, outputs: dict[str, list[int]], decoder: dict[str, Any]) -> ModelManifest:
    return ModelManifest.model_validate(
        {
            "task": task,
            "inputs": [{"name": "image", "shape": [1, 3, 60, 80]}],
            "outputs": [{"name": name, "shape": shape} for name, shape in outputs.items()],
            "decoder": decoder,
            "licence": "Apache-2.0",
        }
    )


def detector(**decoder: Any) -> ModelManifest:
    return manifest_of(
        "detection",
        {"boxes": [1, MAX_BOXES, 6]},
        {"kind": "end_to_end", "output": "boxes", "labels": LABELS, **decoder},
    )


def classifier(**decoder: Any) -> ModelManifest:
    return manifest_of(
        "classification",
        {"scores": [1, 3]},
        {
            "kind": "classify",
            "output": "scores",
            "labels": ["good", "cracked", "dirty"],
            "activation": "none",
            **decoder,
        },
    )


def anomaly_finder() -> ModelManifest:
    return manifest_of("anomaly", {"map": [1, 1, 60, 80]}, {"kind": "anomaly", "map_output": "map"})


def text_finder() -> ModelManifest:
    return manifest_of(
        "text_detection", {"map": [1, 1, 60, 80]}, {"kind": "text_boxes", "output": "map"}
    )


MANIFESTS = {
    "detect": detector(),
    "classify": classifier(),
    "segment": segmenter(),
    "anomaly": anomaly_finder(),
    "find_text": text_finder(),
    "read": reader(),
}
"""By the name of the model in the tests' pipelines."""


def boxes_of(*boxes: Box) -> dict[str, Any]:
    rows = [list(box) for box in boxes] + [[0.0] * 6] * (MAX_BOXES - len(boxes))
    return {"boxes": [rows]}


def classes_of(*scores: float) -> dict[str, Any]:
    return {"scores": [list(scores)]}


def text_of(*places: int) -> dict[str, Any]:
    """Scores of the reader: place 0 is a blank, 1 is "a"."""
    steps = [[float(place == column) for column in range(4)] for place in places]
    return {"scores": [steps + [[1.0, 0, 0, 0]] * (6 - len(steps))]}


def load_fake(folder: Path, name: str, **behaviour: Any) -> LoadedModel:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(behaviour))
    return load_model(path, MANIFESTS[name], RuntimeName.FAKE)


def spec_of(stages: Sequence[dict[str, Any]], *fails: str) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "pipeline": "p",
            "stages": stages,
            "rules": [{"fail": fail, "because": fail} for fail in fails or ("False",)],
        }
    )


def pipeline_of(
    folder: Path, stages: Sequence[dict[str, Any]], *fails: str, **behaviours: dict[str, Any]
) -> Pipeline:
    """A pipeline whose models behave as told, by their names in ``MANIFESTS``."""
    spec = spec_of(stages, *fails)
    models = {name: load_fake(folder, name, **behaviours.get(name, {})) for name in spec.models}
    return Pipeline(spec, models)
