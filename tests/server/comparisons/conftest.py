from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.comparisons import dispatch
from server.registry.models import ModelVersion
from server.registry.services import upload_version
from tests.core.compare.test_versus import blind_to_dark
from tests.server import catalogue


@pytest.fixture(autouse=True)
def own_blobs(tmp_path: Path, settings: Any) -> None:
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(dispatch, "send", messages.append)
    return messages


@pytest.fixture
def versions(db: None) -> tuple[ModelVersion, ModelVersion]:
    """A good one, and one that is blind to what is dark."""
    model = catalogue.vision_model()
    poor = blind_to_dark()
    return catalogue.model_version(model), upload_version(
        model=model,
        version="2.0.0",
        manifest=catalogue.manifest_json(),
        notes="",
        chunks=[poor],
        max_bytes=len(poor),
        actor="user:ada",
    )
