"""The broker's certificate: asked for, kept, renewed in time, and not in a loop."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from device_agent.config import Config
from device_agent.errors import Rejected, Unavailable
from device_agent.gateway import Gateway
from device_agent.identity import Certificate, Identity
from device_agent.push.certificates import Certificates
from inference_core.contract.device import Broker, Goal
from server.trust.device_ca import Authority
from tests.agent.certified import LIFE, certify, enrol_as, give_certificate, now
from tests.agent.gateway_simulator import Simulator
from tests.push import new_authority

GOAL = Goal(generation=1, broker=Broker(host="127.0.0.1"))


class Box:
    """A device that is enrolled at the simulated server."""

    def __init__(self, folder: Path, server: Simulator) -> None:
        self.folder, self.server = folder / "identity", server
        self.identity = enrol_as(Identity(self.folder), server.device_id)
        server.public_key = self.identity.public_key
        self.authority: Authority = new_authority()
        self.server_clock: Callable[[], datetime] = now
        server.certifies = certify(
            self.authority,
            server.device_id,
            self.identity.public_key,
            at=lambda: self.server_clock(),  # noqa: PLW0108 - tests set the clock later
        )
        self.errand = Certificates(self.identity, self.gateway())

    def gateway(self) -> Gateway:
        config = Config(server_url=self.server.url, data_dir=self.folder.parent, serial="box-1")
        return Gateway(config, self.identity)

    @property
    def requests(self) -> int:
        return len(self.server.certificate_requests)

    @property
    def kept(self) -> Certificate:
        assert self.identity.certificate is not None
        return self.identity.certificate


@pytest.fixture
def box(tmp_path: Path, server: Simulator) -> Box:
    return Box(tmp_path, server)


def test_a_device_asks_for_one_where_the_goal_names_a_broker(box: Box) -> None:
    box.errand.turn(Goal(generation=1))
    assert box.identity.certificate is None
    box.errand.turn(GOAL)
    certificate = x509.load_pem_x509_certificate(box.kept.pem.encode())
    assert certificate.subject.rfc4514_string() == f"CN={box.server.device_id}"
    assert box.identity.owns(certificate.public_key())
    assert box.kept.ca == box.authority.certificate_pem.decode()
    for path in box.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_it_is_kept_across_a_restart_and_not_asked_for_again(box: Box) -> None:
    box.errand.turn(GOAL)
    again = Identity(box.folder)
    assert again.certificate == box.kept
    errand = Certificates(again, box.gateway())
    assert errand.turn(GOAL) > 1
    assert box.requests == 1


def test_it_is_renewed_when_about_two_thirds_of_its_life_are_over(box: Box) -> None:
    box.errand.turn(GOAL)
    planned = box.kept.renew_at - box.kept.received_at
    assert LIFE * 0.59 < planned < LIFE * 0.71
    box.identity.remember_certificate(box.kept.model_copy(update={"renew_at": now()}))
    box.errand.turn(GOAL)
    assert box.requests == 2


def test_a_short_life_is_renewed_before_it_ends(box: Box) -> None:
    box.server_clock = lambda: now() - LIFE + timedelta(seconds=8)
    box.errand.turn(GOAL)
    ends = x509.load_pem_x509_certificate(box.kept.pem.encode()).not_valid_after_utc
    while box.requests == 1:
        assert now() < ends
        box.errand.turn(GOAL)
        time.sleep(0.05)


@pytest.mark.parametrize("years", [-56, 10])
def test_a_wrong_clock_does_not_ask_again_and_again(box: Box, years: int) -> None:
    box.server_clock = lambda: now() + timedelta(days=365 * years)
    for _ in range(5):
        assert box.errand.turn(GOAL) > 1
    assert box.requests == 1


def test_a_clock_that_was_set_back_costs_one_renewal(box: Box) -> None:
    box.errand.turn(GOAL)
    later = timedelta(days=3650)
    changes = {"received_at": now() + later, "renew_at": now() + later + LIFE}
    box.identity.remember_certificate(box.kept.model_copy(update=changes))
    for _ in range(3):
        box.errand.turn(GOAL)
    assert box.requests == 2


def test_after_another_enrolment_the_old_one_is_dropped(box: Box) -> None:
    box.errand.turn(GOAL)
    enrol_as(box.identity, uuid.uuid4())
    assert box.identity.certificate is None
    assert Identity(box.folder).certificate is None


def test_a_certificate_of_another_device_is_not_kept(box: Box) -> None:
    box.server.certifies = certify(box.authority, uuid.uuid4(), box.identity.public_key)
    with pytest.raises(Rejected, match="not this device's"):
        box.errand.turn(GOAL)
    assert box.identity.certificate is None


def test_a_certificate_for_another_key_is_not_kept(box: Box, tmp_path: Path) -> None:
    twin = enrol_as(Identity(tmp_path / "twin"), box.server.device_id)
    certificate = give_certificate(twin, box.authority)
    honest = box.server.certifies
    assert honest is not None
    box.server.certifies = lambda request: honest(request).model_copy(
        update={"certificate": certificate.pem}
    )
    with pytest.raises(Rejected, match="not this device's"):
        box.errand.turn(GOAL)
    assert box.identity.certificate is None


def test_what_is_no_certificate_is_not_kept(box: Box) -> None:
    honest = box.server.certifies
    assert honest is not None
    box.server.certifies = lambda request: honest(request).model_copy(update={"ca": "no PEM"})
    with pytest.raises(Rejected, match="no certificate"):
        box.errand.turn(GOAL)
    assert box.identity.certificate is None


def test_a_server_that_refuses_or_is_down_costs_not_the_one_that_is_there(box: Box) -> None:
    box.errand.turn(GOAL)
    kept = box.kept.model_copy(update={"renew_at": now()})
    box.identity.remember_certificate(kept)
    box.server.certifies = None
    with pytest.raises(Rejected, match="given no certificate"):
        box.errand.turn(GOAL)
    box.server.is_down = True
    with pytest.raises(Unavailable):
        box.errand.turn(GOAL)
    assert box.identity.certificate == kept


def test_a_doubted_one_is_renewed_early_but_seldom(box: Box) -> None:
    give_certificate(box.identity, new_authority())
    box.errand.doubt()
    box.errand.turn(GOAL)
    assert box.kept.ca == box.authority.certificate_pem.decode()
    box.errand.doubt()
    box.errand.turn(GOAL)
    assert box.requests == 1


def test_a_damaged_file_is_no_loss(box: Box) -> None:
    box.errand.turn(GOAL)
    (box.folder / "certificate.json").write_text("{")
    identity = Identity(box.folder)
    assert identity.certificate is None
    Certificates(identity, box.gateway()).turn(GOAL)
    assert identity.certificate is not None
