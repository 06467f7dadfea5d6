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
    return _LIFETIMES.get(role, _PROFILE)


def expiry(role: str, now: datetime) -> datetime:
    """When metadata of ``role`` that is signed at ``now`` ends; TUF counts whole seconds."""
    return (now + lifetime(role)).replace(microsecond=0)


def make_root(keys: Mapping[str, Key], expires: datetime) -> Root:
    """The first root: one key for each top-level role."""
    root = Root(expires=expires, consistent_snapshot=True)
    for role, key in keys.items():
        root.add_key(key, role)
    return root


def make_targets(expires: datetime) -> Targets:
    """Top-level targets that vouch for nothing themselves; profiles are delegated to."""
    return Targets(expires=expires, delegations=Delegations(keys={}, roles={}))


def delegate(targets: Root | Targets, role: str, paths: Iterable[str], key: Key) -> None:
    """Let ``role`` alone vouch for ``paths``. Terminating: nobody after it is asked for them."""
    table = (
        targets.delegations.roles if isinstance(targets, Targets) and targets.delegations else None
    )
    if table is None:
        raise ValueError("only targets with a table of delegations can delegate")
    table[role] = DelegatedRole(role, [], threshold=1, terminating=True, paths=list(paths))
    targets.add_key(key, role)


def make_profile_targets(targets: Iterable[TargetToSign], expires: datetime) -> Targets:
    """All that one profile's role vouches for."""
    return Targets(targets={t.path: _target_file(t) for t in targets}, expires=expires)


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
