"""How metadata are signed and stored. Used by the writers of this app, under ``lock``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import DelegatedRole, Metadata, Root, Targets

from inference_core.contract.release import AGENT_ROLE, ANY_PROFILE, profile_role
from server.lib import clock
from server.lib.errors import Invalid
from server.trust import bins, keys, repository
from server.trust.models import MetadataFile, SignedTarget
from server.trust.repository import AnyRole, TargetToSign, cosigned_role
from server.trust.selectors import newest, served_targets

TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
ONLINE = ("snapshot", "timestamp")
KEPT_VERSIONS = 20
"""Clients that are in the middle of a refresh still find the version that they were told of."""


@dataclass(frozen=True)
class Standing:
    """Who signs for a role, as the role above it says."""

    keys: tuple[Key, ...]
    threshold: int

    @property
    def keyids(self) -> list[str]:
        """Their ids, in order."""
        return [key.keyid for key in self.keys]


def lock() -> None:
    """Hold the one row that is never replaced: writers queue here until the commit."""
    MetadataFile.objects.select_for_update().get(role="root", version=1)


def role_of(profile: str) -> str:
    """The role that signs for ``profile``; Invalid for a name that would pass for the agent's."""
    if profile == AGENT_ROLE:
        raise Invalid(f"{profile!r} is no name for a hardware profile: its paths are the agent's.")
    return AGENT_ROLE if profile == ANY_PROFILE else profile_role(profile)


def profile_of(role: str) -> str:
    """The inverse of ``role_of``."""
    return ANY_PROFILE if role == AGENT_ROLE else role.removeprefix("profile-")


def paths_of(profile: str) -> str:
    """What that role may sign."""
    return f"{AGENT_ROLE if profile == ANY_PROFILE else profile}/*/*"


def standing(role: str) -> Standing | None:
    """Who signs for a top-level role or one that targets delegates to; None where nobody may."""
    parent = read("root" if role in TOP_LEVEL else "targets")
    return standing_in(parent, role)


def standing_in(parent: Root | Targets, role: str) -> Standing | None:
    """The same, as a given parent says."""
    try:
        delegated = parent.get_delegated_role(role)
    except ValueError:
        return None
    return Standing(tuple(parent.get_key(k) for k in delegated.keyids), delegated.threshold)


def local_signers(role: str, found: Standing | None = None) -> list[CryptoSigner]:
    """Signers of ``role`` on this machine, as many as it takes; Unavailable where they are not."""
    found = found or standing(role)
    here = keys.signers_among(role, found.keyids) if found else []
    if found is None or len(here) < found.threshold:
        raise keys.missing_key(role)
    return here[: found.threshold]


def can_sign(role: str) -> bool:
    """Whether the keys on this machine are enough for ``role``."""
    found = standing(role)
    return found is not None and len(keys.signers_among(role, found.keyids)) >= found.threshold


def is_current(role: str) -> bool:
    """Whether the newest metadata of ``role`` is signed as targets now demand.

    Its bins count too: a key that was revoked must not go on to sign them.
    """
    row, found = newest(role), standing(role)
    if row is None or found is None:
        return False
    metadata: Metadata[Targets] = Metadata.from_bytes(bytes(row.body))
    try:
        read("targets").verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        return False
    table = metadata.signed.delegations.roles if metadata.signed.delegations else None
    return all(
        (each.keyids, each.threshold) == (found.keyids, found.threshold)
        for each in (table or {}).values()
    )


def read(role: str) -> Root | Targets:
    """What the newest metadata of ``role`` says."""
    row = newest(role)
    if row is None:
        raise LookupError(f"the repository has no {role}")
    signed = Metadata.from_bytes(bytes(row.body)).signed
    if not isinstance(signed, Root | Targets):
        raise TypeError(f"{row} vouches for no files and no keys")
    return signed


def store(role: str, signed: AnyRole, signers: Sequence[CryptoSigner] | None = None) -> None:
    """Sign as the next version of ``role``; Unavailable where its keys are not here."""
    version = next_version(role)
    body = repository.sign(signed, version, local_signers(role) if signers is None else signers)
    store_body(role, version, body, signed)


def next_version(role: str) -> int:
    """One more than the newest."""
    last = MetadataFile.objects.filter(role=role).aggregate(last=Max("version"))["last"]
    return (last or 0) + 1


def store_body(role: str, version: int, body: bytes, signed: AnyRole) -> None:
    """Keep what is signed, and forget versions that nobody asks for any more."""
    MetadataFile.objects.create(
        role=role,
        version=version,
        body=body,
        expires_at=signed.expires,
        created_at=clock.now(),
    )
    _forget(role, version)


def _forget(role: str, version: int) -> None:
    """Keep what the kept snapshots pin; and every root, as devices walk them all."""
    rows = MetadataFile.objects.filter(role=role)
    if role in ONLINE:
        rows.filter(version__lte=version - KEPT_VERSIONS).delete()
    elif role != "root":
        snapshots = MetadataFile.objects.filter(role="snapshot")
        oldest = snapshots.aggregate(at=Min("created_at"))["at"]
        pinned = rows.filter(created_at__lt=oldest) if oldest else rows.none()
        last = pinned.aggregate(version=Max("version"))["version"]
        rows.filter(version__lt=last or 0).delete()


def end_of(role: str) -> datetime | None:
    """When metadata of ``role`` ends, or the first of its bins; None where there is none."""
    profile = role.removeprefix("profile-") if role.startswith("profile-") else None
    rows = MetadataFile.objects.order_by("role", "version").values_list("role", "expires_at")
    if profile is None:
        return dict(rows.filter(role=role)).get(role)
    found = dict(rows.filter(role__endswith=f"-{profile}"))
    mine = {name for name in found if name == role or bins.profile_of_bin(name) == profile}
    return min((found[name] for name in mine), default=None)


def is_ending(role: str) -> bool:
    """Whether it, or one of its bins, is in the last third of its life."""
    ends = end_of(role)
    return ends is not None and ends - clock.now() < repository.lifetime(role) / 3


def store_profile(profile: str, changed: Collection[str] | None = None) -> None:
    """Sign what a profile vouches for, or only what holds the ``changed`` places."""
    _ProfileWriter(profile).write(changed)


def store_snapshot() -> None:
    """Pin the newest version of everything, and announce it."""
    others = MetadataFile.objects.exclude(role__in=["root", *ONLINE]).order_by("role")
    versions = dict(others.values_list("role").annotate(newest=Max("version")))
    expires = repository.expiry("snapshot", clock.now())
    store("snapshot", repository.make_snapshot(versions, expires))
    store_timestamp()


def store_timestamp() -> None:
    """Announce the newest snapshot."""
    expires = repository.expiry("timestamp", clock.now())
    version = next_version("snapshot") - 1
    store("timestamp", repository.make_timestamp(version, expires))


def to_sign(rows: Iterable[SignedTarget]) -> list[TargetToSign]:
    """Rows as metadata has them."""
    return [TargetToSign(t.path, t.sha256, t.length, t.custom_fields) for t in rows]


class _ProfileWriter:
    """Writes the role of one profile and its bins; loads its key once."""

    def __init__(self, profile: str) -> None:
        self._profile, self._role = profile, role_of(profile)
        found = standing(self._role)
        self._signers = local_signers(self._role, found)
        self._keys, self._threshold = (found.keys, found.threshold) if found else ((), 1)
        rows = served_targets().filter(profile=profile)
        is_cosigned = standing(cosigned_role(profile)) is not None
        self._rows = rows.exclude(place__startswith=bins.RELEASES) if is_cosigned else rows
        self._expires = repository.expiry(self._role, clock.now())

    def write(self, changed: Collection[str] | None) -> None:
        before = self._digits_before()
        digits = {family: max(before[family], self._digits(family)) for family in before}
        if changed is None or digits != before or not is_current(self._role):
            self._write_top(digits)
            changed = None
        elif any(not digits.get(place[:1], 0) for place in changed):
            self._write_top(digits)
        for family, count in digits.items():
            wanted = {place[: count + 1] for place in changed} if changed is not None else None
            for place in bins.bins_of(family, count):
                if wanted is None or place in wanted:
                    self._write_bin(place)

    def _digits_before(self) -> dict[str, int]:
        table: dict[str, DelegatedRole] = {}
        if newest(self._role) is not None:
            signed = read(self._role)
            if isinstance(signed, Targets) and signed.delegations:
                table = signed.delegations.roles or {}
        return bins.digits_in(self._profile, table)

    def _digits(self, family: str) -> int:
        return bins.digits_for(self._rows.filter(place__startswith=family).count())

    def _write_top(self, digits: bins.Digits) -> None:
        rows = self._rows
        for family, count in digits.items():
            if count:
                rows = rows.exclude(place__startswith=family)
        keyids = [key.keyid for key in self._keys]
        # Bins of artifacts go first: those of releases are told by hashes, which any path may have.
        delegated = [
            bins.delegated_bin(self._profile, place, list(keyids), self._threshold)
            for family, count in digits.items()
            for place in bins.bins_of(family, count)
        ]
        signed = repository.make_profile_targets(
            to_sign(rows), self._expires, delegated, self._keys
        )
        store(self._role, signed, self._signers)

    def _write_bin(self, place: str) -> None:
        rows = to_sign(self._rows.filter(place__startswith=place))
        signed = repository.make_profile_targets(rows, self._expires)
        store(bins.role_of_bin(self._profile, place), signed, self._signers)
