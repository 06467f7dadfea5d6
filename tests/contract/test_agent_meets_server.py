"""The agent's own gateway against the real server over HTTP: both sides keep the contract."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from device_agent.config import Config
from device_agent.errors import Rejected
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from device_agent.push.certificates import Certificates
from inference_core.contract.device import (
    Broker,
    DeviceFacts,
    EnrolmentRequest,
    Goal,
    Progress,
    Report,
)
from inference_core.contract.results import FrameResult
from inference_core.contract.telemetry import Batch, Event, Gap, Record, SampleMeta
from server.fleet.enrolment import issue_enrolment_token
from server.fleet.models import Device, Presence
from server.fleet.services import create_line, create_site, revoke_device, seed_profiles
from server.review.models import Sample
from server.telemetry.models import TelemetryRecord
from server.trust.services import ensure_repository
from tests.agent.gateway_simulator import ENROLMENT_TOKEN, Simulator
from tests.agent.signed_repository import SignedRepository

pytestmark = pytest.mark.django_db(transaction=True)

FACTS = DeviceFacts(
    architecture="x86_64",
    system="Linux",
    cpu_count=4,
    memory_bytes=8 << 30,
    runtimes={"onnxruntime": "1.32.0"},
)
JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x30\x00\x40\x03" + b"\0" * 16 + b"\xff\xd9"


@pytest.fixture
def enrolment_token(live_server: LiveServer, settings: Settings) -> str:
    """A token of a server that is prepared, and knows its own address."""
    settings.PRESENCE_FLUSHES_ITSELF = False
    settings.ENV = settings.ENV.model_copy(update={"public_url": live_server.url})
    seed_profiles()
    ensure_repository()
    site = create_site(name="works", title="Works", actor="test")
    line = create_line(site=site, name="front", title="Front", actor="test")
    return issue_enrolment_token(line=line, is_preauthorised=True, actor="test").token


@pytest.fixture
def gateway(live_server: LiveServer, enrolment_token: str, tmp_path: Path) -> Gateway:
    """The gateway of an agent that has just been enrolled."""
    identity = Identity(tmp_path / "identity")
    config = Config(server_url=live_server.url, data_dir=tmp_path, serial="box-1")
    gateway = Gateway(config, identity)
    request = EnrolmentRequest(
        token=enrolment_token, serial="box-1", public_key=identity.public_key, facts=FACTS
    )
    identity.remember(gateway.enrol(request))
    return gateway


@pytest.fixture(params=["server", "simulator"])
def either(request: pytest.FixtureRequest) -> Gateway:
    """The same gateway before the real server, and before the simulator that tests stand on."""
    name = "gateway" if request.param == "server" else "simulated"
    gateway: Gateway = request.getfixturevalue(name)
    return gateway


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Gateway]:
    repository = SignedRepository()
    repository.publish()
    with Simulator(repository, "x86-fake") as simulator:
        identity = Identity(tmp_path / "identity")
        config = Config(server_url=simulator.url, data_dir=tmp_path, serial="box-1")
        gateway = Gateway(config, identity)
        request = EnrolmentRequest(
            token=ENROLMENT_TOKEN, serial="box-1", public_key=identity.public_key, facts=FACTS
        )
        identity.remember(gateway.enrol(request))
        yield gateway


def test_both_give_the_goal_once_and_nothing_while_it_is_unchanged(either: Gateway) -> None:
    report = Report(boot_id=uuid.uuid4())
    first = either.goal(report, None)
    again = either.goal(report, first.etag)
    assert first.goal is not None
    assert first.goal.generation == 0
    assert (again.goal, again.etag) == (None, first.etag)
    assert again.poll_s is not None
    assert again.poll_s > 0


def test_both_store_a_batch_once_however_often_it_comes(either: Gateway) -> None:
    boot = uuid.uuid4()
    assert either.send_telemetry(_batch(boot, 1, 2)).acked_seq == 2
    assert either.send_telemetry(_batch(boot, 1, 2)).acked_seq == 2
    assert either.send_telemetry(_batch(boot, 2, 3)).acked_seq == 3


def test_both_name_the_last_record_they_have_when_one_is_missing(either: Gateway) -> None:
    boot = uuid.uuid4()
    assert either.send_telemetry(_batch(boot, 1)).acked_seq == 1
    assert either.send_telemetry(_batch(boot, 3)).acked_seq == 1
    gap = Gap(first_seq=2, last_seq=2, reason="disk_full")
    record = Record(seq=2, captured_at=datetime.now(timezone.utc), body=gap)
    assert either.send_telemetry(Batch(boot_id=boot, records=(record,))).acked_seq == 2


def test_both_count_every_boot_from_its_own_first_record(either: Gateway) -> None:
    assert either.send_telemetry(_batch(uuid.uuid4(), 1, 2)).acked_seq == 2
    assert either.send_telemetry(_batch(uuid.uuid4(), 1)).acked_seq == 1


def test_both_refuse_a_token_that_nobody_gave_out(either: Gateway, tmp_path: Path) -> None:
    request = EnrolmentRequest(
        token="this-token-nobody-has-given-out",
        serial="box-2",
        public_key=Identity(tmp_path / "stranger").public_key,
        facts=FACTS,
    )
    with pytest.raises(Rejected) as caught:
        either.enrol(request)
    assert caught.value.status == 401


def test_both_hand_out_signed_metadata_and_ranges_of_it(either: Gateway) -> None:
    with either.open_file("metadata/1.root.json") as response:
        whole = response.raw.read()
        assert response.status_code == 200
    with either.open_file("metadata/1.root.json", offset=100) as response:
        rest = response.raw.read()
        assert (response.status_code, rest) in ((206, whole[100:]), (200, whole))
    with either.open_file("metadata/1.root.json", offset=100, end=200) as response:
        window = response.raw.read()
        assert (response.status_code, window) in ((206, whole[100:200]), (200, whole))
    with either.open_file("metadata/99.root.json") as response:
        assert response.status_code == 404


def test_both_take_the_facts_of_a_box_and_say_whether_its_profile_fits(either: Gateway) -> None:
    assert either.send_facts(FACTS).misfit == ""


def test_the_server_says_that_a_profile_no_longer_fits(gateway: Gateway) -> None:
    moved = FACTS.model_copy(update={"architecture": "aarch64"})
    reply = gateway.send_facts(moved)
    assert reply.misfit == "needs architecture x86_64, the device has aarch64"
    assert reply.profile == "x86-onnxruntime"


def test_a_box_that_no_profile_fits_says_so_in_words(
    live_server: LiveServer, enrolment_token: str, tmp_path: Path
) -> None:
    identity = Identity(tmp_path / "identity")
    config = Config(server_url=live_server.url, data_dir=tmp_path, serial="box-9")
    odd = FACTS.model_copy(update={"architecture": "riscv64"})
    request = EnrolmentRequest(
        token=enrolment_token, serial="box-9", public_key=identity.public_key, facts=odd
    )
    with pytest.raises(Rejected, match="No profile fits what the device says of itself"):
        Gateway(config, identity).enrol(request)


def test_both_answer_for_a_deployment_that_they_do_not_know(either: Gateway) -> None:
    progress = Progress(seq=1, expected_version=0, phase="acknowledged")
    with pytest.raises(Rejected) as caught:
        either.report_progress(uuid.uuid4(), progress)
    assert caught.value.status == 404


def _batch(boot: uuid.UUID, *numbers: int) -> Batch:
    now = datetime.now(timezone.utc)
    records = [Record(seq=seq, captured_at=now, body=Event(name="started")) for seq in numbers]
    return Batch(boot_id=boot, records=tuple(records))


def test_a_poll_gets_the_goal_and_the_next_one_nothing_new(gateway: Gateway) -> None:
    report = Report(boot_id=uuid.uuid4(), agent_version="0.1.0")
    first = gateway.goal(report, None)
    again = gateway.goal(report, first.etag)
    assert first.goal is not None
    assert first.goal.generation == 0
    assert again.goal is None
    assert again.poll_s is not None
    assert again.poll_s > 0
    assert Presence.objects.get().agent_version == "0.1.0"


def test_telemetry_is_acknowledged(gateway: Gateway) -> None:
    now = datetime.now(timezone.utc)
    records = tuple(Record(seq=seq, captured_at=now, body=Event(name="started")) for seq in (1, 2))
    assert gateway.send_telemetry(Batch(boot_id=uuid.uuid4(), records=records)).acked_seq == 2
    assert TelemetryRecord.objects.count() == 2


def test_a_sample_arrives_and_a_repeat_is_harmless(gateway: Gateway) -> None:
    result = FrameResult(
        camera="top",
        sequence=1,
        source="board.jpg",
        captured_at=datetime.now(timezone.utc),
        width=64,
        height=48,
        verdict="fail",
        stages=(),
        latency_ms=10.0,
        budget_ms=100.0,
    )
    meta = SampleMeta(
        sha256=hashlib.sha256(JPEG).hexdigest(),
        release_sha256="a" * 64,
        inclusion_probability=0.5,
        result=result,
    )
    for _ in range(2):
        gateway.send_sample(meta, JPEG)
    assert Sample.objects.get().camera == "top"


def test_signed_metadata_is_fetched(gateway: Gateway) -> None:
    with gateway.open_file("metadata/timestamp.json") as response:
        assert response.status_code == 200
        assert response.json()["signed"]["_type"] == "timestamp"
    with gateway.open_file("metadata/99.root.json") as response:
        assert response.status_code == 404


def test_a_device_gets_a_certificate_for_its_own_key(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"broker_host": "broker.example.com"})
    identity = Identity(tmp_path / "identity")
    goal = Goal(generation=0, broker=Broker(host="broker.example.com"))
    Certificates(identity, gateway).turn(goal)
    assert identity.certificate is not None
    identity.make_tls_context(identity.certificate)  # OpenSSL finds key and certificate a pair


def test_a_server_without_a_broker_gives_no_certificate(gateway: Gateway, tmp_path: Path) -> None:
    goal = Goal(generation=0, broker=Broker(host="broker.example.com"))
    with pytest.raises(Rejected, match="broker"):
        Certificates(Identity(tmp_path / "identity"), gateway).turn(goal)


def test_a_revoked_device_is_told_so(gateway: Gateway) -> None:
    report = Report(boot_id=uuid.uuid4())
    etag = gateway.goal(report, None).etag
    revoke_device(device=Device.objects.get(), actor="user:ada", reason="stolen")
    with pytest.raises(Rejected, match="revoked"):
        gateway.goal(report, etag)
