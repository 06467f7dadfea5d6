"""Public keys of devices: Ed25519 only, in one spelling."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from server.lib.errors import Invalid


def normalise_public_key(pem: str) -> str:
    """The key in the one spelling that is stored and compared; Invalid where it is no Ed25519."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("public_key is no PEM SubjectPublicKeyInfo.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid("public_key must be an Ed25519 key; other kinds are not taken.")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@lru_cache(maxsize=10_000)
def fingerprint(pem: str) -> str:
    """SHA-256 of the DER form in hex: what people compare; empty for no key."""
    if not pem:
        return ""
    key = load_pem_public_key(pem.encode())
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()
