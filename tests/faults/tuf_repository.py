"""A TUF repository of which every role can be signed as whoever holds its key would."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from securesystemslib.signer import CryptoSigner
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

TOP = (Root.type, Timestamp.type, Snapshot.type, Targets.type)


def new_signer() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


def tomorrow() -> datetime:
    return (datetime.now(timezone.utc) + timedelta(days=1)).replace(microsecond=0)


class TufRepository:
    """Change ``root``, ``timestamp``, ``snapshot``, ``targets`` or ``delegates``, then publish."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.signers = {role: [new_signer()] for role in TOP}
        self.root = Root(expires=tomorrow(), consistent_snapshot=True)
        for role in TOP:
            self.root.add_key(self.signers[role][0].public_key, role)
        self.timestamp = Timestamp(expires=tomorrow())
        self.snapshot = Snapshot(expires=tomorrow())
        self.targets = Targets(expires=tomorrow())
        self.delegates: dict[str, Targets] = {}
        for signed in (self.root, self.timestamp, self.snapshot, self.targets):
            signed.version = 0  # publishing begins with 1
        self.initial_root = self.publish_root()
        self.publish()

    def publish_root(self, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """The next version of the root."""
        self.root.version += 1
        return self.write(Root.type, self.root, signers or self.signers[Root.type])

    def rotate_root(self) -> None:
        """A new root key takes over; the old one signs it in and is revoked."""
        (old,) = self.signers[Root.type]
        new = new_signer()
        self.root.revoke_key(old.public_key.keyid, Root.type)
        self.root.add_key(new.public_key, Root.type)
        self.signers[Root.type] = [new]
        self.publish_root([old, new])

    def rotate(self, role: str) -> CryptoSigner:
        """The root gives ``role`` a new key; the old one is returned."""
        (old,), new = self.signers[role], new_signer()
        self.root.revoke_key(old.public_key.keyid, role)
        self.root.add_key(new.public_key, role)
        self.signers[role] = [new]
        self.publish_root()
        return old

    def publish(self, *, hashes: bool = False) -> None:
        """The next version of everything below the root."""
        for name, role in [(Targets.type, self.targets), *self.delegates.items()]:
            role.version += 1
            content = self.write(name, role)
            self.snapshot.meta[f"{name}.json"] = _meta(role.version, content, hashes=hashes)
        self.publish_snapshot(hashes=hashes)

    def publish_snapshot(self, *, hashes: bool = False) -> None:
        self.snapshot.version += 1
        content = self.write(Snapshot.type, self.snapshot)
        self.timestamp.snapshot_meta = _meta(self.snapshot.version, content, hashes=hashes)
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self.timestamp.version += 1
        self.write(Timestamp.type, self.timestamp)

    def write(self, role: str, signed: Any, signers: Sequence[CryptoSigner] | None = None) -> bytes:
        """Sign as it stands, and lay it where clients look for this version."""
        metadata = Metadata(signed)
        for signer in self.signers[role] if signers is None else signers:
            metadata.sign(signer, append=True)
        content = metadata.to_bytes()
        self.files[self.place(role, signed.version)] = content
        return content

    def place(self, role: str, version: int) -> str:
        prefix = "" if role == Timestamp.type else f"{version}."
        return f"metadata/{prefix}{role}.json"

    def add_target(self, path: str, content: bytes, role: str = Targets.type) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        target = TargetFile(len(content), {"sha256": sha256}, path)
        self.role(role).targets[path] = target
        folder, slash, name = path.rpartition("/")
        self.files[f"targets/{folder}{slash}{sha256}.{name}"] = content

    def delegate(
        self,
        child: str,
        paths: list[str],
        *,
        parent: str = Targets.type,
        threshold: int = 1,
        terminating: bool = False,
    ) -> Targets:
        """Let ``child`` sign ``paths``, with as many keys as its threshold asks for."""
        delegator = self.role(parent)
        if delegator.delegations is None:
            delegator.delegations = Delegations(keys={}, roles={})
        assert delegator.delegations.roles is not None
        delegated = DelegatedRole(child, [], threshold, terminating, paths=paths)
        delegator.delegations.roles[child] = delegated
        self.signers.setdefault(child, [new_signer() for _ in range(threshold)])
        for signer in self.signers[child]:
            delegator.add_key(signer.public_key, child)
        if child not in self.delegates:
            self.delegates[child] = Targets(expires=tomorrow())
            self.delegates[child].version = 0
        return self.delegates[child]

    def role(self, name: str) -> Targets:
        return self.targets if name == Targets.type else self.delegates[name]


def _meta(version: int, content: bytes, *, hashes: bool) -> MetaFile:
    if not hashes:
        return MetaFile(version)
    return MetaFile(version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})
