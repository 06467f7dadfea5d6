"""Which device is offered what: one at a time, idle, willing, and another one next time."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Case, Count, Q, QuerySet, Value, When

from server.accounts.actors import SYSTEM
from server.builds.checks.leases import tell_left
from server.builds.checks.materials import why_not_on_a_device
from server.builds.checks.states import CheckState
from server.builds.device_files import MAX_SET_IMAGES
from server.builds.models import Build, BuildTurn, PipelineCheck
from server.builds.services.turns import end_turn
from server.builds.services.works import BuildWork, CheckWork, Work, work_of
from server.builds.states import BuildState, TurnEnd, TurnState
from server.builds.willing import willing_devices
from server.fleet.models import BuiltOn, Device
from server.fleet.selectors import PresenceWord, with_presence
from server.fleet.services import announce
from server.fleet.states import DeviceState
from server.fleet.windows import is_open
from server.lib import clock

MAX_OFFERS = 50
"""Pieces of work of each kind that one sweep looks for a device for."""

OFFER_S = 900.0
"""An offer that was not taken by then goes to another device."""

REST_S = 3600.0
"""A device that declined something, or let it lie, is asked again after so long."""

OTHERS_FIRST_S = 900.0
"""So long a check waits for a device other than the one that built, where there is one."""


def offer_builds(*, busy: Container[UUID]) -> list[BuildTurn]:
    """Offer each queued build to a device of its profile, if one is fit now; the new offers.

    ``busy`` are devices with something better to do: a deployment that is open.
    """
    settle_turns()
    waiting = Build.objects.filter(
        state=BuildState.QUEUED,
        profile__built_on=BuiltOn.DEVICE,
        version__model__golden__image_count__lte=MAX_SET_IMAGES,
        version__model__calibration__image_count__lte=MAX_SET_IMAGES,
    )
    waiting = waiting.exclude(turns__in=_open_turns()).select_related("profile")
    return _offer_each((BuildWork(build) for build in waiting.order_by("pk")[:MAX_OFFERS]), busy)


def offer_checks(*, busy: Container[UUID]) -> list[BuildTurn]:
    """The same for golden cases, where devices build for their own profile."""
    settle_turns()
    waiting = PipelineCheck.objects.filter(
        state=CheckState.QUEUED, profile__built_on=BuiltOn.DEVICE
    )
    waiting = waiting.exclude(turns__in=_open_turns())
    rows = waiting.select_related("profile", "release__golden").order_by("pk")[:MAX_OFFERS]
    return _offer_each((CheckWork(row) for row in rows if _is_for_devices(row)), busy)


def _is_for_devices(check: PipelineCheck) -> bool:
    why = why_not_on_a_device(check)
    if why != check.reason:
        tell_left(check=check, why=why)
    return not why


def settle_turns() -> int:
    """End turns that time or their work has left behind; how many."""
    rows = _open_turns().select_related(
        "build__profile",
        "pipeline_check__profile",
        "pipeline_check__release",
        "device__presence",
        "device__line",
    )
    ends = [(turn, _why_over(turn, clock.now())) for turn in rows]
    return sum(end_turn(turn, *over, actor=SYSTEM) for turn, over in ends if over)


def _open_turns() -> QuerySet[BuildTurn]:
    return BuildTurn.objects.exclude(state=TurnState.ENDED)


def _why_over(turn: BuildTurn, now: datetime) -> tuple[TurnEnd, str] | None:
    if turn.state == TurnState.LEASED:
        is_held = work_of(turn).is_held_by(turn.owner)
        return None if is_held else (TurnEnd.LOST, f"{turn.device} was not heard of in time.")
    why = _why_withdrawn(turn, now)
    return (TurnEnd.WITHDRAWN, why) if why else None


def _why_withdrawn(turn: BuildTurn, now: datetime) -> str:
    if not work_of(turn).is_waiting:
        return "It does not wait for a device any more."
    if turn.device.state != DeviceState.ACCEPTED:
        return f"{turn.device} is {turn.device.state}."
    if not is_open(turn.device.line.window, now):
        return "The update window of its line closed before it began."
    if turn.offered_at < now - timedelta(seconds=OFFER_S):
        return f"{turn.device} did not take it within {OFFER_S:g} s."
    return ""


def _offer_each(works: Iterable[Work], busy: Container[UUID]) -> list[BuildTurn]:
    offered = []
    for work in works:
        device = next((one for one in _candidates(work) if one.pk not in busy), None)
        turn = device and _offer(work, device)
        if turn:
            offered.append(turn)
    return offered


def _candidates(work: Work) -> list[Device]:
    """Devices that could begin now; those that had fewer turns at it first, makers after others."""
    now, makers = clock.now(), work.find_makers()
    ordered = _in_order(_at_leisure(work, now), work, makers)
    able: list[Device] = [device for device in ordered if is_open(device.line.window, now)]
    if all(device.pk in makers for device in able) and _waits_for_others(work, makers, now):
        return []
    return able


def _at_leisure(work: Work, now: datetime) -> QuerySet[Device]:
    """Online and willing, without a turn, and not one that has just turned this down."""
    fit = with_presence(willing_devices(work.profile), PresenceWord.ONLINE, now)
    resting = BuildTurn.objects.filter(
        **work.earlier,
        ended__in=[TurnEnd.DECLINED, TurnEnd.WITHDRAWN],
        ended_at__gt=now - timedelta(seconds=REST_S),
    )
    return fit.exclude(build_turns__in=resting).exclude(build_turns__in=_open_turns())


def _in_order(fit: QuerySet[Device], work: Work, makers: frozenset[UUID]) -> QuerySet[Device]:
    of_it = Q(**{f"build_turns__{name}": value for name, value in work.earlier.items()})
    fit = fit.alias(turns=Count("build_turns", filter=of_it)).select_related("line")
    if not makers:
        return fit.order_by("turns", "serial")
    made_it = Case(When(pk__in=makers, then=Value(1)), default=Value(0))
    return fit.alias(made_it=made_it).order_by("turns", "made_it", "serial")


def _waits_for_others(work: Work, makers: frozenset[UUID], now: datetime) -> bool:
    """Whether a second pair of eyes is worth some more time."""
    if not makers or now > work.since + timedelta(seconds=OTHERS_FIRST_S):
        return False
    return willing_devices(work.profile).exclude(pk__in=makers).exists()


def _offer(work: Work, device: Device) -> BuildTurn | None:
    """None where somebody else was faster: the database holds one open turn for each."""
    now = clock.now()
    try:
        with transaction.atomic():
            turn = BuildTurn.objects.create(**work.named, device=device, offered_at=now)
            announce([device.pk])
    except IntegrityError:
        return None
    return turn
