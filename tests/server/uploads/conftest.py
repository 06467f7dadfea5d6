from __future__ import annotations

from pathlib import Path

import pytest
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.registry.models import VisionModel
from server.uploads import dispatch
from tests.server import catalogue


@pytest.fixture(autouse=True)
def own_blobs(own_blobs: Path) -> Path:
    """For every test here."""
    return own_blobs


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Messages to the worker: kept here, as a broker that nobody listens to would."""
    messages: list[object] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda _, args, **__: messages.extend(args))
    return messages


@pytest.fixture
def model(db: None) -> VisionModel:
    return catalogue.vision_model()


@pytest.fixture
def releaser(model: VisionModel) -> APIClient:
    return catalogue.client_of(Role.RELEASER)
