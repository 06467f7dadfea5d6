"""Models and versions as rows alone, where a test is about what is said of them."""

from __future__ import annotations

import hashlib
from typing import Any

from server.datasets.models import DatasetVersion
from server.lib import clock
from server.registry.models import ModelVersion, VisionModel
from tests.server.catalogue import ACTOR, MODEL


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def dataset_row(name: str, purpose: str) -> DatasetVersion:
    return DatasetVersion.objects.create(
        name=name,
        version="1",
        purpose=purpose,
        sha256=digest_of(name),
        labels_sha256=digest_of(purpose),
        image_count=4,
        length=9,
        created_at=clock.now(),
        created_by=ACTOR,
    )


def model_row(name: str = MODEL, task: str = "segmentation") -> VisionModel:
    return VisionModel.objects.create(
        name=name,
        task=task,
        title="Defects",
        golden=dataset_row(f"{name}-golden", "golden"),
        calibration=dataset_row(f"{name}-calibration", "calibration"),
        created_at=clock.now(),
    )


def version_row(model: VisionModel, version: str = "1.0.0", **changes: Any) -> ModelVersion:
    fields = {
        "sha256": digest_of(f"{model} {version}"),
        "length": 9,
        "manifest_sha256": digest_of("manifest"),
        "manifest_body": {},
        "report": {},
        "licence": "Apache-2.0",
        "created_at": clock.now(),
        "created_by": ACTOR,
    }
    return ModelVersion.objects.create(model=model, version=version, **fields | changes)
