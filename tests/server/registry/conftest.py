from __future__ import annotations

from pathlib import Path

import pytest

from server.registry.models import ModelVersion, VisionModel
from tests.server import catalogue


@pytest.fixture(autouse=True)
def own_blobs(own_blobs: Path) -> Path:
    """For every test here."""
    return own_blobs


@pytest.fixture
def model(db: None) -> VisionModel:
    return catalogue.vision_model()


@pytest.fixture
def version(model: VisionModel) -> ModelVersion:
    return catalogue.model_version(model)
