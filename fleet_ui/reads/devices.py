"""The list of devices: its filter, its rows and its counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, QuerySet, Sum

from fleet_ui.access import Sites, within
from fleet_ui.reads.presence import conditions, presence_of
from server.builds.models import ReleaseTarget
from server.fleet.models import Device, Group, HardwareProfile, Presence
from server.fleet.states import DeviceState
from server.rollouts.models import TERMINAL, Deployment, Desired
from server.telemetry.models import HourSummary

PAGE_ROWS = 50


@dataclass(frozen=True)
class DeviceFilter:
    """What the address asks for. Words that mean nothing filter nothing."""

    search: str = ""
    presence: str = ""
    group: str = ""
    profile: str = ""
    goal: str = ""
    fit: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> DeviceFilter:
        """From the query string, cut to what a name may have."""
        return cls(**{name: query.get(name, "")[:100] for name in cls.__annotations__})

    @property
    def is_empty(self) -> bool:
        """Whether it leaves everything in."""
        return self == DeviceFilter()


@dataclass(frozen=True)
class DeviceRow:
    """One line of the list."""

    device: Device
    presence: str
    goal: str
    running: str
    desired: str
    phase: str
    frames: int
    failed: int

    @property
    def fail_share(self) -> float | None:
        """Share of parts that failed; None of no parts."""
        return self.failed / self.frames if self.frames else None


def seen_devices(sites: Sites) -> QuerySet[Device]:
    """Devices in scope."""
    return within(Device.objects.all(), sites, "line__site__name")


def filter_devices(
    devices: QuerySet[Device], wanted: DeviceFilter, now: datetime
) -> QuerySet[Device]:
    """``devices`` cut down to what the filter wants."""
    if wanted.search:
        devices = devices.filter(
            Q(serial__icontains=wanted.search)
            | Q(line__title__icontains=wanted.search)
            | Q(line__site__title__icontains=wanted.search)
        )
    if wanted.group:
        devices = devices.filter(groups__name=wanted.group)
    if wanted.profile:
        devices = devices.filter(profile__name=wanted.profile)
    if wanted.fit == "no":
        devices = devices.exclude(misfit="").exclude(state=DeviceState.REVOKED)
    if wanted.goal == "differs":
        devices = not_running_goal(devices)
    condition = conditions(now).get(wanted.presence)
    return devices if condition is None else devices.filter(condition)


def not_running_goal(devices: QuerySet[Device]) -> QuerySet[Device]:
    """Devices that should run something, run something else, and are not on the way to it."""
    on_the_way = Deployment.objects.filter(device=OuterRef("pk")).exclude(phase__in=TERMINAL)
    at_goal = Presence.objects.filter(
        device=OuterRef("pk"), running_sha256=OuterRef("desired__target__sha256")
    )
    return devices.filter(
        ~Exists(on_the_way), ~Exists(at_goal), desired__target__isnull=False, state="accepted"
    )


def count_presence(devices: QuerySet[Device], now: datetime) -> dict[str, int]:
    """How many devices are online, stale, offline and pending, in one query."""
    counts = {word: Count("pk", filter=q, distinct=True) for word, q in conditions(now).items()}
    return devices.aggregate(**counts)


def page_of_devices(
    devices: QuerySet[Device], number: str | None, now: datetime
) -> tuple[Page[Device], list[DeviceRow]]:
    """One page of rows; the number of queries does not depend on the number of rows."""
    moving = Deployment.objects.exclude(phase__in=TERMINAL)
    wanted = (
        devices.select_related("line__site", "profile", "presence", "desired__target__release")
        .prefetch_related("groups", Prefetch("deployments", moving))
        .order_by("serial")
    )
    page = Paginator(wanted, PAGE_ROWS).get_page(number)
    return page, list(_rows(list(page.object_list), now))


def choices(sites: Sites) -> dict[str, Any]:
    """What the filter offers: groups and profiles that have a device in scope."""
    devices = seen_devices(sites)
    return {
        "groups": Group.objects.filter(Exists(devices.filter(groups=OuterRef("pk")))).order_by(
            "title"
        ),
        "profiles": HardwareProfile.objects.filter(
            Exists(devices.filter(profile=OuterRef("pk")))
        ).order_by("name"),
    }


def release_names(digests: Iterable[str]) -> dict[str, str]:
    """Names of the releases that were signed under these digests."""
    return dict(
        ReleaseTarget.objects.filter(sha256__in=set(digests)).values_list("sha256", "release__name")
    )


def goal_word(device: Device, desired: Desired | None, phase: str) -> str:
    """Whether the device runs what it should, as one word."""
    if desired is None or desired.target is None:
        return "no_goal"
    presence = getattr(device, "presence", None)
    if presence is not None and presence.running_sha256 == desired.target.sha256:
        return "running_goal"
    return phase or "not_running_its_goal"


def _rows(devices: list[Device], now: datetime) -> Iterable[DeviceRow]:
    seen = [device.presence for device in devices if hasattr(device, "presence")]
    names = release_names(presence.running_sha256 for presence in seen)
    frames = _frames_of_a_day(devices, now)
    for device in devices:
        presence = getattr(device, "presence", None)
        desired = getattr(device, "desired", None)
        phase = next((part.phase for part in device.deployments.all()), "")
        running = presence.running_sha256 if presence else ""
        judged, failed = frames.get(device.pk, (0, 0))
        yield DeviceRow(
            device=device,
            presence=presence_of(device, now),
            goal=goal_word(device, desired, phase),
            running=names.get(running, running[:12]),
            desired=desired.target.release.name if desired and desired.target else "",
            phase=phase,
            frames=judged,
            failed=failed,
        )


def _frames_of_a_day(devices: list[Device], now: datetime) -> dict[Any, tuple[int, int]]:
    rows = (
        HourSummary.objects.filter(device__in=devices, hour__gte=now - timedelta(hours=24))
        .values("device_id")
        .annotate(total=Sum(F("passed") + F("failed")), bad=Sum("failed"))
    )
    return {row["device_id"]: (row["total"], row["bad"]) for row in rows}
