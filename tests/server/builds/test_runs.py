"""What ran where, and when: written where a report changes, answered for any day."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from inference_core.contract.device import Report
from server.accounts.models import Role, User
from server.accounts.services import assign_role
from server.builds.models import Artifact, Build, ReleaseTarget
from server.fleet import presence
from server.fleet.models import Device, HardwareProfile, Line, Presence, ReleaseRun, Site
from server.fleet.services import seed_profiles
from server.lib import clock
from server.registry.models import ModelVersion, Release
from tests.server.catalogue import MODEL, client_of, person
from tests.server.rows import model_row, version_row

pytestmark = pytest.mark.django_db
API = "/api/v1/runs"
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND = "1" * 64, "2" * 64

At = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Sets the server's clock."""
    return lambda now: monkeypatch.setattr(clock, "now", lambda: now)


@pytest.fixture(autouse=True)
def profiles(db: None) -> None:
    seed_profiles()


@pytest.fixture
def version(profiles: None) -> ModelVersion:
    return version_row(model_row())


@pytest.fixture
def signed(version: ModelVersion) -> dict[str, ReleaseTarget]:
    """Two releases of one version, signed for one profile; by their digests."""
    profile = HardwareProfile.objects.get(name="x86-onnxruntime")
    build = Build.objects.create(
        key="k", version=version, profile=profile, state="succeeded", created_at=DAY
    )
    Artifact.objects.create(
        build=build, version=version, profile=profile, sha256="a" * 64, length=9,
        runtime="onnxruntime", runtime_version="1", precision="int8", manifest_body={},
        created_at=DAY,
    )  # fmt: skip
    return {sha256: sign(profile, sha256, version) for sha256 in (FIRST, SECOND)}


def sign(profile: HardwareProfile, sha256: str, version: ModelVersion) -> ReleaseTarget:
    name = f"r{sha256[0]}"
    release = Release.objects.create(
        name=name, counter=int(sha256[0]), pipeline_body={}, created_at=DAY, created_by="a"
    )
    release.versions.add(version)
    return ReleaseTarget.objects.create(
        release=release, profile=profile, path=name, sha256=sha256, length=9, signed_at=DAY
    )


def make_device(serial: str = "box-1", site: str = "dresden") -> Device:
    place, _ = Site.objects.get_or_create(name=site, title=site)
    line, _ = Line.objects.get_or_create(site=place, name="smt-1", title="SMT")
    return Device.objects.create(
        serial=serial, state="accepted", public_key="k", line=line, enrolled_at=DAY,
        profile=HardwareProfile.objects.get(name="x86-onnxruntime"),
    )  # fmt: skip


def report(device: Device, sha256: str | None) -> None:
    found = Device.objects.select_related("presence").get(pk=device.pk)
    message = Report(boot_id=uuid.UUID(int=1), running_sha256=sha256)
    presence.write(device=found, report=message)


def story(device: Device, at: At) -> None:
    """First release from noon on, the second a day later, nothing from the third day on."""
    for hours, sha256 in ((0, FIRST), (20, FIRST), (24, SECOND), (47, SECOND), (48, None)):
        at(DAY + timedelta(hours=hours))
        report(device, sha256)


def ask(client: Any, **query: str) -> list[dict[str, Any]]:
    answer = client.get(API, query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_run_is_from_the_first_report_of_a_release_to_the_first_of_another(at: At) -> None:
    device = make_device()
    story(device, at)

    second, first = ReleaseRun.objects.filter(device=device)
    assert (first.sha256, first.since, first.until) == (FIRST, DAY, DAY + timedelta(hours=24))
    assert first.heard_until == DAY + timedelta(hours=20)
    assert (second.since, second.until) == (DAY + timedelta(hours=24), DAY + timedelta(hours=48))


def test_a_report_of_the_same_release_writes_no_run(at: At, django_assert_num_queries: Any) -> None:
    device = make_device()
    report(device, FIRST)
    with CaptureQueriesContext(connection) as queries:
        report(device, FIRST)
    assert ReleaseRun.objects.count() == 1
    assert not [query for query in queries.captured_queries if "releaserun" in query["sql"]]


def test_a_device_runs_one_release_at_a_time() -> None:
    device = make_device()
    report(device, FIRST)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseRun.objects.create(device=device, sha256=SECOND, since=DAY)
    # A report that crossed another one leaves one open run all the same.
    Presence.objects.update(running_sha256=SECOND)
    report(device, FIRST)
    assert ReleaseRun.objects.filter(until=None).count() == 1


@pytest.mark.parametrize(
    ("moment", "releases"),
    [
        ("2026-02-28", []),
        ("2026-03-01", ["r1"]),
        ("2026-03-02", ["r2", "r1"]),
        ("2026-03-04", []),
        ("2026-03-01T11:59:59Z", []),
        ("2026-03-01T12:00:00Z", ["r1"]),
        ("2026-03-02T12:00:00+00:00", ["r2"]),
        ("2026-03-02T14:00:00+02:00", ["r2"]),
        ("2026-03-02T13:59:59+02:00", ["r1"]),
    ],
)
def test_a_day_or_an_instant_says_what_ran(
    signed: dict[str, ReleaseTarget], at: At, moment: str, releases: list[str]
) -> None:
    story(make_device(), at)

    assert [run["release"] for run in ask(client_of(Role.VIEWER), at=moment)] == releases


def test_a_run_names_its_versions_and_their_artifacts(
    signed: dict[str, ReleaseTarget], at: At
) -> None:
    device = make_device()
    at(DAY)
    report(device, FIRST)
    (run,) = ask(client_of(Role.VIEWER))

    assert (run["serial"], run["site"], run["line"]) == ("box-1", "dresden", "smt-1")
    assert (run["profile"], run["until"]) == ("x86-onnxruntime", None)
    assert run["heard_until"] == "2026-03-01T12:00:00Z"
    part = {"model": MODEL, "version": "1.0.0", "artifact_sha256": "a" * 64}
    assert run["models"] == [{**part, "precision": "int8", "runtime": "onnxruntime"}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"release": "r1"}, 2),
        ({"release": "r9"}, 0),
        ({"model": MODEL}, 4),
        ({"model": MODEL, "version": "1.0.0"}, 4),
        ({"model": MODEL, "version": "9"}, 0),
        ({"artifact": "a" * 64}, 4),
        ({"artifact": "b" * 64}, 0),
        ({"site": "ostrava"}, 2),
        ({"line": "smt-1", "at": "2026-03-01"}, 2),
        ({"device": str(uuid.UUID(int=7))}, 0),
    ],
)
def test_runs_are_found_by_what_ran_and_where(
    signed: dict[str, ReleaseTarget], at: At, query: dict[str, str], found: int
) -> None:
    for serial, site in (("box-1", "dresden"), ("box-2", "ostrava")):
        story(make_device(serial, site), at)

    assert len(ask(client_of(Role.VIEWER), **query)) == found


def test_another_sites_runs_are_not_shown(at: At) -> None:
    story(make_device("box-1", "dresden"), at)
    story(make_device("box-2", "ostrava"), at)
    user = User.objects.create_user("vera")
    assign_role(user=user, role=Role.VIEWER, actor="system", site="ostrava")
    client = client_of(Role.VIEWER)
    client.force_authenticate(user)

    assert {run["serial"] for run in ask(client)} == {"box-2"}
    assert ask(client, site="dresden") == []


def test_a_digest_that_was_never_signed_here_is_shown_as_such(at: At) -> None:
    report(make_device(), "f" * 64)

    (run,) = ask(client_of(Role.VIEWER))
    assert (run["release"], run["models"], run["release_sha256"]) == (None, [], "f" * 64)


@pytest.mark.parametrize(
    "query",
    [{"at": "yesterday"}, {"at": "2026-03-01T12:00:00"}, {"at": "2026-13-01"}, {"version": "1"}],
)
def test_what_means_nothing_is_refused(at: At, query: dict[str, str]) -> None:
    answer = client_of(Role.VIEWER).get(API, query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_the_number_of_queries_does_not_grow_with_the_fleet(
    signed: dict[str, ReleaseTarget], at: At
) -> None:
    client = client_of(Role.VIEWER)
    client.force_authenticate(person(Role.VIEWER))
    ask(client)  # the caller's roles are remembered from now on
    counts = []
    for start in (0, 8):
        for number in range(start, start + 8):
            story(make_device(f"box-{number}"), at)
        with CaptureQueriesContext(connection) as queries:
            ask(client, at="2026-03-02", model=MODEL)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_rows_are_paged(at: At) -> None:
    for number in range(4):
        story(make_device(f"box-{number}"), at)
    page = client_of(Role.VIEWER).get(API, {"page_size": 5}).json()
    assert (len(page["results"]), bool(page["next"])) == (5, True)
