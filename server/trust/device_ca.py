"""The authority of the push channel as pure functions: X.509 in, X.509 out; no row, file or clock.

Profile after RFC 5280. Everything is Ed25519. A device's certificate lives for a week and names
the device alone: its CN is the device id, which the broker takes as user name and client id.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.lib.errors import Invalid

SERVER_NAME = "linewarden-server"
"""CN of the server's own client certificate; no device can have it, theirs are UUIDs."""
CLIENT_LIFETIME = timedelta(days=7)
BROKER_LIFETIME = timedelta(days=90)
CRL_LIFETIME = timedelta(days=30)
"""A broker refuses everybody once its list is older: it is written anew long before."""
_AUTHORITY_LIFETIME = timedelta(days=3650)
_SKEW = timedelta(minutes=5)
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Authority:
    """The key that signs, and the certificate that others know it by."""

    key: Ed25519PrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        """What devices and the broker trust."""
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True)
class Issued:
    """A certificate, and what is recorded of it. ``serial`` is hex."""

    pem: bytes
    serial: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Credentials:
    """A certificate with its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_authority(now: datetime) -> bytes:
    """A new authority: key and self-signed certificate, one PEM text to be kept secret."""
    key = Ed25519PrivateKey.generate()
    name = _name("Linewarden device authority")
    builder = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _key_pem(key) + builder.sign(key, None).public_bytes(Encoding.PEM)


def load_authority(pem: bytes) -> Authority:
    """What ``make_authority`` made; ValueError where it is something else."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("the authority's key is no Ed25519 key")
    return Authority(key, x509.load_pem_x509_certificate(pem))


def issue(
    csr_pem: str, *, device_id: UUID, public_key: str, authority: Authority, now: datetime
) -> Issued:
    """A client certificate for the device whose accepted key is ``public_key`` (PEM).

    Invalid unless the request is signed with that very key. Whatever else the request asks for
    is ignored: the authority alone decides what a certificate says.
    """
    proven = _proven_key(csr_pem)
    if proven != load_pem_public_key(public_key.encode()):
        raise Invalid("The certificate request is made with another key than the device's own.")
    return _sign(_Wanted(str(device_id), proven, CLIENT_LIFETIME, _CLIENT), authority, now)


def issue_client(name: str, *, authority: Authority, now: datetime) -> Credentials:
    """A new key with a client certificate: what the server itself shows to the broker."""
    key = Ed25519PrivateKey.generate()
    wanted = _Wanted(name, key.public_key(), CLIENT_LIFETIME, _CLIENT)
    return Credentials(_sign(wanted, authority, now).pem, _key_pem(key))


def issue_broker(hosts: Sequence[str], *, authority: Authority, now: datetime) -> Credentials:
    """A new key with a server certificate for a broker that is reached as ``hosts``."""
    key = Ed25519PrivateKey.generate()
    wanted = _Wanted("linewarden-broker", key.public_key(), BROKER_LIFETIME, _SERVER, tuple(hosts))
    return Credentials(_sign(wanted, authority, now).pem, _key_pem(key))


def make_crl(authority: Authority, serials: Iterable[str], now: datetime) -> bytes:
    """The list of certificates (hex serials) that are not to be believed any more, PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now)
        .next_update(now + CRL_LIFETIME)
        .add_extension(_authority_id(authority.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
        builder = builder.add_revoked_certificate(entry.revocation_date(now).build())
    return builder.sign(authority.key, None).public_bytes(Encoding.PEM)


def _proven_key(csr_pem: str) -> Ed25519PublicKey:
    """The key that signed a request."""
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise Invalid("The certificate request must be made with an Ed25519 key.")
        key.verify(request.signature, request.tbs_certrequest_bytes)
    except InvalidSignature:
        raise Invalid("The signature of the certificate request is wrong.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("csr is no PEM certificate request (PKCS #10).") from None
    return key


@dataclass(frozen=True)
class _Wanted:
    """Whom a certificate is for, and what for; ``hosts`` are a server's names."""

    name: str
    public_key: Ed25519PublicKey
    lifetime: timedelta
    purpose: x509.ObjectIdentifier
    hosts: tuple[str, ...] = ()


def _sign(wanted: _Wanted, authority: Authority, now: datetime) -> Issued:
    issuer = authority.certificate.subject
    builder = (
        _builder(_name(wanted.name), issuer, wanted.public_key, now, wanted.lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([wanted.purpose]), critical=False)
        .add_extension(_authority_id(authority.key.public_key()), critical=False)
    )
    if wanted.hosts:
        names = x509.SubjectAlternativeName([_host(host) for host in wanted.hosts])
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(authority.key, None)
    return Issued(
        made.public_bytes(Encoding.PEM),
        f"{made.serial_number:x}",
        made.not_valid_before_utc,
        made.not_valid_after_utc,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: Ed25519PublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _authority_id(key: Ed25519PublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
