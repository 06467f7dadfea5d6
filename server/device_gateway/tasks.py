"""Sweeps of the gateway."""

from __future__ import annotations

from celery import shared_task

from server.builds.services import offer_builds as offer
from server.device_gateway import services
from server.rollouts.selectors import devices_in_rollouts


@shared_task
def forget_assertions() -> None:
    """Drop used assertions that have expired."""
    services.forget_assertions()


@shared_task
def offer_builds() -> None:
    """Ask idle devices to build for their own profile, one each."""
    offer(busy=devices_in_rollouts())
