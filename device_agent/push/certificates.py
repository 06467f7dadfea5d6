"""The client certificate for the broker: asked for over REST, renewed long before it ends."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.x509.oid import NameOID

from device_agent.errors import Rejected
from device_agent.gateway import Gateway
from device_agent.identity import Certificate, Identity
from device_agent.log import logger
from inference_core.contract.device import CertificateReply, CertificateRequest, Goal

_USED_SHARE = (0.60, 0.70)
"""Renewed when about two thirds of the life are over, each device at another moment."""

_CLOCK_STEP = timedelta(hours=1)
_LOOK_S = 60.0
_ASKED_EVERY_S = 3600.0


class Certificates:
    """An errand. A wrong clock costs one renewal when it is set, and no loop of them."""

    name = "the broker's certificate"

    def __init__(self, identity: Identity, gateway: Gateway) -> None:
        self._identity, self._gateway = identity, gateway
        self._is_doubted = False
        self._renewed_at: float | None = None

    def doubt(self) -> None:
        """The broker and the certificate do not go together: maybe the authority has changed.

        From any thread. It is renewed early then, at most once an hour.
        """
        self._is_doubted = True

    def turn(self, goal: Goal) -> float:
        """Renew when it is time; ``Rejected`` and ``Unavailable`` as the server answers."""
        if goal.broker is None:
            return _LOOK_S
        if self._wait_s() <= 0:
            self._renew()
        return min(_LOOK_S, max(1.0, self._wait_s()))

    def _wait_s(self) -> float:
        """Seconds until the renewal, by the clock that the certificate was received under."""
        certificate = self._identity.certificate
        if certificate is None or (self._is_doubted and self._may_ask_anew):
            return 0.0
        now = datetime.now(timezone.utc)
        if now < certificate.received_at - _CLOCK_STEP:
            return 0.0  # the clock was set back: by it, the renewal would come years too late
        return (certificate.renew_at - now).total_seconds()

    @property
    def _may_ask_anew(self) -> bool:
        renewed_at = self._renewed_at
        return renewed_at is None or time.monotonic() - renewed_at > _ASKED_EVERY_S

    def _renew(self) -> None:
        enrolment = self._identity.enrolment
        if enrolment is None:
            raise Rejected("this device is not enrolled: run `linewarden-agent enrol`")
        request = CertificateRequest(csr=self._identity.make_csr(enrolment.device_id))
        reply = self._gateway.renew_certificate(request)
        self._judge(reply, str(enrolment.device_id))
        now = datetime.now(timezone.utc)
        certificate = Certificate(
            device_id=enrolment.device_id,
            pem=reply.certificate,
            ca=reply.ca,
            received_at=now,
            renew_at=now + _remaining(reply, now) * random.uniform(*_USED_SHARE),  # noqa: S311
        )
        self._identity.remember_certificate(certificate)
        self._renewed_at, self._is_doubted = time.monotonic(), False
        logger.info("certificate renewed, good until %s", reply.not_after.isoformat())

    def _judge(self, reply: CertificateReply, device_id: str) -> None:
        """Shown to a broker, a certificate of another device would only earn refusals."""
        first = _load(reply)
        common = first.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = [str(name.value) for name in common]
        if names != [device_id] or not self._identity.owns(first.public_key()):
            raise Rejected(f"the server sent a certificate of {names}, not this device's")


def _load(reply: CertificateReply) -> x509.Certificate:
    try:
        x509.load_pem_x509_certificates(reply.ca.encode())
        return x509.load_pem_x509_certificates(reply.certificate.encode())[0]
    except ValueError as error:
        raise Rejected(f"the server sent no certificate: {error}") from error


def _remaining(reply: CertificateReply, now: datetime) -> timedelta:
    """What is left of its life; all of it, where this clock is plainly wrong."""
    life = reply.not_after - reply.not_before
    left = reply.not_after - now
    return left if timedelta(0) < left <= life else life
