"""Who this device is: an Ed25519 key that never leaves it, and its name at the server."""

from __future__ import annotations

import ssl
import time
import uuid
from datetime import datetime
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from device_agent.errors import ConfigError
from device_agent.files import make_folder, write_atomically
from device_agent.log import logger
from inference_core.contract.base import Message
from inference_core.contract.device import EnrolmentReply

ASSERTION_S = 45
"""Below the 60 s that the server allows, to leave room for a clock that runs ahead."""


class Certificate(Message):
    """A client certificate as it is kept: whose it is, and when this device's clock renews it."""

    device_id: uuid.UUID
    pem: str
    ca: str
    received_at: datetime
    renew_at: datetime


class Identity:
    """The key, the broker's certificate and the enrolment reply under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder, mode=0o700)
        self._key_path = folder / "key.pem"
        self._reply_path = folder / "enrolment.json"
        self._certificate_path = folder / "certificate.json"
        self._key = self._load_key() if self._key_path.exists() else self._make_key()
        self._enrolment = self._load_enrolment()
        self._certificate = self._load_certificate()

    @property
    def enrolment(self) -> EnrolmentReply | None:
        """What the server answered at enrolment; None before it."""
        return self._enrolment

    @property
    def public_key(self) -> str:
        """PEM SubjectPublicKeyInfo."""
        key = self._key.public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def remember(self, reply: EnrolmentReply) -> None:
        """Keep the device's name and its root of trust, durably."""
        write_atomically(self._reply_path, reply.to_json(), mode=0o600)
        self._enrolment = reply

    @property
    def certificate(self) -> Certificate | None:
        """What the broker is shown; None where there is none, or it is of an earlier enrolment."""
        kept, enrolment = self._certificate, self._enrolment
        return kept if kept and enrolment and kept.device_id == enrolment.device_id else None

    def remember_certificate(self, certificate: Certificate) -> None:
        """Keep certificate and authority together, durably."""
        write_atomically(self._certificate_path, certificate.to_json(), mode=0o600)
        self._certificate = certificate

    def make_csr(self, device_id: uuid.UUID) -> str:
        """A PKCS #10 request, PEM, signed with the device's own key."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(device_id))])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return request.sign(self._key, None).public_bytes(Encoding.PEM).decode()

    def owns(self, public_key: object) -> bool:
        """Whether it belongs to this device's private key."""
        return public_key == self._key.public_key()

    def make_tls_context(self, certificate: Certificate) -> ssl.SSLContext:
        """TLS that shows ``certificate``, believes its authority alone, and checks host names."""
        context = ssl.create_default_context(cadata=certificate.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        path = self._folder / "certificate.pem"  # OpenSSL reads it from a file only
        if not path.exists() or path.read_text() != certificate.pem:
            write_atomically(path, certificate.pem.encode(), mode=0o600)
        context.load_cert_chain(path, self._key_path)
        return context

    def assertion(self, device_id: uuid.UUID, audience: str, *, clock_offset_s: float = 0) -> str:
        """A client assertion (RFC 7523) for one use, by a clock that is off by so much."""
        now = int(time.time() + clock_offset_s)
        claims = {
            "iss": str(device_id),
            "sub": str(device_id),
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_S,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def _make_key(self) -> Ed25519PrivateKey:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomically(self._key_path, pem, mode=0o600)
        return key

    def _load_key(self) -> Ed25519PrivateKey:
        if self._key_path.stat().st_mode & 0o077:
            raise ConfigError(f"others can read {self._key_path}; chmod 600 it, or enrol afresh")
        try:
            key = load_pem_private_key(self._key_path.read_bytes(), password=None)
        except ValueError as error:
            raise ConfigError(f"{self._key_path} holds no key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{self._key_path} holds no Ed25519 key")
        return key

    def _load_enrolment(self) -> EnrolmentReply | None:
        try:
            return EnrolmentReply.model_validate_json(self._reply_path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ConfigError(
                f"{self._reply_path} is damaged; remove it and enrol again"
            ) from error

    def _load_certificate(self) -> Certificate | None:
        """A damaged one is no loss: the next is asked for."""
        try:
            return Certificate.model_validate_json(self._certificate_path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            logger.warning("%s is damaged; asking for another", self._certificate_path)
            return None
