"""Releases in the shadow: started and ended for a whole group."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from inference_core.contract.device import ShadowLimits
from server.accounts import audit
from server.fleet.models import Device, Group
from server.fleet.services import announce
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import Release
from server.rollouts.models import ShadowRun
from server.rollouts.services.rollouts import check_certified


@transaction.atomic
def start_shadow(*, group: Group, release: Release, limits: ShadowLimits, actor: str) -> ShadowRun:
    """Let the group's devices run ``release`` on a share of their frames; it decides nothing.

    Raises Invalid for an empty group, and where a device lacks a certified artifact; Conflict
    where a device has another release in its shadow already.
    """
    members = Device.objects.filter(memberships__group=group, state=DeviceState.ACCEPTED)
    devices = list(members.select_related("profile").order_by("serial"))
    if not devices:
        raise Invalid(f"The group {group.name!r} has no accepted device.")
    check_certified(release, devices)
    _check_free(devices)
    run = ShadowRun(
        group=group,
        release=release,
        share=limits.share,
        max_cpu_share=limits.max_cpu_share,
        started_at=clock.now(),
        started_by=actor,
    )
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"A shadow of {group.name!r} was started at the same moment.") from None
    after = {"release": release.name, **limits.model_dump(mode="json")}
    _record(run, "start_shadow", actor, after=after)
    return run


def _check_free(devices: Sequence[Device]) -> None:
    runs = ShadowRun.objects.filter(ended_at=None, group__devices__in=devices)
    busy = runs.select_related("release", "group").first()
    if busy is not None:
        raise Conflict(
            f"{busy.release.name} runs in the shadow of the group {busy.group.name!r}, which has "
            "some of these devices; stop that one first.",
            shadow_run=str(busy.pk),
        )


@transaction.atomic
def stop_shadow(*, run: ShadowRun, actor: str, reason: str = "") -> None:
    """End it; Conflict where it has ended. What it showed stays."""
    ended_at = clock.now()
    if not ShadowRun.objects.filter(pk=run.pk, ended_at=None).update(ended_at=ended_at):
        raise Conflict("This shadow has ended already.")
    run.ended_at = ended_at
    _record(run, "stop_shadow", actor, reason=reason)


def _record(
    run: ShadowRun, action: str, actor: str, *, reason: str = "", after: object = None
) -> None:
    """The audit entry, and word to the devices, which begin or end with their next poll."""
    audit.record(
        actor=actor,
        action=action,
        subject="shadow_run",
        subject_id=str(run.pk),
        reason=reason,
        after=after,
    )
    announce(run.group.devices.values_list("pk", flat=True))
