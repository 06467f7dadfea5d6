"""Which device is offered which build: one at a time, idle, willing, and another one next time."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from server.accounts.actors import SYSTEM
from server.builds.models import Build, BuildTurn
from server.builds.services.turns import end_turn
from server.builds.states import BuildState, TurnEnd, TurnState
from server.fleet.models import BuiltOn, Device
from server.fleet.selectors import PresenceWord, with_presence
from server.fleet.services import announce
from server.fleet.states import DeviceState
from server.fleet.windows import is_open
from server.lib import clock

MAX_OFFERS = 50
"""Builds that one sweep looks for a device for."""

OFFER_S = 900.0
"""An offer that was not taken by then goes to another device."""

REST_S = 3600.0
"""A device that declined a build, or let it lie, is asked again after so long."""


def offer_builds(*, busy: Container[UUID]) -> list[BuildTurn]:
    """Offer each queued build to a device of its profile, if one is fit now; the new offers.

    ``busy`` are devices with something better to do: a deployment that is open.
    """
    settle_turns()
    waiting = Build.objects.filter(state=BuildState.QUEUED, profile__built_on=BuiltOn.DEVICE)
    waiting = waiting.exclude(turns__in=BuildTurn.objects.exclude(state=TurnState.ENDED))
    offered = []
    for build in waiting.order_by("pk")[:MAX_OFFERS]:
        device = next((one for one in _candidates(build) if one.pk not in busy), None)
        turn = device and _offer(build, device)
        if turn:
            offered.append(turn)
    return offered


def settle_turns() -> int:
    """End turns that time or their build has left behind; how many."""
    open_turns = BuildTurn.objects.exclude(state=TurnState.ENDED)
    rows = open_turns.select_related("build__profile", "device__presence", "device__line")
    ends = [(turn, _why_over(turn, clock.now())) for turn in rows]
    return sum(end_turn(turn, *over, actor=SYSTEM) for turn, over in ends if over)


def _why_over(turn: BuildTurn, now: datetime) -> tuple[TurnEnd, str] | None:
    build = turn.build
    if turn.state == TurnState.LEASED:
        is_held = build.state == BuildState.LEASED and build.lease_owner == turn.owner
        return None if is_held else (TurnEnd.LOST, f"{turn.device} was not heard of in time.")
    why = _why_withdrawn(turn, now)
    return (TurnEnd.WITHDRAWN, why) if why else None


def _why_withdrawn(turn: BuildTurn, now: datetime) -> str:
    build = turn.build
    if build.state != BuildState.QUEUED or not build.profile.is_built_on_device:
        return "The build does not wait for a device any more."
    if turn.device.state != DeviceState.ACCEPTED:
        return f"{turn.device} is {turn.device.state}."
    if not is_open(turn.device.line.window, now):
        return "The update window of its line closed before it began."
    if turn.offered_at < now - timedelta(seconds=OFFER_S):
        return f"{turn.device} did not take it within {OFFER_S:g} s."
    return ""


def _candidates(build: Build) -> list[Device]:
    """Devices that could begin now; those that had fewer turns at this build first."""
    now = clock.now()
    fit = with_presence(willing_devices(build), PresenceWord.ONLINE, now)
    resting = BuildTurn.objects.filter(
        build=build,
        ended__in=[TurnEnd.DECLINED, TurnEnd.WITHDRAWN],
        ended_at__gt=now - timedelta(seconds=REST_S),
    )
    taken = BuildTurn.objects.exclude(state=TurnState.ENDED)
    fit = fit.exclude(build_turns__in=resting).exclude(build_turns__in=taken)
    turns = Count("build_turns", filter=Q(build_turns__build=build))
    ordered = fit.annotate(turns=turns).order_by("turns", "serial").select_related("line")
    return [device for device in ordered if is_open(device.line.window, now)]


def willing_devices(build: Build) -> QuerySet[Device]:
    """Accepted devices of the build's profile that say that they may build."""
    return Device.objects.filter(
        profile=build.profile_id, state=DeviceState.ACCEPTED, presence__may_build=True
    )


def _offer(build: Build, device: Device) -> BuildTurn | None:
    """None where somebody else was faster: the database holds one open turn for each."""
    try:
        with transaction.atomic():
            turn = BuildTurn.objects.create(build=build, device=device, offered_at=clock.now())
            announce([device.pk])
    except IntegrityError:
        return None
    return turn
