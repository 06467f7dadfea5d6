"""What a device says while it judges golden cases, and a true verdict on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

from inference_core.contract.base import Message
from inference_core.contract.device import CheckOffer, Goal
from inference_core.contract.device_build import BuildSet
from inference_core.contract.device_check import CheckLease
from inference_core.contract.golden import PipelineOutcome
from inference_core.optimize.golden import run_check
from server.builds import selectors, services
from server.builds.models import BuildTurn, PipelineCheck
from server.datasets.models import DatasetVersion
from server.fleet.models import Device
from server.lib import blobs
from server.registry.models import Release
from server.registry.services import create_release
from tests.server import catalogue
from tests.server.box import Box

Somebody = Callable[..., APIClient]
API = "/api/v1/releases/r1/checks"
WAITS = "waits for a device of this profile to judge its golden cases"


def make_release(patches: DatasetVersion, **changes: Any) -> Release:
    fields: dict[str, Any] = {
        "pipeline": catalogue.pipeline(rule="defects.count('dark') > 0"),
        "versions": {catalogue.MODEL: "1.0.0"},
        "golden": patches,
        "notes": "",
    }
    return create_release(name="r1", actor="test", **fields | changes)


def says(box: Box, **changes: Any) -> CheckOffer | None:
    """What the box is offered when it polls, willing to build."""
    answer = box.poll(box.report(**{"may_build": True} | changes))
    return Goal.model_validate_json(answer.content).check


def offered(*boxes: Box) -> BuildTurn:
    for box in boxes:
        says(box)
    (turn,) = services.offer_checks(busy=())
    return turn


def leased(box: Box) -> CheckLease:
    turn = offered(box)
    answer = box.post(f"checks/{turn.pk}/lease", {})
    assert answer.status_code == 200, answer.content
    return CheckLease.model_validate_json(answer.content)


class Storage:
    """Brings what a lease names, as a device would by its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bring_file(self, sha256: str, length: int, path: Path, _: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs.read(sha256))
        assert path.stat().st_size == length

    def bring_set(self, wanted: BuildSet, folder: Path) -> Path:
        for file in wanted.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blobs.read(file.sha256))
        return folder

    def write_job(self, job: Message) -> Path:
        path = self.folder / "job.json"
        path.write_bytes(job.to_json())
        return path


def judged(lease: CheckLease, tmp_path: Path) -> PipelineOutcome:
    """What a true child says of a lease."""
    from device_agent.building.works import CheckWork
    from inference_core.contract.golden import PipelineJob

    storage: Any = Storage(tmp_path / "work")
    path = CheckWork(lease).bring(storage, None)
    outcome = run_check(PipelineJob.model_validate_json(path.read_bytes()), lambda _: None)
    shutil.rmtree(storage.folder)
    return outcome


def deliver(box: Box, lease: CheckLease, outcome: PipelineOutcome) -> Any:
    return box.post(f"checks/{lease.turn}/outcome", outcome.to_json())


def finish(box: Box, tmp_path: Path) -> PipelineCheck:
    lease = leased(box)
    answer = deliver(box, lease, judged(lease, tmp_path))
    assert answer.status_code == 200, answer.content
    return PipelineCheck.objects.get(pk=lease.check)


def whys() -> list[str]:
    release = Release.objects.get(name="r1")
    devices = Device.objects.select_related("profile")
    return [m.why for m in selectors.missing_artifacts(release, devices)]
