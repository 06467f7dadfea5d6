"""The sweep that moves rollouts on."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from server.lib.states import StaleState
from server.rollouts.models import Rollout
from server.rollouts.services import tick_rollout
from server.rollouts.states import RolloutState

logger = logging.getLogger(__name__)


@shared_task
def tick_rollouts() -> None:
    """Tick every rollout that is scheduled or running, each in its own transaction."""
    alive = (RolloutState.SCHEDULED, RolloutState.RUNNING)
    for rollout_id in Rollout.objects.filter(state__in=alive).values_list("pk", flat=True):
        _tick(rollout_id)


def _tick(rollout_id: UUID) -> None:
    try:
        tick_rollout(rollout_id=rollout_id)
    except StaleState as error:
        logger.info("rollout %s: %s The next tick sees to it.", rollout_id, error)
    except Exception:  # one rollout that cannot be ticked must not stop all the others
        logger.exception("rollout %s could not be ticked", rollout_id)
