"""Sweeps of the gateway."""

from __future__ import annotations

from celery import shared_task

from server.builds import services as builds
from server.device_gateway import services
from server.rollouts.selectors import devices_in_rollouts


@shared_task
def forget_assertions() -> None:
    """Drop used assertions that have expired."""
    services.forget_assertions()


@shared_task
def offer_builds() -> None:
    """Ask idle devices to build for their own profile, and to judge golden cases, one each."""
    busy = set(devices_in_rollouts())
    builds.offer_builds(busy=busy)
    builds.offer_checks(busy=busy)
