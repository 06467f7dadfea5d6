"""Writes of the gateway itself: which assertions were used."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from server.device_gateway import credentials
from server.device_gateway.errors import Pending, require_accepted
from server.fleet.models import Device, UsedAssertion
from server.lib import clock
from server.lib.errors import Unauthenticated


def exchange_assertion(*, assertion: str) -> str:
    """An access token for the device that signed ``assertion``.

    Unauthenticated where it is false, old or used; Pending, Quarantined or Revoked where the
    device is who it says and may not enter.
    """
    device = Device.objects.filter(pk=credentials.claimed_device(assertion)).first()
    if device is None:
        raise credentials.refused("no such device is enrolled here")
    try:
        proof = credentials.verify(assertion, device_id=device.pk, public_key=device.public_key)
    except Unauthenticated:
        _raise_if_key_waits(assertion, device)
        raise
    require_accepted(device)
    _use_once(proof)
    return credentials.issue(device)


def _raise_if_key_waits(assertion: str, device: Device) -> None:
    if device.pending_public_key:
        credentials.verify(assertion, device_id=device.pk, public_key=device.pending_public_key)
        raise Pending("The new key of this device waits for an admin to accept it.")


def _use_once(proof: credentials.Assertion) -> None:
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(jti=proof.use, expires_at=proof.expires_at)
    except IntegrityError:
        raise credentials.refused("it was used already; sign a new one") from None


def forget_assertions() -> int:
    """Drop what has expired, and is therefore refused anyway; returns how many."""
    forgotten, _ = UsedAssertion.objects.filter(expires_at__lt=clock.now()).delete()
    return forgotten
