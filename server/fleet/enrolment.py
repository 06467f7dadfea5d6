"""How a box becomes a device: a counted, short-lived token, a serial and a key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import IntegrityError, transaction
from django.db.models import F

from inference_core.contract.device import EnrolmentRequest
from server.accounts import audit
from server.fleet.keys import fingerprint, normalise_public_key
from server.fleet.models import Device, EnrolmentToken, Group, HardwareProfile, Line, Membership
from server.fleet.profile_choice import NoProfile, choose_profile
from server.fleet.profile_services import note_proposal, update_facts
from server.fleet.profiles import misfit_of
from server.fleet.services import announce
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Forbidden, Invalid, Unauthenticated, Unavailable

MAX_LIFETIME_S = 24 * 3600
MAX_USES = 10_000
_REFUSED = "This enrolment token is unknown, used up or expired; ask for a new one."
"""One sentence for all three, so that a guess learns nothing."""


class Outcome(StrEnum):
    """What became of an enrolment. ``key_waits``: an admin must compare the new key."""

    ENROLLED = "enrolled"
    KNOWN = "known"
    KEY_WAITS = "key_waits"


@dataclass(frozen=True)
class IssuedToken:
    """The token in plain, shown this once."""

    token: str
    expires_at: datetime


@dataclass(frozen=True)
class Enrolment:
    """The device, and what became of the request."""

    device: Device
    outcome: Outcome


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def issue_enrolment_token(
    *,
    line: Line,
    group: Group | None = None,
    uses: int = 1,
    is_preauthorised: bool = False,
    lifetime_s: float = 3600,
    actor: str,
) -> IssuedToken:
    """A token that lets ``uses`` boxes onto ``line``, for at most a day."""
    if not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise Invalid(f"lifetime_s must be above 0 and at most {MAX_LIFETIME_S}.")
    if not 1 <= uses <= MAX_USES:
        raise Invalid(f"uses must be from 1 to {MAX_USES}.")
    token = secrets.token_urlsafe(16)
    row = EnrolmentToken.objects.create(
        digest=_digest(token),
        line=line,
        group=group,
        uses_left=uses,
        is_preauthorised=is_preauthorised,
        created_at=clock.now(),
        created_by=actor,
        expires_at=clock.now() + timedelta(seconds=lifetime_s),
    )
    audit.record(
        actor=actor,
        action="issue",
        subject="enrolment_token",
        subject_id=str(row.pk),
        after={"line": str(line), "uses": uses, "preauthorised": is_preauthorised},
    )
    return IssuedToken(token, row.expires_at)


def enrol_device(*, request: EnrolmentRequest) -> Enrolment:
    """Make a device of a box; the same box with the same key is the same device.

    Raises Unauthenticated for the token, Invalid for the key or the profile, Forbidden for a
    revoked serial. A known serial with another key waits: the old key lives until an admin
    accepts the new one. Where no profile fits, one is proposed to the admins, and none is made.
    """
    try:
        return _enrol(request)
    except NoProfile as error:
        if error.proposal is not None:  # the enrolment is undone, and this is kept
            note_proposal(profile=error.proposal, serial=request.serial, why=error.why)
        raise


@transaction.atomic
def _enrol(request: EnrolmentRequest) -> Enrolment:
    key = normalise_public_key(request.public_key)
    token = _find_token(request.token)
    device = Device.objects.select_for_update().filter(serial=request.serial).first()
    if device is None:
        profile = choose_profile(request.profile, request.facts)
        # The use is counted before the row: of two boxes with one use, one waits here and loses.
        _count_use(token)
        return _create_device(request, key, token, profile)
    if device.state == DeviceState.REVOKED:
        raise Forbidden("This serial has been revoked; enrol under another.", reason="revoked")
    if key == device.public_key:
        update_facts(device=device, facts=request.facts)
        _adopt_variant(device, request.variant)
        return Enrolment(device, Outcome.KNOWN)
    if key != device.pending_public_key:
        _count_use(token)
        _let_key_wait(device, key, request.variant)
    return Enrolment(device, Outcome.KEY_WAITS)


def _find_token(token: str) -> EnrolmentToken:
    """A live token, also one that is used up: a reply that got lost may be asked for again."""
    row = (
        EnrolmentToken.objects.select_related("line", "group")
        .filter(digest=_digest(token), expires_at__gt=clock.now())
        .first()
    )
    if row is None:
        raise Unauthenticated(_REFUSED)
    return row


def _count_use(token: EnrolmentToken) -> None:
    left = EnrolmentToken.objects.filter(pk=token.pk, uses_left__gt=0)
    if not left.update(uses_left=F("uses_left") - 1):
        raise Unauthenticated(_REFUSED)


def _create_device(
    request: EnrolmentRequest, key: str, token: EnrolmentToken, profile: HardwareProfile
) -> Enrolment:
    state = DeviceState.ACCEPTED if token.is_preauthorised else DeviceState.PENDING
    device = Device(
        serial=request.serial,
        state=state,
        public_key=key,
        line=token.line,
        profile=profile,
        facts=request.facts.model_dump(mode="json"),
        misfit=misfit_of(profile, request.facts),
        variant=request.variant or "",
        enrolled_at=clock.now(),
    )
    try:
        with transaction.atomic():
            device.save(force_insert=True)
    except IntegrityError:
        # Two requests with one serial at once: this one rolls back, its use of the token too.
        raise Unavailable("This serial is being enrolled right now; try again.") from None
    if token.group is not None:
        Membership.objects.create(group=token.group, device=device, joined_at=clock.now())
    _record(device, "enrol", {"state": state, "key": fingerprint(key), "token": token.pk})
    if device.variant:
        _record(device, "adopt_variant", {"variant": device.variant})
    return Enrolment(device, Outcome.ENROLLED)


def _adopt_variant(device: Device, variant: str | None) -> None:
    """Take the device's word where this server has none; otherwise its own word stands."""
    if variant and not device.variant:
        device.variant = variant
        device.save(update_fields=["variant"])
        _record(device, "adopt_variant", {"variant": variant})
        announce([device.pk])


def _let_key_wait(device: Device, key: str, variant: str | None) -> None:
    device.pending_public_key, device.pending_variant = key, variant or ""
    device.save(update_fields=["pending_public_key", "pending_variant"])
    _record(device, "offer_key", {"key": fingerprint(key)})


def _record(device: Device, action: str, after: dict[str, object]) -> None:
    audit.record(
        actor=f"device:{device.serial}",
        action=action,
        subject="device",
        subject_id=str(device.pk),
        after=after,
    )
