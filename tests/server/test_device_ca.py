"""Device certificates: for the device's own key alone, while the device is believed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.core.cache import cache
from django.db import transaction
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from inference_core.contract.device import CertificateReply, Goal
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Line
from server.fleet.services import (
    accept_device,
    quarantine_device,
    release_device,
    revoke_device,
)
from server.lib import clock
from server.lib.errors import Invalid
from server.trust import certificates, device_ca, keys
from server.trust.certificates import ShutOut, who_is_shut_out
from server.trust.models import DeviceCertificate
from tests.push import csr_of, new_authority, public_pem
from tests.server.box import Box, make_box

Commits = DjangoCaptureOnCommitCallbacks
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEVICE = uuid.uuid4()


def issue(csr: str, key: Ed25519PrivateKey) -> device_ca.Issued:
    return device_ca.issue(
        csr, device_id=DEVICE, public_key=public_pem(key), authority=AUTHORITY, now=NOW
    )


AUTHORITY = new_authority(NOW)


def test_a_certificate_names_the_device_whatever_the_request_says() -> None:
    key = Ed25519PrivateKey.generate()
    issued = issue(csr_of(key, "linewarden-server"), key)
    made = x509.load_pem_x509_certificate(issued.pem)
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == str(DEVICE)
    assert made.public_key() == key.public_key()
    assert f"{made.serial_number:x}" == issued.serial


def test_a_certificate_is_for_a_client_for_a_week_and_signs_nothing() -> None:
    key = Ed25519PrivateKey.generate()
    made = x509.load_pem_x509_certificate(issue(csr_of(key), key).pem)
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert made.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert made.not_valid_after_utc == NOW + timedelta(days=7)


def test_the_brokers_certificate_has_the_names_that_it_is_reached_by() -> None:
    made = device_ca.issue_broker(["push.example.com", "10.0.0.1"], authority=AUTHORITY, now=NOW)
    leaf = x509.load_pem_x509_certificate(made.certificate)
    leaf.verify_directly_issued_by(AUTHORITY.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [
        x509.DNSName("push.example.com"),
        x509.IPAddress(ip_address("10.0.0.1")),
    ]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_request_made_with_another_key_is_refused() -> None:
    with pytest.raises(Invalid, match="another key"):
        issue(csr_of(Ed25519PrivateKey.generate()), Ed25519PrivateKey.generate())


def test_a_request_that_names_a_key_without_having_it_is_refused() -> None:
    mine, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    request = x509.load_pem_x509_csr(csr_of(mine).encode()).public_bytes(Encoding.DER)
    forged = request.replace(
        mine.public_key().public_bytes_raw(), other.public_key().public_bytes_raw()
    )
    pem = x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()
    with pytest.raises(Invalid, match="signature"):
        issue(pem, other)


@pytest.mark.parametrize("csr", ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request_is_refused(csr: str) -> None:
    with pytest.raises(Invalid, match="PKCS #10"):
        issue(csr, Ed25519PrivateKey.generate())


def test_a_request_with_another_kind_of_key_is_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    with pytest.raises(Invalid, match="Ed25519"):
        issue(request.public_bytes(Encoding.PEM).decode(), Ed25519PrivateKey.generate())


def test_a_list_of_the_revoked_is_signed_and_names_them() -> None:
    listed = x509.load_pem_x509_crl(device_ca.make_crl(AUTHORITY, ["a1", "ff"], NOW))
    assert listed.is_signature_valid(AUTHORITY.key.public_key())
    assert {entry.serial_number for entry in listed} == {0xA1, 0xFF}


@pytest.fixture
def push(settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"broker_host": "push.example.com"})


@pytest.mark.django_db
class TestAtTheDoor:
    """``POST /device/v1/certificate``."""

    def test_a_device_gets_a_certificate_again_and_again(self, box: Box, push: None) -> None:
        answers = [box.post("certificate", {"csr": csr_of(box.key)}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        reply = CertificateReply.model_validate_json(answers[0].content)
        made = x509.load_pem_x509_certificate(reply.certificate.encode())
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(reply.ca.encode()))
        assert reply.not_after == made.not_valid_after_utc
        assert DeviceCertificate.objects.filter(device=box.device_id).count() == 2
        assert who_is_shut_out() == ShutOut()

    def test_the_authoritys_key_is_its_owners_alone(self, box: Box, push: None) -> None:
        certificates.authority()
        assert keys.authority_path().stat().st_mode & 0o777 == 0o600

    def test_the_goal_names_the_broker_where_there_is_one(
        self, box: Box, settings: Settings
    ) -> None:
        assert Goal.model_validate_json(box.poll().content).broker is None
        settings.ENV = settings.ENV.model_copy(update={"broker_host": "push.example.com"})
        cache.clear()
        broker = Goal.model_validate_json(box.poll().content).broker
        assert broker is not None
        assert (broker.host, broker.port) == ("push.example.com", 8883)

    def test_without_a_broker_there_is_no_certificate(self, box: Box) -> None:
        answer = box.post("certificate", {"csr": csr_of(box.key)})
        assert (answer.status_code, answer.json()["code"]) == (404, "no_broker")

    def test_nobody_gets_one_without_a_token(self, box: Box, push: None) -> None:
        box.token = ""
        assert box.post("certificate", {"csr": csr_of(box.key)}).status_code == 401

    def test_it_refuses_a_request_for_another_devices_key(
        self, box: Box, line: Line, push: None
    ) -> None:
        other = make_box(line, "box-2")
        answer = box.post("certificate", {"csr": csr_of(other.key)})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert not DeviceCertificate.objects.exists()

    def test_a_request_larger_than_the_contract_is_refused(self, box: Box, push: None) -> None:
        assert box.post("certificate", {"csr": "x" * 4001}).status_code == 422

    @pytest.mark.parametrize("cut_off", [quarantine_device, revoke_device])
    def test_a_device_that_is_cut_off_gets_none_and_is_told_why(
        self, box: Box, push: None, cut_off: Callable[..., None]
    ) -> None:
        cut_off(device=box.device, actor="test", reason="stolen")
        answer = box.post("certificate", {"csr": csr_of(box.key)})
        assert (answer.status_code, answer.json()["code"]) == (403, box.device.state)

    def test_a_device_that_asks_all_day_long_is_told_to_wait(
        self, box: Box, push: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(certificates, "MAX_A_DAY", 2)
        body = {"csr": csr_of(box.key)}
        statuses = [box.post("certificate", body).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


def certify(box: Box) -> str:
    """The serial of a new certificate."""
    answer = box.post("certificate", {"csr": csr_of(box.key)})
    assert answer.status_code == 200, answer.content
    made = x509.load_pem_x509_certificate(answer.json()["certificate"].encode())
    return f"{made.serial_number:x}"


@pytest.mark.django_db
class TestShutOut:
    """Who the broker shall not listen to follows from what people decide."""

    def test_a_revoked_device_is_shut_out_with_all_its_certificates(
        self, box: Box, push: None, django_capture_on_commit_callbacks: Commits
    ) -> None:
        serials = {certify(box), certify(box)}
        with django_capture_on_commit_callbacks(execute=True):
            revoke_device(device=box.device, actor="test", reason="stolen")
        assert who_is_shut_out() == ShutOut(frozenset({str(box.device_id)}), frozenset(serials))

    def test_a_device_that_is_released_has_its_certificate_back(
        self, box: Box, push: None, django_capture_on_commit_callbacks: Commits
    ) -> None:
        certify(box)
        with django_capture_on_commit_callbacks(execute=True):
            quarantine_device(device=box.device, actor="test", reason="strange")
        assert who_is_shut_out().devices == {str(box.device_id)}
        with django_capture_on_commit_callbacks(execute=True):
            release_device(device=box.device, actor="test")
        assert who_is_shut_out() == ShutOut()

    def test_a_new_key_ends_the_certificates_of_the_old_one(
        self,
        box: Box,
        line: Line,
        push: None,
        django_capture_on_commit_callbacks: Commits,
    ) -> None:
        old = certify(box)
        box.key = Ed25519PrivateKey.generate()
        token = issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token
        assert box.request_enrolment(token).status_code == 409
        with django_capture_on_commit_callbacks(execute=True):
            accept_device(device=box.device, actor="test")
        assert who_is_shut_out() == ShutOut(frozenset({str(box.device_id)}), frozenset({old}))
        box.log_in()
        certify(box)
        assert who_is_shut_out() == ShutOut(frozenset(), frozenset({old}))

    def test_a_session_older_than_its_certificate_stays_shut_out(
        self, box: Box, push: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certify(box)
        certify(box)
        revoke_device(device=box.device, actor="test", reason="stolen")
        certificates.follow_device(device_id=box.device_id or "")
        later = clock.now() + timedelta(days=30)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert certificates.forget_certificates() == 1
        assert who_is_shut_out() == ShutOut(frozenset({str(box.device_id)}), frozenset())

    def test_the_door_of_a_revocation_that_is_not_committed_stays_open(
        self, box: Box, push: None
    ) -> None:
        certify(box)
        with transaction.atomic():
            revoke_device(device=box.device, actor="test", reason="oh no")
            transaction.set_rollback(True)
        assert who_is_shut_out() == ShutOut()
