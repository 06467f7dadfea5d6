"""A profile that its own devices build for, and a build that waits for one."""

from __future__ import annotations

import pytest

from server.builds import services
from server.builds.models import Build
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion
from tests.server import catalogue
from tests.server.box import Box
from tests.server.builds.certified import stored_version
from tests.server.device_gateway.device_built import PROFILE, build_on_devices


@pytest.fixture(autouse=True)
def own_files(own_files: None) -> None:
    """For every test here."""


@pytest.fixture
def profile(box: Box) -> HardwareProfile:
    profile = HardwareProfile.objects.get(name=PROFILE)
    build_on_devices(profile)
    return profile


@pytest.fixture
def version(box: Box) -> ModelVersion:
    """As after an upload; nothing here is about the child that inspects one."""
    return stored_version(catalogue.vision_model())


@pytest.fixture
def build(version: ModelVersion, profile: HardwareProfile) -> Build:
    return services.queue_build(version=version, profile=profile, actor="test")
