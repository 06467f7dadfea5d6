"""Devices with certificates, by the server's own authority."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from device_agent.identity import Certificate, Identity
from inference_core.contract.device import CertificateReply, CertificateRequest, EnrolmentReply
from server.trust import device_ca
from server.trust.device_ca import Authority

LIFE = device_ca.CLIENT_LIFETIME


def now() -> datetime:
    return datetime.now(timezone.utc)


def enrol_as(identity: Identity, device_id: uuid.UUID | None = None) -> Identity:
    """As after ``POST enrol``."""
    reply = EnrolmentReply(
        device_id=device_id or uuid.uuid4(),
        state="accepted",
        profile="x86-fake",
        tuf_root="{}",
        poll_s=1,
        server_time=now(),
    )
    identity.remember(reply)
    return identity


def new_identity(folder: Path) -> Identity:
    """A device that is enrolled and has no certificate yet."""
    return enrol_as(Identity(folder / "identity"))


def certify(
    authority: Authority,
    device_id: uuid.UUID,
    public_key: str,
    *,
    at: Callable[[], datetime] = now,
) -> Callable[[CertificateRequest], CertificateReply]:
    """What the server does on ``POST certificate``, with its clock at ``at``."""

    def answer(request: CertificateRequest) -> CertificateReply:
        issued = device_ca.issue(
            request.csr,
            device_id=device_id,
            public_key=public_key,
            authority=authority,
            now=at(),
        )
        return CertificateReply(
            certificate=issued.pem.decode(),
            ca=authority.certificate_pem.decode(),
            not_before=issued.not_before,
            not_after=issued.not_after,
        )

    return answer


def give_certificate(
    identity: Identity, authority: Authority, *, at: Callable[[], datetime] = now
) -> Certificate:
    """As after a renewal at ``at``."""
    assert identity.enrolment is not None
    device_id = identity.enrolment.device_id
    request = CertificateRequest(csr=identity.make_csr(device_id))
    reply = certify(authority, device_id, identity.public_key, at=at)(request)
    certificate = Certificate(
        device_id=device_id,
        pem=reply.certificate,
        ca=reply.ca,
        received_at=now(),
        renew_at=now() + timedelta(days=4),
    )
    identity.remember_certificate(certificate)
    return certificate


def make_server_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """TLS of a server on this machine, and the private authority to believe it by."""
    authority = device_ca.load_authority(device_ca.make_authority(now()))
    own = device_ca.issue_broker(["127.0.0.1"], authority=authority, now=now())
    (folder / "server.pem").write_bytes(own.certificate + own.key)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context, folder / "ca.pem"
