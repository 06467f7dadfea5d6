"""A release whose golden cases wait for a device to judge them."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.builds import dispatch
from server.builds.checks.queueing import queue_check
from server.builds.models import Artifact, PipelineCheck
from server.datasets.models import DatasetVersion, Purpose
from server.fleet.models import Device, HardwareProfile
from tests.core.golden.checks import DARK, FAINT, FINE, write_patches
from tests.server import catalogue
from tests.server.box import Box
from tests.server.builds.certified import certify, stored_version, upload_folder
from tests.server.device_gateway.checks.turns import (
    make_release,
)
from tests.server.device_gateway.device_built import PROFILE, build_on_devices


@pytest.fixture(autouse=True)
def own_files(own_files: None) -> None:
    """For every test here."""


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    messages: list[tuple[str, str]] = []
    monkeypatch.setattr(
        dispatch.app, "send_task", lambda *a, **k: messages.append((a[0], k["queue"]))
    )
    return messages


@pytest.fixture
def profile(box: Box) -> HardwareProfile:
    profile = HardwareProfile.objects.get(name=PROFILE)
    build_on_devices(profile)
    return profile


@pytest.fixture
def patches(tmp_path: Path) -> DatasetVersion:
    levels = {"fine": FINE, "dark": DARK, "faint": FAINT}
    folder = write_patches(tmp_path / "patches", levels, fine="pass", dark="fail")
    return upload_folder(folder, "patches", Purpose.GOLDEN)


@pytest.fixture
def artifact(profile: HardwareProfile) -> Artifact:
    """As the box has built it, and a person approved it."""
    made = certify(stored_version(catalogue.vision_model()), profile, catalogue.onnx_bytes())
    Artifact.objects.filter(pk=made.pk).update(device=Device.objects.get())
    return made


@pytest.fixture
def check(artifact: Artifact, profile: HardwareProfile, patches: DatasetVersion) -> PipelineCheck:
    return queue_check(release=make_release(patches), profile=profile, actor="test")
