"""Private keys of the repository's roles: one PEM file a role, readable by its owner alone.

Keys of ``root`` and ``targets`` lie in ``offline/`` and keys of profiles in ``builders/``, so that
an operator can move either folder to where it belongs: out of the web server's reach.

A role may have several keys here: the one that signs now, and ``ROLE.KEYID.pem``, which shall sign
once those who hold the offline keys have said so. Metadata decides which of them counts.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from securesystemslib.signer import CryptoSigner, Key

from server.lib.errors import Unavailable

OFFLINE_ROLES = frozenset({"root", "targets"})
ONLINE_ROLES = frozenset({"snapshot", "timestamp"})


def key_path(role: str) -> Path:
    """Where the private key of ``role`` lies, or would lie."""
    folder: Path = settings.DATA / "trust" / "keys"
    if role in OFFLINE_ROLES:
        return folder / "offline" / f"{role}.pem"
    if role in ONLINE_ROLES:
        return folder / f"{role}.pem"
    return folder / "builders" / f"{role}.pem"


def has_key(role: str) -> bool:
    """Whether this machine can sign for ``role``."""
    return key_path(role).exists()


def authority_path() -> Path:
    """Where key and certificate of the authority for device certificates lie."""
    folder: Path = settings.DATA / "trust" / "keys"
    return folder / "devices.pem"


def make_key(role: str) -> None:
    """Make the key of ``role``; the one that lies there already stays, whoever made it."""
    store_once(key_path(role), _new_pem())


def store_once(path: Path, pem: bytes) -> None:
    """Write a private file, unless one lies there already: that one stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and linked: of several processes one wins, and none reads half a key.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        _link(partial, path)
    finally:
        partial.unlink()


def load_signer(role: str) -> CryptoSigner:
    """The signer of ``role``; Unavailable where its key does not lie on this machine."""
    path = key_path(role)
    signer = _signer_at(path)
    if signer is None:
        raise missing_key(role)
    return signer


def missing_key(role: str) -> Unavailable:
    """What to say where nobody on this machine can sign for ``role``."""
    return Unavailable(
        f"The key of the role {role!r} is not on this machine; bring {key_path(role)} back from "
        "where it is kept, or run this where it is."
    )


def signers_among(role: str, keyids: Collection[str]) -> list[CryptoSigner]:
    """Signers for those of ``keyids`` whose private keys lie on this machine, each once."""
    first = key_path(role)
    found = [_signer_at(path) for path in (first, *sorted(first.parent.glob(f"{role}.*.pem")))]
    known = {signer.public_key.keyid: signer for signer in found if signer}
    return [known[keyid] for keyid in keyids if keyid in known]


def make_next_key(role: str) -> Key:
    """A further key of ``role``, which signs nothing before metadata names it."""
    pem = _new_pem()
    signer = CryptoSigner(_ed25519(pem, key_path(role)))
    keyid = signer.public_key.keyid
    store_once(key_path(role).with_name(f"{role}.{keyid[:16]}.pem"), pem)
    return signer.public_key


def idle_keys(role: str, keyids: Collection[str]) -> list[Path]:
    """Files with private keys of ``role`` that lie here in plain and that metadata do not name."""
    first = key_path(role)
    found = []
    for path in (first, *sorted(first.parent.glob(f"{role}.*.pem"))):
        signer = _signer_at(path)
        if signer is not None and signer.public_key.keyid not in keyids:
            found.append(path)
    return found


def _signer_at(path: Path) -> CryptoSigner | None:
    """None for an absent key and for an encrypted one, which only its holder can use."""
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    if b"BEGIN ENCRYPTED" in pem:
        return None
    return CryptoSigner(_ed25519(pem, path))


def _ed25519(pem: bytes, path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is no Ed25519 key")
    return key


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _link(partial: Path, path: Path) -> None:
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
