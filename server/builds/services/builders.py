"""Which workers take builds, as they say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from server.builds.models import Builder
from server.fleet.models import HardwareProfile
from server.lib import clock

FORGOTTEN_AFTER = timedelta(days=7)


def announce_builder(*, name: str, problems: Mapping[HardwareProfile, str]) -> None:
    """A worker lives and takes builds of these profiles; a problem says that it cannot make them.

    May run twice. Queues that it no longer serves are forgotten.
    """
    now = clock.now()
    Builder.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
    Builder.objects.filter(name=name).exclude(profile__in=problems).delete()
    for profile, problem in problems.items():
        told = {"seen_at": now, "problem": problem}
        Builder.objects.update_or_create(name=name, profile=profile, defaults=told)


def forget_builder(*, name: str) -> None:
    """A worker has ended as it was asked to; one that is killed is only no longer seen."""
    Builder.objects.filter(name=name).update(problem="it was stopped")
