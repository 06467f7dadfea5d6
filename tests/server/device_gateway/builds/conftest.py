"""A profile that its own devices build for, and a build that waits for one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pytest_django import (
    Settings,
)

from server.builds import services
from server.builds.models import Build
from server.fleet.building import set_building
from server.fleet.models import BuiltOn, HardwareProfile
from server.lib import blobs, clock
from server.registry.models import ModelVersion
from tests.server import catalogue
from tests.server.box import Box
from tests.server.device_gateway.builds.turns import (
    PROFILE,
)


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path / "data"
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "blobs"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture
def profile(box: Box) -> HardwareProfile:
    profile = HardwareProfile.objects.get(name=PROFILE)
    set_building(
        profile=profile,
        built_on=BuiltOn.DEVICE,
        needs_approval=True,
        reason="There is no twin.",
        actor="user:ada",
    )
    return profile


@pytest.fixture
def version(box: Box) -> ModelVersion:
    """As after an upload; nothing here is about the child that inspects one."""
    manifest = catalogue.manifest_json()
    blob = blobs.put_bytes(catalogue.onnx_bytes())
    return ModelVersion.objects.create(
        model=catalogue.vision_model(),
        version="1.0.0",
        sha256=blob.sha256,
        length=blob.length,
        manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        manifest_body=json.loads(manifest),
        report={},
        created_at=clock.now(),
        created_by="test",
    )


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")
