"""Frames of a camera, as a sampler sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.release import ArtifactRef, ReleaseManifest, TargetRef
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import Camera, ServeJob
from inference_core.contract.words import Precision, RuntimeName
from inference_core.picture import Picture
from inference_core.pipeline.sampling import Sampler

DIGEST = "ab" * 32
GREY: Picture = np.full((8, 9, 3), 128, np.uint8)
NO_TIME = {"preprocess": 0, "infer": 0, "postprocess": 0, "total": 0}


def manifest(task: str, decoder: dict[str, Any]) -> ModelManifest:
    outputs = [
        {"name": value, "shape": [1, 2, 8, 8]}
        for name, value in decoder.items()
        if name.endswith("output")
    ]
    return ModelManifest.model_validate(
        {
            "task": task,
            "inputs": [{"name": "image", "shape": [1, 3, 8, 8]}],
            "outputs": outputs,
            "decoder": decoder,
            "licence": "CC0-1.0",
        }
    )


DETECTOR = manifest(
    "detection",
    {
        "kind": "end_to_end",
        "output": "found",
        "labels": ["scratch", "dent"],
        "threshold": 0.4,
        "class_thresholds": {"dent": 0.7},
    },
)


def release(
    model: ModelManifest = DETECTOR, fail: str = "look.count() > 0", **stage: Any
) -> ReleaseManifest:
    target = TargetRef(path="x", sha256=DIGEST, length=1)
    artifact = ArtifactRef(
        target=target,
        certificate=target,
        source_sha256=DIGEST,
        runtime=RuntimeName.FAKE,
        precision=Precision.FP32,
        peak_memory_bytes=0,
        manifest=model,
    )
    return ReleaseManifest.model_validate(
        {
            "release": "r1",
            "counter": 1,
            "profile": "x86-fake",
            "pipeline": {
                "pipeline": "p",
                "stages": [{"id": "look", "model": "m", **stage}],
                "rules": [{"fail": fail, "because": "it is bad"}],
            },
            "artifacts": {"m": artifact},
        }
    )


def job(cameras: tuple[str, ...] = ("top",), frames_per_s: float = 10, **changes: Any) -> ServeJob:
    values = {
        "release_sha256": DIGEST,
        "release": release(),
        "artifacts": {},
        "cameras": tuple(
            Camera(name=name, address="file:///x", frames_per_s=frames_per_s) for name in cameras
        ),
        "sample_every_s": 2.0,
    }
    return ServeJob.model_validate(values | changes)


def seeded(seed: int, job_: ServeJob | None = None) -> Sampler:
    return Sampler(job_ or job(), np.random.default_rng(seed).random)


def always(job_: ServeJob | None = None) -> Sampler:
    """Takes every frame that has any chance, so that each probability is seen."""
    return Sampler(job_ or job(), lambda: 0.0)


def result(
    *scores: float, verdict: str = "pass", camera: str = "top", label: str = "scratch", **more: Any
) -> FrameResult:
    boxes = [
        {"label": label, "class_id": 0, "score": score, "xyxy": (0, 0, 1, 1)} for score in scores
    ]
    stage = {"stage": "look", "boxes": boxes, "latency_ms": NO_TIME, **more}
    return FrameResult.model_validate(
        {
            "camera": camera,
            "sequence": 0,
            "source": "x.png",
            "captured_at": datetime(2026, 11, 1, tzinfo=timezone.utc),
            "width": 9,
            "height": 8,
            "verdict": verdict,
            "stages": [stage],
            "latency_ms": 1,
            "budget_ms": 100,
        }
    )


def new_sights(seed: int) -> Callable[[], Picture]:
    """Pictures that have nothing in common with each other."""
    random = np.random.default_rng(seed)
    return lambda: random.integers(0, 256, (8, 9, 3), np.uint8)
