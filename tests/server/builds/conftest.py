from __future__ import annotations

import pytest

from server.builds import dispatch
from server.fleet.models import Device, HardwareProfile
from server.registry.models import ModelVersion
from tests.server import catalogue
from tests.server.box import Box


@pytest.fixture(autouse=True)
def own_files(own_files: None) -> None:
    """For every test here."""


@pytest.fixture
def device(box: Box) -> Device:
    """One precision only: these tests are about what surrounds the search for the best."""
    HardwareProfile.objects.update(precisions=["fp32"])
    return Device.objects.select_related("profile").get(pk=box.device_id)


@pytest.fixture
def profile(device: Device) -> HardwareProfile:
    return device.profile


@pytest.fixture
def version(device: Device) -> ModelVersion:
    return catalogue.model_version(catalogue.vision_model())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...], str]]:
    """What went to the broker: the one thing that no test may leave behind."""
    messages: list[tuple[str, tuple[int, ...], str]] = []

    def send_task(name: str, *, args: tuple[int, ...], queue: str, retry: bool) -> None:
        messages.append((name, args, queue))

    monkeypatch.setattr(dispatch.app, "send_task", send_task)
    return messages
