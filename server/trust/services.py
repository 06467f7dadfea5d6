"""The only writers of the TUF repository. Each change is one transaction under one lock."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import IntegrityError, transaction
from tuf.api.metadata import Metadata, Root, Targets

from inference_core.contract.release import AGENT_ROLE, ANY_PROFILE, profile_role
from server.lib import blobs, clock
from server.lib.errors import Conflict, Invalid, NotFound, Unavailable
from server.trust import keys, repository
from server.trust.models import MetadataFile, SignedTarget
from server.trust.repository import AnyRole, TargetToSign
from server.trust.selectors import newest

TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
_ONLINE = ("snapshot", "timestamp")
KEPT_VERSIONS = 20
"""Clients that are in the middle of a refresh still find the version that they were told of."""

logger = logging.getLogger(__name__)


def ensure_repository() -> None:
    """Make keys and first metadata of the repository, unless it is there."""
    if newest("root") is not None:
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

    ``ANY_PROFILE`` is the agent's own code, which has a role and paths of its own.
    """
    role = role_of(profile)
    if newest(role) is not None:
        return
    ensure_repository()
    with transaction.atomic():
        _lock()
        if newest(role) is None:
            keys.make_key(role)
            _delegate(profile)


def publish_targets(profile: str, targets: Sequence[TargetToSign]) -> None:
    """Sign targets with the key of ``profile``: all of them are served, or none.

    The same targets again change nothing. Raises Conflict for a path that is signed with other
    bytes, NotFound where bytes are not stored, Unavailable where a key is not on this machine.
    """
    for target in targets:
        if not blobs.exists(target.sha256):
            raise NotFound(f"The bytes of {target.path} are not stored.")
    ensure_profile_role(profile)
    with transaction.atomic():
        _lock()
        if _insert_targets(profile, targets):
            _store_profile(profile)
            _store_snapshot()


def role_of(profile: str) -> str:
    """The role that signs for ``profile``; Invalid for a name that would pass for the agent's."""
    if profile == AGENT_ROLE:
        raise Invalid(f"{profile!r} is no name for a hardware profile: its paths are the agent's.")
    return AGENT_ROLE if profile == ANY_PROFILE else profile_role(profile)


def paths_of(profile: str) -> str:
    """What that role may sign."""
    return f"{AGENT_ROLE if profile == ANY_PROFILE else profile}/*/*"


def refresh_timestamp() -> list[str]:
    """Sign anew what is in the last third of its life; returns the roles.

    A role whose key is not on this machine is told of in the log, and left.
    """
    if newest("root") is None:
        return []
    with transaction.atomic():
        _lock()
        ending = _ending_roles()
        renewed = [role for role in sorted(ending) if role not in _ONLINE and _renew(role)]
        if "snapshot" in ending or set(renewed) - {"root"}:
            _store_snapshot()
            renewed += _ONLINE
        elif "timestamp" in ending:
            _store_timestamp()
            renewed.append("timestamp")
    return renewed


def _lock() -> None:
    """Hold the one row that is never replaced: writers queue here until the commit."""
    MetadataFile.objects.select_for_update().get(role="root", version=1)


def _store_first() -> None:
    now = clock.now()
    signers = {role: keys.load_signer(role) for role in TOP_LEVEL}
    public = {role: signer.public_key for role, signer in signers.items()}
    _store("root", repository.make_root(public, repository.expiry("root", now)))
    _store("targets", repository.make_targets(repository.expiry("targets", now)))
    _store_snapshot()


def _delegate(profile: str) -> None:
    role = role_of(profile)
    targets = _read("targets")
    public = keys.load_signer(role).public_key
    repository.delegate(targets, role, [paths_of(profile)], public)
    targets.expires = repository.expiry("targets", clock.now())
    _store("targets", targets)
    _store_profile(profile)
    _store_snapshot()


def _store_profile(profile: str) -> None:
    role = role_of(profile)
    rows = SignedTarget.objects.filter(profile=profile)
    targets = [TargetToSign(t.path, t.sha256, t.length, t.custom_fields) for t in rows]
    expires = repository.expiry(role, clock.now())
    _store(role, repository.make_profile_targets(targets, expires))


def _store_snapshot() -> None:
    """Pin the newest version of everything, and announce it."""
    now = clock.now()
    others = MetadataFile.objects.exclude(role__in=["root", "snapshot", "timestamp"])
    versions = dict(others.order_by("version").values_list("role", "version"))
    _store("snapshot", repository.make_snapshot(versions, repository.expiry("snapshot", now)))
    _store_timestamp()


def _store_timestamp() -> None:
    snapshot = newest("snapshot")
    if snapshot is None:
        raise LookupError("the repository has no snapshot")
    expires = repository.expiry("timestamp", clock.now())
    _store("timestamp", repository.make_timestamp(snapshot.version, expires))


def _store(role: str, signed: AnyRole) -> None:
    """Sign as the next version of ``role``, and forget versions that nobody asks for any more."""
    last = newest(role)
    version = last.version + 1 if last else 1
    MetadataFile.objects.create(
        role=role,
        version=version,
        body=repository.sign(signed, version, [keys.load_signer(role)]),
        expires_at=signed.expires,
        created_at=clock.now(),
    )
    if role != "root":  # devices walk every root since the one that they have
        MetadataFile.objects.filter(role=role, version__lte=version - KEPT_VERSIONS).delete()


def _read(role: str) -> Root | Targets:
    row = newest(role)
    if row is None:
        raise LookupError(f"the repository has no {role}")
    signed = Metadata.from_bytes(bytes(row.body)).signed
    if not isinstance(signed, Root | Targets):
        raise TypeError(f"{row} vouches for no files and no keys")
    return signed


def _insert_targets(profile: str, targets: Sequence[TargetToSign]) -> bool:
    """Whether any of them is new."""
    known = {t.path: t for t in SignedTarget.objects.filter(path__in=[t.path for t in targets])}
    for target in targets:
        row = known.get(target.path)
        if row and (row.sha256 != target.sha256 or row.custom_fields != target.custom):
            raise Conflict(f"{target.path} is signed already, with other content.")
    new = [target for target in targets if target.path not in known]
    SignedTarget.objects.bulk_create(
        SignedTarget(
            profile=profile,
            path=target.path,
            sha256=target.sha256,
            length=target.length,
            custom=target.custom.model_dump(mode="json", exclude_none=True),
            signed_at=clock.now(),
        )
        for target in new
    )
    return bool(new)


def _ending_roles() -> frozenset[str]:
    """Roles in the last third of their life."""
    roles = MetadataFile.objects.values_list("role", flat=True).distinct().order_by("role")
    rows = [row for role in roles if (row := newest(role))]
    now = clock.now()
    return frozenset(
        row.role for row in rows if row.expires_at - now < repository.lifetime(row.role) / 3
    )


def _renew(role: str) -> bool:
    """Whether ``role``, which somebody may keep elsewhere, could be signed anew."""
    signed = _read(role)
    signed.expires = repository.expiry(role, clock.now())
    try:
        _store(role, signed)
    except Unavailable as error:
        logger.warning("the metadata of %s ends soon and was not renewed: %s", role, error.detail)
        return False
    return True
