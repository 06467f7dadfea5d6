from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.registry.models import ModelVersion, VisionModel
from tests.server import catalogue


@pytest.fixture(autouse=True)
def own_blobs(tmp_path: Path, settings: Any) -> None:
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture
def model(db: None) -> VisionModel:
    return catalogue.vision_model()


@pytest.fixture
def version(model: VisionModel) -> ModelVersion:
    return catalogue.model_version(model)
