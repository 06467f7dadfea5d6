"""Releases that a person signs beside the builder: they wait as rows, and go in one request."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db.models import QuerySet
from tuf.api.metadata import Metadata, Targets

from server.accounts import audit
from server.lib import blobs, clock
from server.lib.errors import NotFound
from server.trust import bins, judging, keys, repository, storing
from server.trust.models import SignedTarget, SigningRequest
from server.trust.repository import COSIGNED, cosigned_role
from server.trust.selectors import newest
from server.trust.waiting import WaitsForSignature


def mark_waiting(profile: str, rows: Iterable[SignedTarget]) -> None:
    """Rows that are not served before somebody else has signed them: releases, where so wished."""
    if storing.standing(cosigned_role(profile)) is None:
        return
    for row in rows:
        if row.place.startswith(bins.RELEASES):
            row.waits_since = clock.now()


def ask(profile: str) -> WaitsForSignature:
    """Ask for signatures of every release of ``profile``, signed by its builder; what to say then.

    The same content is asked for once. Unavailable where the builder's key is not on this machine.
    """
    role = cosigned_role(profile)
    found = storing.standing(role)
    signed = repository.make_profile_targets(
        storing.to_sign(releases_of(profile)), repository.expiry(role, clock.now())
    )
    signed.version = storing.next_version(role)
    if not _is_asked(role, signed, found.keyids if found else []):
        signers = keys.signers_among(storing.role_of(profile), found.keyids if found else [])
        if not signers:
            raise keys.missing_key(storing.role_of(profile))
        metadata: Metadata[Targets] = Metadata(signed)
        metadata.sign(signers[0])
        replace_request(role, {role: metadata}, f"builder {profile}")
    return WaitsForSignature.for_person(profile)


def ask_if_stale(profile: str) -> None:
    """Ask anew where releases wait, or where the last signatures end soon."""
    role = cosigned_role(profile)
    if storing.standing(role) is None:
        _release_waiting(profile)
        return
    if releases_of(profile).exclude(waits_since=None).exists():
        ask(profile)
        return
    row = newest(role)
    if row and row.expires_at - clock.now() < repository.lifetime(role) / 3:
        ask(profile)


def replace_request(subject: str, documents: judging.Documents, actor: str) -> SigningRequest:
    """Open a request; an older one about the same is closed, with the signatures it has."""
    now = clock.now()
    SigningRequest.objects.filter(subject=subject, closed_at=None).update(
        closed_at=now, outcome="replaced"
    )
    return SigningRequest.objects.create(
        subject=subject,
        documents=judging.to_json(documents),
        opened_at=now,
        opened_by=actor,
    )


def releases_of(profile: str) -> QuerySet[SignedTarget]:
    """All releases that were not withdrawn, waiting or not."""
    rows = SignedTarget.objects.filter(profile=profile, place__startswith=bins.RELEASES)
    return rows.filter(withdrawn_at=None)


def follow_keys(profile: str) -> None:
    """After new keys: what they have not signed waits again."""
    role = cosigned_role(profile)
    if storing.standing(role) is not None and not storing.is_current(role):
        releases_of(profile).filter(waits_since=None).update(waits_since=clock.now())


def take_over(role: str, signed: Targets) -> None:
    """What ``role`` now vouches for is served: its rows wait no longer."""
    rows = SignedTarget.objects.filter(profile=role.removeprefix(COSIGNED))
    waiting = rows.exclude(waits_since=None)
    for row in waiting:
        target = signed.targets.get(row.path)
        if target is not None and target.hashes.get("sha256") == row.sha256:
            SignedTarget.objects.filter(pk=row.pk).update(waits_since=None, signed_at=clock.now())


def withdraw(*, profile: str, sha256: str, actor: str) -> list[str]:
    """The part of ``services.withdraw_artifact`` under the lock."""
    rows = SignedTarget.objects.filter(profile=profile, withdrawn_at=None)
    artifacts = rows.filter(path__in=_paths(profile, sha256))
    if not artifacts.exists():
        raise NotFound(f"No artifact of {profile} is signed under {sha256}.")
    releases = [row for row in releases_of(profile) if _names(row, sha256)]
    gone = [*artifacts, *releases]
    found = SignedTarget.objects.filter(pk__in=[row.pk for row in gone])
    found.update(withdrawn_at=clock.now())
    storing.store_profile(profile, {row.place for row in gone})
    storing.store_snapshot()
    audit.record(
        actor=actor,
        action="withdraw",
        subject="artifact",
        subject_id=sha256,
        before=[row.path for row in gone],
    )
    return [row.path for row in gone]


def _paths(profile: str, sha256: str) -> list[str]:
    return [f"{profile}/artifacts/{sha256}", f"{profile}/certificates/{sha256}.json"]


def _names(row: SignedTarget, sha256: str) -> bool:
    artifacts = json.loads(blobs.read(row.sha256))["artifacts"].values()
    return any(artifact["target"]["sha256"] == sha256 for artifact in artifacts)


def _is_asked(role: str, signed: Targets, keyids: list[str]) -> bool:
    request = SigningRequest.objects.filter(subject=role, closed_at=None).first()
    if request is None:
        return False
    open_document = judging.parse(request.documents)[role]
    ends_in = open_document.signed.expires - clock.now()
    return (
        open_document.signed.version == signed.version
        and open_document.signed.targets == signed.targets
        and bool(set(open_document.signatures) & set(keyids))
        and ends_in > repository.lifetime(role) / 2
    )


def _release_waiting(profile: str) -> None:
    """Nobody else need sign any more: the builder's role vouches for what waited."""
    rows = releases_of(profile).exclude(waits_since=None)
    if rows.update(waits_since=None):
        storing.store_profile(profile)
        storing.store_snapshot()
