"""Reads for people: who may sign what, what ends when, and what waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.lib.errors import Conflict
from server.trust import keys, repository, storing
from server.trust.ceremonies import OFFLINE, missing_signatures
from server.trust.judging import Count
from server.trust.models import RoleWish, SigningRequest
from server.trust.public_keys import name_of
from server.trust.repository import COSIGNED
from server.trust.selectors import newest
from server.trust.waiting import REQUEST


@dataclass(frozen=True)
class RoleStanding:
    """One role: how many of whom must sign, until when its metadata is good, and where keys lie."""

    role: str
    version: int
    expires_at: datetime | None
    threshold: int
    holders: tuple[str, ...]
    is_signed_here: bool
    is_ending: bool
    is_current: bool
    idle_keys: tuple[Path, ...]


@dataclass(frozen=True)
class Waiting:
    """Something that a person must sign; ``todo`` says what to do next."""

    subject: str
    what: str
    todo: str
    since: datetime
    missing: tuple[Count, ...] = ()


@dataclass(frozen=True)
class Overdue:
    """What goes wrong soon unless somebody acts."""

    role: str
    what: str
    todo: str
    at: datetime | None


def role_standings(now: datetime) -> list[RoleStanding]:
    """Every role but the bins of profiles, top-level roles first."""
    if newest("root") is None:
        return []
    targets = storing.read("targets")
    table = getattr(getattr(targets, "delegations", None), "roles", None) or {}
    return [_standing(role, now) for role in (*storing.TOP_LEVEL, *table)]


def waiting() -> list[Waiting]:
    """Open requests, and wishes that no request holds yet."""
    found = list(map(_request, SigningRequest.objects.filter(closed_at=None)))
    if not any(each.subject == OFFLINE for each in found):
        wanted = list(RoleWish.objects.filter(done_at=None))
        if wanted:
            roles = ", ".join(row.role for row in wanted)
            todo = f"run `{REQUEST}`"
            found.append(Waiting(OFFLINE, f"new keys of {roles}", todo, wanted[0].made_at))
    return found


def overdue(now: datetime) -> list[Overdue]:
    """Metadata whose renewal is overdue: when it ends, devices take no update."""
    found = []
    for row in role_standings(now):
        if row.expires_at is not None and row.is_ending:
            days = (row.expires_at - now).total_seconds() / 86400
            when = f"ends in {days:.1f} days" if days > 0 else "has ended: devices take no update"
            found.append(
                Overdue(row.role, f"The metadata of {row.role} {when}", _todo(row), row.expires_at)
            )
        elif not row.is_current and row.version:
            what = f"The metadata of {row.role} is not signed with the keys that it has now"
            found.append(Overdue(row.role, what, _todo(row), None))
    return found


def _todo(row: RoleStanding) -> str:
    if row.role in {"root", "targets"}:
        return f"Run `{REQUEST}` and let it be signed."
    if row.role in storing.ONLINE:
        return "Start a worker where its key lies, or rotate it if the key is lost."
    if row.role.startswith(COSIGNED):
        return f"Run `{REQUEST} {row.role.removeprefix(COSIGNED)}` and let it be signed."
    return "Start its builder, whose key signs it."


def _standing(role: str, now: datetime) -> RoleStanding:
    row, found = newest(role), storing.standing(role)
    keyids = found.keyids if found else []
    threshold = found.threshold if found else 0
    is_top = role in storing.TOP_LEVEL
    ends = storing.end_of(role)
    return RoleStanding(
        role=role,
        version=row.version if row else 0,
        expires_at=ends,
        threshold=threshold,
        holders=tuple(map(name_of, found.keys)) if found else (),
        is_signed_here=len(keys.signers_among(role, keyids)) >= max(1, threshold),
        is_ending=ends is not None and ends - now < repository.lifetime(role) / 4,
        is_current=is_top or storing.is_current(role),
        idle_keys=tuple(keys.idle_keys(role, [*keyids, *_wished(role)])),
    )


def _wished(role: str) -> Iterator[str]:
    for row in RoleWish.objects.filter(role=role, done_at=None):
        yield from row.keys


def _request(request: SigningRequest) -> Waiting:
    roles = " and ".join(request.documents)
    export = (
        REQUEST
        if request.subject == OFFLINE
        else (f"{REQUEST} {request.subject.removeprefix(COSIGNED)}")
    )
    try:
        missing = tuple(missing_signatures(request))
    except Conflict:
        return Waiting(
            request.subject, f"{roles}: overtaken", f"run `{export}` again", request.opened_at
        )
    who = "; ".join(
        f"{count.missing} of {', '.join(map(name_of, count.unsigned.values()))}"
        for count in missing
    )
    what = f"a new version of {roles} waits for signatures: {who}"
    if request.subject != OFFLINE:
        what = f"releases of {request.subject.removeprefix(COSIGNED)} wait for a second signature"
        what += f" by {who.partition(' of ')[2]}"
    return Waiting(request.subject, what, f"run `{export}`", request.opened_at, missing)
