"""What a device says while it builds, and who else may be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

from inference_core.contract.device import BuildOffer, Goal
from server.builds import services
from server.builds.models import BuildTurn
from server.fleet.models import Line
from tests.server.box import Box, make_box
from tests.server.builds.test_outcomes import ENGINE, outcome_of
from tests.server.device_gateway.device_built import PROFILE

Somebody = Callable[..., APIClient]
BUILDING = f"/api/v1/hardware-profiles/{PROFILE}/building"
SHA256 = hashlib.sha256(ENGINE).hexdigest()


def says(box: Box, **changes: Any) -> BuildOffer | None:
    """What the box is offered when it polls, willing to build."""
    answer = box.poll(box.report(**{"may_build": True} | changes))
    return Goal.model_validate_json(answer.content).build


def offered(box: Box, busy: tuple[Any, ...] = ()) -> int:
    says(box)
    (turn,) = services.offer_builds(busy=busy)
    return turn.pk


def leased(box: Box) -> int:
    turn = offered(box)
    assert box.post(f"builds/{turn}/lease", {}).status_code == 200
    return turn


def send_piece(box: Box, turn: int, start: int, content: bytes) -> Any:
    return box.client.patch(
        f"/device/v1/builds/{turn}/artifact",
        content,
        content_type="application/octet-stream",
        headers={**box._headers(), "Linewarden-Offset": str(start)},
    )


def finish(box: Box, turn: int, tmp_path: Path, engine: bytes = ENGINE, **forged: Any) -> Any:
    send_piece(box, turn, 0, engine)
    row = BuildTurn.objects.select_related("build").get(pk=turn)
    outcome = outcome_of(row.build, tmp_path, **forged)
    return box.post(f"builds/{turn}/outcome", outcome.to_json())


def other_box(line: Line, serial: str = "box-2") -> Box:
    return make_box(line, serial)
