"""Several people and workers at the same moment, each on a connection of their own."""

from __future__ import annotations

import uuid
from functools import partial

import pytest

from inference_core.contract.build import ParityLimits
from inference_core.contract.device import Report
from server.fleet import presence
from server.fleet.models import Device, HardwareProfile, Line, ReleaseRun
from server.lib import clock
from server.lib.errors import Conflict
from server.registry import services
from server.registry.models import (
    Alias,
    AliasMove,
    LimitsChange,
    ModelImport,
    ModelVersion,
    VisionModel,
)
from server.registry.services import imports
from tests.server.catalogue import ACTOR
from tests.server.rows import model_row, version_row
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def try_move(version: ModelVersion, expected: ModelVersion | None) -> bool:
    try:
        services.move_alias(
            model=version.model, name="champion", version=version, expected=expected,
            actor=ACTOR, reason="mine",
        )  # fmt: skip
    except Conflict:
        return False
    return True


def test_of_many_moves_at_once_one_wins() -> None:
    model = model_row()
    versions = [version_row(model, f"1.{n}.0") for n in range(4)]

    assert sum(at_once(*(partial(try_move, version, None) for version in versions))) == 1
    first = Alias.objects.get().version
    others = [version for version in versions if version != first]
    assert sum(at_once(*(partial(try_move, version, first) for version in others))) == 1
    assert [move.new for move in AliasMove.objects.order_by("pk")] == [
        first,
        Alias.objects.get().version,
    ]


def try_limits(model: VisionModel, max_p95_ms: float) -> bool:
    limits = ParityLimits(max_p95_ms=max_p95_ms)
    try:
        services.set_limits(model=model, limits=limits, expected=0, reason="mine", actor=ACTOR)
    except Conflict:
        return False
    return True


def test_of_many_who_change_limits_at_once_one_wins() -> None:
    model = model_row()

    assert sum(at_once(*(partial(try_limits, model, 10 + n) for n in range(4)))) == 1
    change, now = LimitsChange.objects.get(), VisionModel.objects.get()
    assert (change.new, change.number) == (now.limits_body, now.limits_number)


def test_of_many_workers_one_imports() -> None:
    model = model_row()
    rows = [
        ModelImport.objects.create(
            model=model, version_name=f"v{n}", foreign_name="m", foreign_version=str(n),
            created_at=clock.now(), created_by=ACTOR,
        )
        for n in range(4)
    ]  # fmt: skip

    leased = at_once(
        *(partial(imports.lease_import, import_id=row.pk, owner=row.version_name) for row in rows)
    )
    assert sum(row is not None for row in leased) == 1
    assert ModelImport.objects.filter(state="running").count() == 1


def test_reports_at_once_leave_one_open_run(line: Line) -> None:
    profile = HardwareProfile.objects.get_or_create(
        name="x86-onnxruntime",
        defaults={"runtime": "onnxruntime", "architecture": "x86_64", "precisions": ["fp32"]},
    )[0]
    device = Device.objects.create(
        serial="box-1", state="accepted", line=line, profile=profile, enrolled_at=clock.now()
    )

    def say(sha256: str) -> None:
        found = Device.objects.select_related("presence").get(pk=device.pk)
        message = Report(boot_id=uuid.UUID(int=1), running_sha256=sha256)
        presence.write(device=found, report=message)

    at_once(*(partial(say, digit * 64) for digit in "abc"))
    at_once(*(partial(say, digit * 64) for digit in "defa"))
    assert ReleaseRun.objects.filter(until=None).count() == 1
    assert not ReleaseRun.objects.exclude(until=None).filter(heard_until=None).exists()
