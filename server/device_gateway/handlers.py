"""What the gateway does when lower apps say that something changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from server.broker.services import ring
from server.device_gateway import goals
from server.fleet.services import GOAL_CHANGED
from server.lib import outbox
from server.rollouts.selectors import generation_of
from server.trust.certificates import follow_device


@outbox.handler(GOAL_CHANGED)
def follow_change(payload: dict[str, Any]) -> None:
    """A goal, a configuration, a key or a state changed.

    The kept answer is void first: a device that is rung must not be given it.
    """
    device_id = payload["device_id"]
    goals.drop(device_id)
    follow_device(device_id=device_id)
    if settings.ENV.push_broker() is not None:
        ring(device_id=device_id, generation=generation_of(device_id))
