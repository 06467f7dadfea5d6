"""The only writers of the TUF repository. Each change is one transaction under one lock."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import IntegrityError, transaction

from inference_core.contract.release import ANY_PROFILE
from server.lib import blobs, clock
from server.lib.errors import Conflict, NotFound, Unavailable
from server.trust import bins, cosigning, keys, repository, storing, wishes
from server.trust.models import MetadataFile, SignedTarget, SigningRequest
from server.trust.repository import COSIGNED, TargetToSign
from server.trust.selectors import newest
from server.trust.storing import KEPT_VERSIONS, ONLINE, TOP_LEVEL, paths_of, role_of
from server.trust.waiting import WaitsForSignature

__all__ = ["KEPT_VERSIONS", "TOP_LEVEL", "WaitsForSignature", "paths_of", "role_of"]

logger = logging.getLogger(__name__)


def ensure_repository() -> None:
    """Make keys and first metadata of the repository, unless it is there, or on its way."""
    if newest("root") is not None or SigningRequest.objects.filter(closed_at=None).exists():
        return
    for role in TOP_LEVEL:
        keys.make_key(role)
    try:
        with transaction.atomic():
            if newest("root") is None:
                _store_first()
    except IntegrityError:
        # Another process was first, with the same keys.
        if newest("root") is None:
            raise


def ensure_profile_role(profile: str) -> None:
    """Let the key of ``profile``, made now if need be, sign for its targets and no others.

    ``ANY_PROFILE`` is the agent's own code, which has a role and paths of its own. Raises
    WaitsForSignature where the key of targets is kept elsewhere: the wish is written down then.
    """
    role = role_of(profile)
    ensure_repository()
    if newest("root") is None:
        raise WaitsForSignature.for_first_root()
    if storing.standing(role) is None:
        _ask_for_role(profile)
    elif newest(role) is None:
        with transaction.atomic():
            storing.lock()
            _store_all(profile)


def publish_targets(profile: str, targets: Sequence[TargetToSign]) -> None:
    """Sign targets with the key of ``profile``: all of them are served, or none.

    The same targets again change nothing. Raises Conflict for a path that is signed with other
    bytes, NotFound where bytes are not stored, Unavailable where a key is not on this machine,
    and its kind WaitsForSignature where a person must sign first: call again later, as nothing
    is lost.
    """
    for target in targets:
        if not blobs.exists(target.sha256):
            raise NotFound(f"The bytes of {target.path} are not stored.")
    ensure_profile_role(profile)
    with transaction.atomic():
        storing.lock()
        _insert_targets(profile, targets)
        waits = SignedTarget.objects.filter(path__in=[t.path for t in targets]).exclude(
            waits_since=None
        )
        waiting = cosigning.ask(profile) if waits.exists() else None
    if waiting is not None:
        raise waiting


def withdraw_artifact(*, profile: str, sha256: str, actor: str) -> list[str]:
    """Vouch no longer for an artifact, its certificate and the releases that name it.

    Returns their paths. Devices that run it keep running it; none takes it from now on.
    """
    with transaction.atomic():
        storing.lock()
        return cosigning.withdraw(profile=profile, sha256=sha256, actor=actor)


def renew_profile(profile: str) -> bool:
    """Sign anew what a profile vouches for, where its keys have changed; whether it was needed.

    For the builder, whose key signs; Unavailable where it is not on this machine.
    """
    role = role_of(profile)
    with transaction.atomic():
        storing.lock()
        if storing.standing(role) is None:
            return False
        is_due = not storing.is_current(role) or storing.is_ending(role)
        if is_due:
            _store_all(profile)
        cosigning.ask_if_stale(profile)
        return is_due


def refresh_timestamp() -> list[str]:
    """Sign anew what is in the last third of its life; returns the roles.

    A role whose key is not on this machine is told of in the log, and left.
    """
    if newest("root") is None:
        return []
    with transaction.atomic():
        storing.lock()
        ending = _ending_roles()
        offline = sorted(r for r in ending if r not in ONLINE and not r.startswith(COSIGNED))
        renewed = _renew_all(offline)
        if "snapshot" in ending or set(renewed) - {"root"}:
            storing.store_snapshot()
            renewed += ONLINE
        elif "timestamp" in ending:
            storing.store_timestamp()
            renewed.append("timestamp")
    return renewed


def _store_first() -> None:
    now = clock.now()
    signers = {role: keys.load_signer(role) for role in TOP_LEVEL}
    public = {role: signer.public_key for role, signer in signers.items()}
    root = repository.make_root(public, repository.expiry("root", now))
    storing.store("root", root, [signers["root"]])
    storing.store("targets", repository.make_targets(repository.expiry("targets", now)))
    storing.store_snapshot()


def _ask_for_role(profile: str) -> None:
    """Delegate at once where targets can be signed here; else write the wish down and say so."""
    role = role_of(profile)
    with transaction.atomic():
        storing.lock()
        if storing.standing(role) is not None:
            return
        keys.make_key(role)
        if storing.can_sign("targets"):
            _delegate(profile)
            return
        if not wishes.open_wishes().filter(role=role).exists():  # of two builders the first
            key, actor = keys.load_signer(role).public_key, f"builder {profile}"
            wishes.wish(role=role, profile=profile, keys=[key], threshold=1, actor=actor)
    raise WaitsForSignature.for_targets(profile)


def _delegate(profile: str) -> None:
    role = role_of(profile)
    targets = storing.read("targets")
    public = keys.load_signer(role).public_key
    repository.set_keys(targets, role, [public], 1, [paths_of(profile)])
    targets.expires = repository.expiry("targets", clock.now())
    storing.store("targets", targets)
    _store_all(profile)


def _store_all(profile: str) -> None:
    storing.store_profile(profile)
    storing.store_snapshot()


def _insert_targets(profile: str, targets: Sequence[TargetToSign]) -> None:
    """Write down and sign those that are new."""
    known = {t.path: t for t in SignedTarget.objects.filter(path__in=[t.path for t in targets])}
    for target in targets:
        row = known.get(target.path)
        if row and (row.sha256 != target.sha256 or row.custom_fields != target.custom):
            raise Conflict(f"{target.path} is signed already, with other content.")
        if row and row.withdrawn_at is not None:
            raise Conflict(f"{target.path} was withdrawn, and stays so.")
    new = [_row(profile, target) for target in targets if target.path not in known]
    cosigning.mark_waiting(profile, new)
    SignedTarget.objects.bulk_create(new)
    places = {row.place for row in new if row.waits_since is None}
    if places:
        storing.store_profile(profile, places)
        storing.store_snapshot()


def _row(profile: str, target: TargetToSign) -> SignedTarget:
    return SignedTarget(
        profile=profile,
        path=target.path,
        sha256=target.sha256,
        length=target.length,
        custom=target.custom.model_dump(mode="json", exclude_none=True),
        signed_at=clock.now(),
        place="" if profile == ANY_PROFILE else bins.place_of(target.path),
    )


def _ending_roles() -> frozenset[str]:
    """Roles in the last third of their life."""
    rows = MetadataFile.objects.order_by("role", "version").values_list("role", "expires_at")
    now = clock.now()
    return frozenset(
        role for role, ends in dict(rows).items() if ends - now < repository.lifetime(role) / 3
    )


def _renew_all(roles: Sequence[str]) -> list[str]:
    """Those that could be signed anew; the rest, which somebody keeps elsewhere, is told of."""
    by_signer: dict[str, list[str]] = {}
    for role in roles:
        profile = bins.profile_of_bin(role)
        by_signer.setdefault(role_of(profile) if profile else role, []).append(role)
    renewed = []
    for signer, signed_by_it in by_signer.items():
        try:
            signers = storing.local_signers(signer)
        except Unavailable as error:
            logger.warning(
                "the metadata of %s ends soon and was not renewed: %s", signer, error.detail
            )
            continue
        if signer in TOP_LEVEL:
            signed = storing.read(signer)
            signed.expires = repository.expiry(signer, clock.now())
            storing.store(signer, signed, signers)
        else:
            storing.store_profile(storing.profile_of(signer))
        renewed += signed_by_it
    return renewed
