"""What the roles of the TUF repository say: pure functions from old metadata to new.

No row, file or clock is touched here; ``services`` reads, signs and stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from inference_core.contract.base import Sha256
from inference_core.contract.release import TargetCustom

AnyRole = Root | Targets | Snapshot | Timestamp

COSIGNED = "cosigned-"
"""Roles of releases that a person signs as well; those live longer, as people are not at hand."""

_YEAR, _PROFILE = timedelta(days=365), timedelta(days=90)
_LIFETIMES = {
    "root": _YEAR,
    "targets": _YEAR,
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=1),
}


@dataclass(frozen=True)
class TargetToSign:
    """A file that a profile's role shall vouch for; its bytes are stored as a blob already."""

    path: str
    sha256: Sha256
    length: int
    custom: TargetCustom


def lifetime(role: str) -> timedelta:
    """How long metadata of ``role`` is valid from its signature."""
    return _YEAR if role.startswith(COSIGNED) else _LIFETIMES.get(role, _PROFILE)


def expiry(role: str, now: datetime) -> datetime:
    """When metadata of ``role`` that is signed at ``now`` ends; TUF counts whole seconds."""
    return (now + lifetime(role)).replace(microsecond=0)


def make_root(keys: Mapping[str, Key], expires: datetime) -> Root:
    """The first root: one key for each top-level role, or none yet."""
    root = Root(expires=expires, consistent_snapshot=True)
    for role, key in keys.items():
        root.add_key(key, role)
    return root


def cosigned_role(profile: str) -> str:
    """Name of the delegated role of releases that a person must sign as well."""
    return f"{COSIGNED}{profile}"


def make_targets(expires: datetime) -> Targets:
    """Top-level targets that vouch for nothing themselves; profiles are delegated to."""
    return Targets(expires=expires, delegations=Delegations(keys={}, roles={}))


def set_keys(
    parent: Root | Targets,
    role: str,
    keys: Iterable[Key],
    threshold: int,
    paths: Iterable[str] = (),
) -> None:
    """Let ``role`` be signed by ``threshold`` of exactly ``keys``; 0 takes a delegation away.

    Below targets, ``role`` alone vouches for ``paths``. Terminating: nobody after it is asked for
    them. What a person signs as well goes first, or the builder could still answer for it.
    """
    if isinstance(parent, Root):
        for keyid in list(parent.roles[role].keyids):
            parent.revoke_key(keyid, role)
        parent.roles[role].threshold = threshold
    else:
        _replace_delegation(parent, role, threshold, paths)
    for key in keys if threshold else ():
        parent.add_key(key, role)


def _replace_delegation(targets: Targets, role: str, threshold: int, paths: Iterable[str]) -> None:
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise ValueError("only targets with a table of delegations can delegate")
    old = delegations.roles.pop(role, None)
    if threshold:
        delegated = DelegatedRole(role, [], threshold, terminating=True, paths=list(paths))
        rows = [*delegations.roles.items(), (role, delegated)]
        if old is not None or role.startswith(COSIGNED):
            rows.sort(key=lambda row: not row[0].startswith(COSIGNED))
        delegations.roles = dict(rows)
    used = {keyid for each in delegations.roles.values() for keyid in each.keyids}
    delegations.keys = {keyid: key for keyid, key in delegations.keys.items() if keyid in used}


def make_profile_targets(
    targets: Iterable[TargetToSign],
    expires: datetime,
    bins: Iterable[DelegatedRole] = (),
    keys: Iterable[Key] = (),
) -> Targets:
    """What one role of a profile vouches for itself, and the bins that it leaves the rest to."""
    roles = {role.name: role for role in bins}
    table = Delegations(keys={key.keyid: key for key in keys}, roles=roles) if roles else None
    files = {t.path: _target_file(t) for t in targets}
    return Targets(targets=files, expires=expires, delegations=table)


def make_snapshot(versions: Mapping[str, int], expires: datetime) -> Snapshot:
    """Pin the version of ``targets`` and of every delegated role together."""
    meta = {f"{role}.json": MetaFile(version) for role, version in versions.items()}
    return Snapshot(meta=meta, expires=expires)


def make_timestamp(snapshot_version: int, expires: datetime) -> Timestamp:
    """Say which snapshot is the newest."""
    return Timestamp(snapshot_meta=MetaFile(snapshot_version), expires=expires)


def sign(signed: AnyRole, version: int, signers: Iterable[Signer]) -> bytes:
    """Metadata of ``version`` as it is served."""
    signed.version = version
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def _target_file(target: TargetToSign) -> TargetFile:
    custom = target.custom.model_dump(mode="json", exclude_none=True)
    return TargetFile(
        length=target.length,
        hashes={"sha256": target.sha256},
        path=target.path,
        unrecognized_fields={"custom": custom},
    )
