"""Keys that people hold: files encrypted with a passphrase, on their own media. No Django."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root

from server.lib.errors import Conflict, Invalid, NotFound
from server.trust import judging
from server.trust.public_keys import read_keys, with_holder, write_keys

MIN_PASSPHRASE = 12
MAX_PASSPHRASE_BYTES = 1023
"""The library refuses longer ones."""


class Keyholders(BaseModel):
    """Public keys by id, and how many of them must sign; for root, for targets, or for one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: dict[str, dict[str, Any]] = Field(min_length=1, max_length=50)
    threshold: int = Field(default=1, ge=1, le=50)

    @property
    def public(self) -> list[Key]:
        """The keys, checked."""
        return read_keys(self.keys)


def check_passphrase(passphrase: str) -> str:
    """The passphrase; Invalid for one that is guessed soon or cannot be used."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise Invalid(f"A passphrase has at least {MIN_PASSPHRASE} characters.")
    if len(passphrase.encode()) > MAX_PASSPHRASE_BYTES:
        raise Invalid(f"A passphrase has at most {MAX_PASSPHRASE_BYTES} bytes.")
    return passphrase


def make_key_file(path: Path, *, holder: str, passphrase: str) -> Key:
    """A new encrypted key at ``path``, and its public half beside it; Conflict where one lies."""
    check_passphrase(passphrase)
    private = Ed25519PrivateKey.generate()
    public = with_holder(CryptoSigner(private).public_key, holder)
    encryption = BestAvailableEncryption(passphrase.encode())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} is there already; a key is never written over.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    write_keyholders(public_path(path), [public], 1)
    return public


def load_key_file(path: Path, passphrase: str) -> CryptoSigner:
    """The signer in an encrypted file; Invalid for a wrong passphrase or a key in plain."""
    pem = _read(path)
    if b"BEGIN ENCRYPTED PRIVATE KEY" not in pem:
        raise Invalid(f"{path} is no encrypted private key (PKCS8, PEM).")
    try:
        private = load_pem_private_key(pem, password=passphrase.encode())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise Invalid(f"The passphrase does not open {path}, or the file is damaged.") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise Invalid(f"{path} is no Ed25519 key.")
    return CryptoSigner(private)


def public_path(path: Path) -> Path:
    """Where the public half of a key file lies; this is what others are given."""
    return path.with_suffix(".pub")


def write_keyholders(path: Path, keys: list[Key], threshold: int) -> None:
    """Write public keys for others to read."""
    body = Keyholders(keys=write_keys(keys), threshold=threshold)
    path.write_text(json.dumps(body.model_dump(), indent=1) + "\n")


def read_keyholders(path: Path) -> Keyholders:
    """Public keys from a file; Invalid for what is none."""
    try:
        found = Keyholders.model_validate_json(_read(path))
    except ValidationError as error:
        raise Invalid(f"{path} holds no public keys: {error.errors()[0]['msg']}.") from None
    if found.threshold > len(found.public):
        raise Invalid(f"{path} wants {found.threshold} signatures of {len(found.keys)} keys.")
    return found


def pinned_root(key_path: Path) -> Metadata[Root] | None:
    """The root that the holder of a key has signed under last; None for a key never used."""
    path = _pin_path(key_path)
    if not path.exists():
        return None
    try:
        return judging.parse({"root": json.loads(_read(path))})["root"]
    except ValueError:
        raise Invalid(f"{path} is damaged; bring it back from a copy of the stick.") from None


def pin_root(key_path: Path, root: Metadata[Root]) -> None:
    """Remember a root beside the key: from now on nobody can show its holder another history."""
    path = _pin_path(key_path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(root.to_dict()) + "\n")
    partial.replace(path)


def _pin_path(key_path: Path) -> Path:
    return key_path.with_suffix(".root.json")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
