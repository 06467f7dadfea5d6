"""What the gateway does when lower apps say that something changed."""

from __future__ import annotations

from typing import Any

from server.device_gateway import goals
from server.fleet.services import GOAL_CHANGED
from server.lib import outbox


@outbox.handler(GOAL_CHANGED)
def drop_goal(payload: dict[str, Any]) -> None:
    """A goal, a configuration, a key or a state changed: the kept answer is void."""
    goals.drop(payload["device_id"])
