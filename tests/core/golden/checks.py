"""Jobs for checks of a whole pipeline, over pictures of a dark or a bright patch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

from inference_core.contract.golden import (
    CheckedModel,
    GoldenPictures,
    PipelineJob,
    PipelineOutcome,
)
from inference_core.contract.pipeline import PipelineSpec
from inference_core.datasets import read_dataset
from inference_core.optimize.golden import run_check
from tests.core.build_jobs import make_profile
from tests.core.onnx_models import HEIGHT, WIDTH, brightness_manifest, brightness_model, save

FINE, FAINT, DARK = 128, 82, 20
"""Levels of a patch: none, one that only a good eye sees, one that everybody sees."""
RULE = {"fail": "look.count('dark') > 0", "because": "burnt"}


def spec(**changes: Any) -> PipelineSpec:
    whole = {
        "pipeline": "patches",
        "stages": [{"id": "look", "model": "patches"}],
        "rules": [RULE],
        "budget_ms": 1000,
    }
    return PipelineSpec.model_validate({**whole, **changes})


def write_patches(folder: Path, levels: Mapping[str, int], **labels: str) -> Path:
    """A picture for each name, with a patch of its level; ``labels`` are verdicts by name."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for name, level in levels.items():
        picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        picture[8:22, 10:26] = level
        cv2.imwrite(str(folder / "images" / f"{name}.png"), picture)
        verdict = {"verdict": labels[name]} if name in labels else {}
        lines.append(json.dumps({"image": f"images/{name}.png", **verdict}) + "\n")
    (folder / "labels.jsonl").write_text("".join(lines))
    return folder


def dull_model() -> onnx.ModelProto:
    """As ``brightness_model``, but it takes what is faint for fine."""
    model = brightness_model()
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, 6, -13], np.float32), "bias"))
    return model


def make_job(
    folder: Path, golden: Path, artifact: onnx.ModelProto | None = None, **changes: Any
) -> PipelineJob:
    """A check of ``brightness_model`` against ``artifact``, itself where none is given."""
    source = save(brightness_model(), folder / "source.onnx")
    built = save(artifact or brightness_model(), folder / "artifact.onnx")
    pictures = GoldenPictures(
        name="patches",
        version="1",
        folder=str(golden),
        sha256=read_dataset(golden).sha256,
        max_cases=100,
    )
    fields: dict[str, Any] = {
        "release": "patches-1",
        "counter": 1,
        "profile": make_profile(),
        "pipeline": spec(),
        "models": {"patches": checked(source, built)},
        "golden": (pictures,),
    }
    return PipelineJob.model_validate({**fields, **changes})


def checked(source: Path, artifact: Path) -> CheckedModel:
    return CheckedModel(
        source_path=str(source),
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        source_manifest=brightness_manifest(),
        artifact_path=str(artifact),
        artifact_sha256=hashlib.sha256(artifact.read_bytes()).hexdigest(),
        artifact_manifest=brightness_manifest(),
        precision="fp32",
    )


def check(job: PipelineJob) -> PipelineOutcome:
    return run_check(job, lambda _: None)
