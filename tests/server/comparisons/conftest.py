from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from server.comparisons import dispatch
from server.lib import blobs, clock
from server.registry.models import ModelVersion, VisionModel
from tests.core.compare.test_versus import blind_to_dark
from tests.server import catalogue


@pytest.fixture(autouse=True)
def own_blobs(own_blobs: Path) -> Path:
    """For every test here."""
    return own_blobs


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    messages: list[int] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda _, args, **__: messages.extend(args))
    return messages


@pytest.fixture
def versions(db: None) -> tuple[ModelVersion, ModelVersion]:
    """A good one, and one that is blind to what is dark; both as if they were inspected."""
    model = catalogue.vision_model()
    return (
        add_version(model, "1.0.0", catalogue.onnx_bytes()),
        add_version(model, "2.0.0", blind_to_dark()),
    )


def add_version(model: VisionModel, version: str, content: bytes) -> ModelVersion:
    blob = blobs.put_bytes(content)
    manifest = catalogue.manifest_json()
    return ModelVersion.objects.create(
        model=model,
        version=version,
        sha256=blob.sha256,
        length=blob.length,
        manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        manifest_body=json.loads(manifest),
        report={},
        licence="Apache-2.0",
        created_at=clock.now(),
        created_by="user:ada",
    )
