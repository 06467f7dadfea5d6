"""The rows that the tests ask for by name, and what every part of the story uses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.accounts.models import User
from server.builds.models import Build, ReleaseTarget
from server.fleet.models import Device, HardwareProfile, Line
from server.lib import clock
from server.lib.models import StateEvent
from server.registry.models import ModelVersion

MANIFEST = {
    "task": "segmentation",
    "inputs": [{"name": "image", "shape": [1, 3, 480, 640]}],
    "outputs": [{"name": "scores", "shape": [1, 3, 480, 640]}],
    "decoder": {
        "kind": "segment",
        "output": "scores",
        "labels": ["background", "scratch", "missing_metal"],
    },
    "licence": "Apache-2.0",
}


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """What the tests ask for by name."""

    now: datetime = field(default_factory=clock.now)
    users: dict[str, User] = field(default_factory=dict)
    profiles: dict[str, HardwareProfile] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    targets: dict[str, ReleaseTarget] = field(default_factory=dict)
    group: Any = None
    model: Any = None
    rollout: Any = None
    sample: Any = None
    foreign_sample: Any = None
    comparison: Any = None
    running_comparison: Any = None

    def ago(self, **delta: float) -> datetime:
        return self.now - timedelta(**delta)


def leave_event(
    world: World, subject: str, row: Any, move: tuple[str, str], *, reason: str = "", hours: float
) -> None:
    StateEvent.objects.create(
        subject=subject,
        subject_id=str(row.pk),
        old=move[0],
        new=move[1],
        actor="system",
        reason=reason,
        at=world.ago(hours=hours),
    )
