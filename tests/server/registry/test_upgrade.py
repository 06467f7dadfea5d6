"""What an older server stored goes on: runs of devices, figures of versions."""

from __future__ import annotations

import uuid
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps

from server.fleet.models import Device, HardwareProfile, Line, Presence, ReleaseRun
from server.lib import clock
from server.registry.models import ModelVersion
from tests.server.rows import model_row, version_row

pytestmark = pytest.mark.django_db
SERVER = Path(__file__).resolve().parents[3] / "server"


def migration(app: str, name: str) -> object:
    (path,) = (SERVER / app / "migrations").glob(f"*_{name}.py")
    return import_module(f"server.{app}.migrations.{path.stem}")


def test_devices_that_ran_something_have_a_run_from_their_last_report_on(line: Line) -> None:
    profile = HardwareProfile.objects.create(
        name="box", runtime="onnxruntime", architecture="x86_64", precisions=["fp32"]
    )
    for serial, sha256 in (("box-1", "a" * 64), ("box-2", "")):
        device = Device.objects.create(
            serial=serial, line=line, profile=profile, enrolled_at=clock.now()
        )
        Presence.objects.create(
            device=device, last_seen_at=clock.now(), boot_id=uuid.uuid4(), running_sha256=sha256
        )
    migration("fleet", "running_history").open_runs(apps, None)  # type: ignore[attr-defined]

    run = ReleaseRun.objects.get()
    assert (run.device.serial, run.sha256, run.until) == ("box-1", "a" * 64, None)
    assert run.since == run.device.presence.last_seen_at


def test_figures_of_a_manifest_become_those_of_its_version(db: None) -> None:
    version_row(model_row(), manifest_body={"metrics": {"mean_iou": 0.8, "nan": None}})
    migration("registry", "aliases_lineage_imports").copy_metrics(  # type: ignore[attr-defined]
        apps, None
    )
    assert ModelVersion.objects.get().metrics == {"mean_iou": 0.8}
