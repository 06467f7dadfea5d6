"""What may be seen of the fleet, cut to the caller's sites."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, F, Q, QuerySet

from inference_core.contract.device import DeviceConfig
from server.accounts.models import Role, User
from server.accounts.scope import site_names
from server.fleet.models import AgentRelease, Device, Group, HardwareProfile, Line, Presence, Site
from server.fleet.states import DeviceState
from server.lib.errors import Forbidden, NotFound

Caller = User | AnonymousUser


class PresenceWord(StrEnum):
    """How lately a device was heard of, in periods of the poll."""

    ONLINE = "online"
    STALE = "stale"
    OFFLINE = "offline"


ONLINE_POLLS = 2.5
STALE_POLLS = 10.0
_FLUSH_SLACK = timedelta(seconds=10)
"""Idle polls are written every few seconds; nobody is called late for that."""


def presence_limits(now: datetime) -> tuple[datetime, datetime]:
    """Seen since the first: online; since the second: stale; before it: offline."""
    poll_s = settings.ENV.poll_s
    online = now - timedelta(seconds=ONLINE_POLLS * poll_s) - _FLUSH_SLACK
    return online, now - timedelta(seconds=STALE_POLLS * poll_s) - _FLUSH_SLACK


def presence(device: Device, now: datetime) -> PresenceWord:
    """Derived from the last poll and the broker's word, never stored.

    A device that never polled is offline, and so is one that the broker has lost since it was
    last seen: its next poll, or its coming back to the broker, says otherwise.
    """
    row: Presence | None = getattr(device, "presence", None)
    online_since, stale_since = presence_limits(now)
    if row is None or row.last_seen_at < stale_since or row.is_gone:
        return PresenceWord.OFFLINE
    return PresenceWord.ONLINE if row.last_seen_at >= online_since else PresenceWord.STALE


def has_presence(word: PresenceWord, now: datetime) -> Q:
    """The condition on Device that ``presence`` is, for the database."""
    online_since, stale_since = presence_limits(now)
    gone = Q(presence__left_at__gte=F("presence__last_seen_at"))
    if word is PresenceWord.ONLINE:
        return Q(presence__last_seen_at__gte=online_since) & ~gone
    if word is PresenceWord.STALE:
        seen = Q(presence__last_seen_at__gte=stale_since, presence__last_seen_at__lt=online_since)
        return seen & ~gone
    return Q(presence=None) | Q(presence__last_seen_at__lt=stale_since) | gone


def with_presence(devices: QuerySet[Device], word: PresenceWord, now: datetime) -> QuerySet[Device]:
    """Those of ``devices`` whose presence is ``word``, found by the database."""
    return devices.filter(has_presence(word, now))


def sites_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Site]:
    """Sites where ``user`` has at least ``role``."""
    names = site_names(user, role)
    sites = Site.objects.order_by("name")
    return sites if names is None else sites.filter(name__in=names)


def lines_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Line]:
    """Lines of those sites."""
    names = site_names(user, role)
    lines = Line.objects.select_related("site").order_by("site__name", "name")
    return lines if names is None else lines.filter(site__name__in=names)


def line_for(user: Caller, site: str, name: str, role: Role = Role.VIEWER) -> Line:
    """One line; NotFound where there is none within the caller's scope."""
    line = lines_for(user, role).filter(site__name=site, name=name).first()
    if line is None:
        raise NotFound(f"There is no line {name!r} of a site {site!r} in your scope.")
    return line


def devices_for(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Device]:
    """Devices at sites where ``user`` has at least ``role``, with place, profile and presence."""
    names = site_names(user, role)
    devices = Device.objects.select_related("line__site", "profile", "presence")
    return devices if names is None else devices.filter(line__site__name__in=names)


def device_for(user: Caller, device_id: UUID | str, role: Role = Role.VIEWER) -> Device:
    """One device; NotFound outside the caller's scope, as if it did not exist."""
    device = devices_for(user, role).filter(pk=device_id).first()
    if device is None:
        raise NotFound("There is no such device in your scope.")
    return device


def group_named(name: str) -> Group:
    """A group by its name. Groups cross sites; what they show of devices is scoped."""
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise NotFound(f"There is no group {name!r}.")
    return group


def groups_within(user: Caller, role: Role = Role.VIEWER) -> QuerySet[Group]:
    """Groups whose every device stands where ``user`` has at least ``role``.

    A group that crosses sites belongs to those who may act at all of them: what is decided of a
    group is one decision for all of it.
    """
    sites = site_names(user, role)
    if sites is None:
        return Group.objects.all()
    foreign = Device.objects.exclude(line__site__name__in=sites)
    mine = Group.objects.filter(devices__line__site__name__in=sites).distinct()
    return mine.exclude(devices__in=foreign)


def group_for(user: Caller, name: str, role: Role = Role.VIEWER) -> Group:
    """One group; NotFound outside the scope, Forbidden where only the role is missing."""
    group = groups_within(user, role).filter(name=name).first()
    if group is not None:
        return group
    if groups_within(user).filter(name=name).exists():
        raise Forbidden(f"This needs the role {role.value} at every site of the group {name!r}.")
    raise NotFound(f"There is no group {name!r} in your scope.")


def agent_release_of(device: Device) -> AgentRelease | None:
    """The newest agent that one of its groups should run; None is the one that it has."""
    return AgentRelease.objects.filter(groups__devices=device).order_by("-counter").first()


def agent_release_named(version: str) -> AgentRelease:
    """A published agent; NotFound where there is none."""
    release = AgentRelease.objects.filter(version=version).first()
    if release is None:
        raise NotFound(f"There is no agent release {version!r}; publish its wheel first.")
    return release


def profiles_in_use() -> QuerySet[HardwareProfile]:
    """Profiles of devices that are not revoked: what builds are needed for."""
    in_use = Device.objects.exclude(state=DeviceState.REVOKED).values("profile")
    return HardwareProfile.objects.filter(pk__in=in_use).order_by("name")


def profile_named(name: str) -> HardwareProfile:
    """A hardware profile; NotFound where there is none."""
    profile = HardwareProfile.objects.filter(name=name).first()
    if profile is None:
        raise NotFound(f"There is no hardware profile {name!r}.")
    return profile


def profiles_counted(user: Caller) -> QuerySet[HardwareProfile]:
    """All profiles, with their devices within the scope and their artifacts counted."""
    sites = site_names(user)
    seen = None if sites is None else Q(devices__line__site__name__in=sites)
    return HardwareProfile.objects.order_by("name").annotate(
        device_count=Count("devices", filter=seen, distinct=True),
        artifact_count=Count("artifacts", distinct=True),
    )


def config_of(device: Device) -> DeviceConfig:
    """The device's own configuration, as it goes into its goal."""
    return DeviceConfig(
        cameras=tuple(camera.message for camera in device.cameras.all()),
        sample_every_s=device.sample_every_s,
        sampling=device.sampling_policy,
    )
