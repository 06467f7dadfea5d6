"""Public keys as people hand them around: checked, named after their holders. Pure, no Django."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import Key, SSlibKey

from server.lib.errors import Invalid

HOLDER = "x-linewarden-holder"
"""A field of the key itself, so that its holder's name is signed together with it."""
MAX_HOLDER = 100


def read_keys(keys: Mapping[str, Mapping[str, Any]]) -> list[Key]:
    """Keys by id, as files and rows hold them; Invalid for one that is not what its id says."""
    return [read_key(keyid, body) for keyid, body in keys.items()]


def read_key(keyid: str, body: Mapping[str, Any]) -> Key:
    """One Ed25519 key. A key under another's id would pass for it on every list that people see."""
    try:
        key = SSlibKey.from_dict(keyid, dict(body))
        raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"The public key {keyid[:16]} is none that can be used: {error}") from None
    if key.keytype != "ed25519" or SSlibKey.from_crypto(raw).keyid != keyid:
        raise Invalid(f"The public key {keyid[:16]} is not the one that its id names.")
    return key


def write_keys(keys: Mapping[str, Key] | list[Key]) -> dict[str, dict[str, Any]]:
    """The inverse of ``read_keys``."""
    listed = keys if isinstance(keys, list) else list(keys.values())
    return {key.keyid: key.to_dict() for key in listed}


def with_holder(key: Key, holder: str) -> Key:
    """The key under the name of who holds it; Invalid for a name that no list could show."""
    if not holder.strip() or len(holder) > MAX_HOLDER or not holder.isprintable():
        raise Invalid(f"A holder has a printable name of at most {MAX_HOLDER} characters.")
    key.unrecognized_fields[HOLDER] = holder.strip()
    return key


def holder_of(key: Key) -> str:
    """Who holds it, as was signed; empty for a key of a machine."""
    holder = key.unrecognized_fields.get(HOLDER, "")
    return holder[:MAX_HOLDER] if isinstance(holder, str) and holder.isprintable() else ""


def fingerprint(key: Key) -> str:
    """What two people read to each other to see that they speak of the same key."""
    digest = hashlib.sha256(bytes.fromhex(key.keyval["public"])).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, 24, 4))


def name_of(key: Key) -> str:
    """The key in words."""
    holder = holder_of(key)
    return f"{holder} ({fingerprint(key)})" if holder else fingerprint(key)
