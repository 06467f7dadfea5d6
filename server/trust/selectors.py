"""Reads of the TUF repository: what devices fetch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db.models import QuerySet

from server.lib.errors import NotFound
from server.trust.models import MetadataFile, SignedTarget

_VERSIONED = re.compile(r"(?P<version>[1-9][0-9]{0,8})\.(?P<role>[a-z0-9][a-z0-9._-]{0,119})\.json")
_HASHED = re.compile(r"(?P<sha256>[0-9a-f]{64})\.(?P<name>.+)")


def metadata_file(name: str) -> bytes:
    """The file under its TUF name: ``timestamp.json``, or ``VERSION.ROLE.json`` for all others."""
    if name == "timestamp.json":
        row = newest("timestamp")
    else:
        found = _VERSIONED.fullmatch(name)
        row = (
            found
            and MetadataFile.objects.filter(
                role=found["role"], version=int(found["version"])
            ).first()
        )
    if row is None:
        raise NotFound("There is no such metadata.")
    return bytes(row.body)


def newest(role: str) -> MetadataFile | None:
    """The newest metadata of ``role``."""
    return MetadataFile.objects.filter(role=role).order_by("-version").first()


def root_json() -> str:
    """The root of trust for a new device, JSON text: the newest, so that it has less to walk."""
    row = newest("root")
    if row is None:
        raise NotFound("The repository has not been set up yet.")
    return bytes(row.body).decode()


def served_targets() -> QuerySet[SignedTarget]:
    """What devices can be given: neither withdrawn, nor waiting for a second signature."""
    return SignedTarget.objects.filter(waits_since=None, withdrawn_at=None)


def withdrawn_paths(paths: Iterable[str]) -> set[str]:
    """Those of ``paths`` that nobody vouches for any more."""
    rows = SignedTarget.objects.filter(path__in=list(paths)).exclude(withdrawn_at=None)
    return set(rows.values_list("path", flat=True))


def is_signed(path: str) -> bool:
    """Whether a target is signed under exactly this path, by everybody who must."""
    return served_targets().filter(path=path).exists()


def target_blob(path: str) -> SignedTarget:
    """The target under ``path``, with or without the digest that TUF clients put before a name."""
    targets = served_targets()
    target = targets.filter(path=path).first()
    if target is None:
        folder, _, name = path.rpartition("/")
        hashed = _HASHED.fullmatch(name)
        plain = f"{folder}/{hashed['name']}" if hashed else None
        target = hashed and targets.filter(path=plain, sha256=hashed["sha256"]).first()
    if target is None:
        raise NotFound("There is no such target.")
    return target
