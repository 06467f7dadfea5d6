"""Client certificates of devices: the only writers of their rows, and who is to be shut out.

A certificate is believed while its device is accepted and has the key that it was issued for.
That is looked at again whenever either changes, so that a device that comes back from
quarantine has its certificate back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from server.fleet.models import Device
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Conflict, NotFound, TooMany
from server.trust import device_ca, keys
from server.trust.device_ca import Authority, Issued
from server.trust.models import DeviceCertificate

MAX_A_DAY = 50
"""A device renews twice a week; one that asks all day long is broken."""
_KEPT_AFTER_END = timedelta(days=1)


class NoBroker(NotFound):
    """This server pushes nothing: devices poll, and need no certificate."""

    code = "no_broker"


@dataclass(frozen=True)
class ShutOut:
    """Who the broker shall not listen to: devices in any session, serials (hex) at its door."""

    devices: frozenset[str] = frozenset()
    serials: frozenset[str] = frozenset()


def authority() -> Authority:
    """The authority that signs for the broker; made on first use."""
    path = keys.authority_path()
    if not path.exists():
        keys.store_once(path, device_ca.make_authority(clock.now()))
    return device_ca.load_authority(path.read_bytes())


@transaction.atomic
def issue_certificate(*, device: Device, csr: str) -> Issued:
    """A certificate for an accepted device, at any time; the older ones stay good.

    NoBroker where the server has none, Invalid for a request that is not made with the
    device's own key, Conflict where its state or key has changed since it was let in.
    """
    if settings.ENV.push_broker() is None:
        raise NoBroker("This server has no broker, so that a certificate opens nothing; poll.")
    # The row is locked: a certificate is either seen by a revocation, or not issued any more.
    rows = Device.objects.select_for_update(no_key=True, of=("self",))
    if not rows.filter(
        pk=device.pk, state=DeviceState.ACCEPTED, public_key=device.public_key
    ).exists():
        raise Conflict("The state or the key of this device has just changed; ask again.")
    _require_pace(device)
    issued = device_ca.issue(
        csr,
        device_id=device.pk,
        public_key=device.public_key,
        authority=authority(),
        now=clock.now(),
    )
    DeviceCertificate.objects.create(
        serial=issued.serial,
        device=device,
        public_key=device.public_key,
        issued_at=clock.now(),
        not_after=issued.not_after,
    )
    return issued


def _require_pace(device: Device) -> None:
    since = clock.now() - timedelta(days=1)
    if device.certificates.filter(issued_at__gte=since).count() >= MAX_A_DAY:
        raise TooMany(f"This device had {MAX_A_DAY} certificates within a day; wait.")


@transaction.atomic
def follow_device(*, device_id: UUID | str) -> None:
    """Believe the certificates of a device as far as the device is believed; may run twice.

    Called after the commit that changed the device: what is issued from then on knows of it.
    """
    if not DeviceCertificate.objects.filter(device_id=device_id).exists():
        return
    rows = Device.objects.select_for_update(no_key=True, of=("self",))
    device = rows.filter(pk=device_id).first()
    if device is None:
        return
    key = device.public_key if device.state == DeviceState.ACCEPTED else ""
    certificates = device.certificates.all()
    certificates.filter(public_key=key, revoked_at__isnull=False).update(revoked_at=None)
    certificates.filter(revoked_at=None).exclude(public_key=key).update(revoked_at=clock.now())


def who_is_shut_out() -> ShutOut:
    """Serials that have not ended, and devices that have no certificate to be believed.

    A device is shut out by name as long as anything is known of it: its session may be older
    than its certificate. Costs what was revoked, not the fleet.
    """
    revoked = DeviceCertificate.objects.filter(revoked_at__isnull=False)
    good = DeviceCertificate.objects.filter(device=OuterRef("device"), revoked_at=None)
    devices = revoked.filter(~Exists(good)).values_list("device_id", flat=True).distinct()
    serials = revoked.filter(not_after__gt=clock.now()).values_list("serial", flat=True)
    return ShutOut(frozenset(map(str, devices.order_by())), frozenset(serials))


def forget_certificates() -> int:
    """Drop what ended long ago, but the last of each device; returns how many."""
    newer = DeviceCertificate.objects.filter(
        device=OuterRef("device"), issued_at__gt=OuterRef("issued_at")
    )
    ended = DeviceCertificate.objects.filter(not_after__lt=clock.now() - _KEPT_AFTER_END)
    forgotten, _ = ended.filter(Exists(newer)).delete()
    return forgotten
