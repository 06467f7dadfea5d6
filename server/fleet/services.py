"""Devices and the groups they are in: the only writers of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction

from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.serve import Camera as CameraMessage
from server.accounts import audit
from server.fleet.keys import fingerprint
from server.fleet.models import Camera, Device, Group, Line, Membership, Site
from server.fleet.profile_services import seed_profiles as seed_profiles  # noqa: PLC0414 - a door
from server.fleet.states import DEVICE, DeviceState
from server.lib import clock, outbox
from server.lib.errors import Conflict, Invalid
from server.lib.states import StaleState, move

GOAL_CHANGED = "goal_changed"
"""Outbox topic {device_id}: what a device may do or should do is no longer what it was."""


def announce(device_ids: Iterable[UUID]) -> None:
    """Say that the goals of these devices are not what they were."""
    for device_id in device_ids:
        outbox.enqueue(GOAL_CHANGED, {"device_id": str(device_id)})


@transaction.atomic
def create_site(*, name: str, title: str, actor: str) -> Site:
    """A new factory; Conflict where the name is taken."""
    site, is_new = Site.objects.get_or_create(name=name, defaults={"title": title})
    _require_new(is_new, f"There is a site {name!r} already.")
    _record(actor, "create", "site", site.name, after={"title": title})
    return site


@transaction.atomic
def create_line(*, site: Site, name: str, title: str, actor: str) -> Line:
    """A new line of ``site``; Conflict where the name is taken there."""
    line, is_new = Line.objects.get_or_create(site=site, name=name, defaults={"title": title})
    _require_new(is_new, f"The site {site.name!r} has a line {name!r} already.")
    _record(actor, "create", "line", f"{site.name}/{name}", after={"title": title})
    return line


@transaction.atomic
def create_group(*, name: str, title: str, actor: str) -> Group:
    """A new, empty group; Conflict where the name is taken."""
    group, is_new = Group.objects.get_or_create(name=name, defaults={"title": title})
    _require_new(is_new, f"There is a group {name!r} already.")
    _record(actor, "create", "group", group.name, after={"title": title})
    return group


@transaction.atomic
def add_to_group(*, group: Group, devices: Iterable[Device], actor: str) -> None:
    """Put devices into ``group``; those that are in it stay as they are."""
    rows = [Membership(group=group, device=device, joined_at=clock.now()) for device in devices]
    Membership.objects.bulk_create(rows, ignore_conflicts=True)
    ids = [str(row.device_id) for row in rows]
    _record(actor, "add_devices", "group", group.name, after={"devices": ids})
    announce(row.device_id for row in rows)


@transaction.atomic
def remove_from_group(*, group: Group, device: Device, actor: str) -> None:
    """Take a device out of ``group``; nothing happens where it is not in it."""
    removed, _ = Membership.objects.filter(group=group, device=device).delete()
    if removed:
        _record(actor, "remove_device", "group", group.name, before={"device": str(device.pk)})
        announce([device.pk])


@transaction.atomic
def configure_device(
    *,
    device: Device,
    actor: str,
    cameras: Sequence[CameraMessage] | None = None,
    sample_every_s: float | None = None,
) -> None:
    """Replace the cameras, the pace of samples, or both; None leaves as it is."""
    if cameras is not None:
        _replace_cameras(device, cameras)
    if sample_every_s is not None:
        device.sample_every_s = sample_every_s
        device.save(update_fields=["sample_every_s"])
    after = {
        "cameras": None if cameras is None else [camera.name for camera in cameras],
        "sample_every_s": sample_every_s,
    }
    _record(actor, "configure", "device", str(device.pk), after=after)
    announce([device.pk])


@transaction.atomic
def set_sampling(*, device: Device, policy: SamplingPolicy | None, actor: str) -> None:
    """Say what samples may cost and which frames they are of; None is the usual policy."""
    before, device.sampling = device.sampling, policy and policy.model_dump(mode="json")
    device.save(update_fields=["sampling"])
    _record(actor, "set_sampling", "device", str(device.pk), before=before, after=device.sampling)
    announce([device.pk])


@transaction.atomic
def assign_variant(*, device: Device, variant: str, actor: str) -> None:
    """Put a device into an arm of an experiment; empty takes it out."""
    before, device.variant = device.variant, variant
    device.save(update_fields=["variant"])
    _record(
        actor,
        "assign_variant",
        "device",
        str(device.pk),
        before={"variant": before},
        after={"variant": variant},
    )
    announce([device.pk])


def _replace_cameras(device: Device, cameras: Sequence[CameraMessage]) -> None:
    names = [camera.name for camera in cameras]
    if len(set(names)) != len(names):
        raise Invalid(f"Two cameras of one device share a name: {sorted(names)}.")
    # Two admins at once: the row is locked, so that the later list replaces the earlier whole.
    Device.objects.select_for_update().get(pk=device.pk)
    device.cameras.all().delete()
    Camera.objects.bulk_create(Camera(device=device, **camera.model_dump()) for camera in cameras)


@transaction.atomic
def accept_device(
    *, device: Device, actor: str, reason: str = "", key_fingerprint: str | None = None
) -> None:
    """Trust a pending device, or the new key that waits on a known one; the old key dies.

    ``key_fingerprint`` is the one that the person compared: another key that came meanwhile
    is then a Conflict, and is not accepted unseen.
    """
    key = device.pending_public_key or device.public_key
    if key_fingerprint is not None and key_fingerprint != fingerprint(key):
        raise Conflict("The device waits with another key now; look again before accepting it.")
    if device.pending_public_key:
        _switch_key(device)
    elif device.state == DeviceState.ACCEPTED:
        raise Conflict("The device is accepted already, and no new key waits.")
    if device.state != DeviceState.ACCEPTED:
        move(DEVICE, device, DeviceState.ACCEPTED, actor=actor, reason=reason)
    after = {"key": fingerprint(key), "variant": device.variant}
    _record(actor, "accept", "device", str(device.pk), reason, after=after)
    announce([device.pk])


def _switch_key(device: Device) -> None:
    changed = Device.objects.filter(
        pk=device.pk, pending_public_key=device.pending_public_key
    ).update(
        public_key=device.pending_public_key,
        pending_public_key="",
        variant=device.variant or device.pending_variant,
        pending_variant="",
    )
    if not changed:
        raise StaleState("The key that waited has changed meanwhile; read the device again.")
    device.public_key, device.pending_public_key = device.pending_public_key, ""
    device.variant, device.pending_variant = device.variant or device.pending_variant, ""


def quarantine_device(*, device: Device, actor: str, reason: str) -> None:
    """Cut a device off for now; what it runs goes on, and its data waits on it."""
    _move(device, DeviceState.QUARANTINED, "quarantine", actor, reason)


def release_device(*, device: Device, actor: str, reason: str = "") -> None:
    """End a quarantine. A pending device is accepted, not released."""
    if device.state != DeviceState.QUARANTINED:
        raise Conflict(f"Only a quarantined device can be released; this one is {device.state}.")
    _move(device, DeviceState.ACCEPTED, "release", actor, reason)


def revoke_device(*, device: Device, actor: str, reason: str) -> None:
    """Never trust this device again. There is no way back."""
    _move(device, DeviceState.REVOKED, "revoke", actor, reason)


@transaction.atomic
def _move(device: Device, to: DeviceState, action: str, actor: str, reason: str) -> None:
    before = device.state
    move(DEVICE, device, to, actor=actor, reason=reason)
    _record(
        actor,
        action,
        "device",
        str(device.pk),
        reason,
        before={"state": before},
        after={"state": to},
    )
    announce([device.pk])


def _require_new(is_new: bool, sentence: str) -> None:
    if not is_new:
        raise Conflict(sentence)


def _record(
    actor: str, action: str, subject: str, subject_id: str, reason: str = "", **change: object
) -> None:
    audit.record(
        actor=actor, action=action, subject=subject, subject_id=subject_id, reason=reason, **change
    )
