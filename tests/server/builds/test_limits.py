"""Limits of a model and its builds: orders keep their own, new releases take what keeps today's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference_core.contract.build import ParityFigures, ParityLimits
from server.accounts.models import AuditEntry, Role
from server.builds import runs, selectors, services, worker
from server.builds.checks.selectors import newest_check
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build
from server.builds.standing import current_artifact, standing_of
from server.builds.states import BuildState
from server.fleet.models import Device, Group, HardwareProfile, ReleaseRun
from server.lib import clock
from server.lib.errors import Conflict
from server.registry.limits import in_full
from server.registry.models import ModelVersion, Release, VisionModel
from server.registry.services import create_release, set_limits
from tests.server import catalogue
from tests.server.builds.certified import PARITY, certify, stored_version
from tests.server.builds.judging import mark_judged
from tests.server.builds.test_keys import another_model, lease, settle
from tests.server.builds.test_outcomes import outcome_of
from tests.server.catalogue import ACTOR, MODEL, client_of, pipeline

pytestmark = pytest.mark.django_db
API = "/api/v1/builds"
WORSE = PARITY.model_copy(update={"artifact": 0.992, "share": 0.992})
"""Good enough by default, and not for who asks for 99.5%."""


@pytest.fixture
def version(device: Device) -> ModelVersion:
    """As an upload leaves it; its inspection is not what these tests are about."""
    return stored_version(catalogue.vision_model())


def change(version: ModelVersion, **changes: Any) -> None:
    model = VisionModel.objects.get(pk=version.model_id)
    limits = ParityLimits.model_validate({**in_full(model.limits), **changes})
    set_limits(
        model=model, limits=limits, expected=model.limits_number, reason="so it is", actor=ACTOR
    )


def fresh(build: Build) -> Build:
    """As another process would read it."""
    return selectors.build(build.pk)


def make_release(name: str = "r1") -> Release:
    fields = {"pipeline": pipeline(), "versions": {MODEL: "1.0.0"}, "notes": ""}
    return create_release(name=name, actor=ACTOR, **fields)


def sign(release: Release, profile: HardwareProfile) -> Any:
    mark_judged(release, profile)
    return services.sign_release(release_id=release.pk, profile_id=profile.pk)


def whys(release: Release) -> list[str]:
    return [m.why for m in selectors.missing_artifacts(release, Device.objects.all())]


def refuse(build: Build, *candidates: dict[str, Any]) -> None:
    assert settle(build)
    Build.objects.filter(pk=build.pk).update(
        state=BuildState.REFUSED, reason="It lost mIoU.", candidates=list(candidates)
    )


def tried(precision: str, share: float, p95_ms: float = 9) -> dict[str, Any]:
    parity = ParityFigures.model_validate({**PARITY.model_dump(), "share": share})
    return {
        "precision": precision,
        "outcome": "refused",
        "reason": "It lost mIoU.",
        "parity": parity.model_dump(mode="json"),
        "latency": {"p50_ms": 5, "p95_ms": p95_ms, "runs": 30},
    }


def ask(client: APIClient, profile: HardwareProfile, **more: Any) -> Any:
    return client.post(
        API, {"model": MODEL, "version": "1.0.0", "profile": profile.name, **more}, format="json"
    )


# An order keeps the limits that it was given


def test_a_build_is_held_to_the_limits_of_when_it_was_queued(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    change(version, min_agreement=1, max_p95_ms=40)
    queued = services.queue_build(version=version, profile=profile, actor="test")
    change(version, min_agreement=0.9, max_p95_ms=None)

    build = services.lease_build(build_id=queued.pk, owner="w1")
    assert build is not None
    job = json.loads(worker._prepare(build, tmp_path).read_text())

    assert (job["limits"]["min_agreement"], job["limits"]["max_p95_ms"]) == (1, 40)
    shown = client_of(Role.VIEWER).get(f"{API}/{build.pk}").json()
    assert shown["limits"] == in_full(build.limits)
    note = ask(client_of(Role.RELEASER), profile).json()["note"]
    assert "Its limits were changed since: cancel it" in note


def test_what_was_queued_before_models_had_limits_has_the_defaults(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    row = Build.objects.create(version=version, profile=profile, created_at=clock.now())
    assert row.limits == selectors.limits_of(row) == ParityLimits()


def test_a_twin_under_laxer_limits_is_not_taken(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    twin = stored_version(another_model(version.model, "twin"))
    change(version, min_agreement=0.9)
    lax = lease(version, profile)
    assert settle(lax, limits=lax.limits.model_dump(mode="json"))
    made = certify(version, HardwareProfile.objects.get(name="x86-openvino"), b"engine")
    Build.objects.filter(pk=lax.pk).update(state=BuildState.SUCCEEDED)
    Artifact.objects.filter(pk=made.pk).update(build=lax, profile=profile)

    tight = lease(twin, profile)

    assert settle(tight), "nobody has an artifact under these limits: it is built"
    assert tight.key != Build.objects.get(pk=lax.pk).key


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        ({"limits": ParityLimits(min_agreement=0.5)}, "its limits differs"),
        ({"parity": WORSE.model_copy(update={"agreement": 0.2})}, "breaks its own limits"),
    ],
)
def test_a_certificate_under_other_limits_or_against_its_own_is_not_used(
    version: ModelVersion,
    profile: HardwareProfile,
    tmp_path: Path,
    forged: dict[str, Any],
    said: str,
) -> None:
    build = lease(version, profile)
    outcome = outcome_of(build, tmp_path, **forged)

    with pytest.raises(OutcomeError, match=said):
        services.record_outcome(build=build, owner="w1", outcome=outcome, folder=tmp_path)
    assert not Artifact.objects.exists()


# Loosened: what was refused may be asked for again


def test_what_was_refused_is_built_again_where_its_figures_would_do_now(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    refused = lease(version, profile)
    refuse(refused, tried("int8", 0.95), tried("fp32", 0.98))
    change(version, min_metric_share=0.97)
    client = client_of(Role.RELEASER)
    assert selectors.is_repeatable(fresh(refused))

    answer = ask(client, profile)

    assert answer.status_code == 201
    anew = Build.objects.get(pk=answer.json()["id"])
    assert (anew.number, anew.limits.min_metric_share) == (2, 0.97)
    entry = AuditEntry.objects.get(subject="build", subject_id=str(anew.pk))
    assert f"were changed since build {refused.pk}" in entry.reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"min_metric_share": 0.97}, "what it tried fails today's too: int8 kept 95.0%"),
        ({"max_p95_ms": 40}, "what it tried fails today's too"),
    ],
)
def test_what_fails_the_new_limits_too_is_not_built_for_nothing(
    version: ModelVersion, profile: HardwareProfile, changes: dict[str, Any], said: str
) -> None:
    refused = lease(version, profile)
    refuse(refused, tried("int8", 0.95))
    change(version, **changes)
    client = client_of(Role.RELEASER)

    answer = ask(client, profile)

    assert (answer.status_code, answer.json()["id"]) == (200, refused.pk)
    assert said in answer.json()["note"]
    assert ask(client, profile, again=True, reason="I doubt it").status_code == 201


def test_what_broke_breaks_under_any_limits(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    broken = {**tried("int8", 1), "parity": None, "reason": "int8 is broken: NaN in scores"}
    refuse(lease(version, profile), broken)
    change(version, min_metric_share=0.9)

    answer = ask(client_of(Role.RELEASER), profile)

    assert answer.status_code == 200
    assert "fails today's too: int8 is broken: NaN in scores" in answer.json()["note"]


def test_a_refusal_without_figures_is_worth_another_try_under_other_limits(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    refuse(lease(version, profile))
    client = client_of(Role.RELEASER)
    assert ask(client, profile).status_code == 200
    change(version, min_reference_metric=0.2)
    assert ask(client, profile).status_code == 201


def test_what_was_only_too_slow_is_built_again_where_more_is_allowed(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    change(version, max_p95_ms=5)
    refuse(lease(version, profile), tried("fp32", 1, p95_ms=9))
    client = client_of(Role.RELEASER)
    assert ask(client, profile).status_code == 200
    change(version, max_p95_ms=10)
    assert ask(client, profile).status_code == 201


def test_a_worker_refuses_what_is_too_slow_and_builds_it_where_more_is_allowed(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    change(version, max_p95_ms=0.0001)
    refused = services.queue_build(version=version, profile=profile, actor=ACTOR)
    worker.run_build(refused.pk)
    refused.refresh_from_db()
    assert refused.state == BuildState.REFUSED, refused.log
    assert "ms (p95 of 30 runs on this hardware); at most 0.0001 ms" in refused.reason

    change(version, max_p95_ms=60_000)
    anew = services.queue_build(version=version, profile=profile, actor=ACTOR)
    worker.run_build(anew.pk)

    anew.refresh_from_db()
    assert anew.state == BuildState.SUCCEEDED, anew.log
    assert anew.key != refused.key
    assert anew.recipe["asked"]["limits"]["max_p95_ms"] == 60_000
    assert anew.artifact.certificate.body["limits"]["max_p95_ms"] == 60_000
    assert standing_of(anew.artifact).is_under_todays


# Tightened: what there is stays, and new releases do not take it


def test_a_certificate_under_other_limits_that_keeps_todays_is_told_of_and_used(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    artifact = certify(version, profile, b"engine", WORSE)
    change(version, min_agreement=1)
    release = make_release()

    assert sign(release, profile)
    found = preflight(release)

    assert found["missing"] == []
    (warning,) = found["warnings"]
    assert (warning["fails"], warning["model"], warning["profile"]) == (False, MODEL, profile.name)
    assert "it keeps today's too" in warning["why"]
    shown = client_of(Role.VIEWER).get(f"{API}/{artifact.build_id}").json()["artifact"]
    assert (shown["is_under_todays_limits"], shown["shortfall"]) == (False, "")


def preflight(release: Release) -> Any:
    group, _ = Group.objects.get_or_create(name="all", title="All")
    for device in Device.objects.all():
        group.memberships.get_or_create(device=device, defaults={"joined_at": clock.now()})
    client = client_of(Role.ADMIN)
    return client.get(f"/api/v1/releases/{release.name}/preflight?group=all").json()


def test_an_artifact_that_fails_todays_limits_goes_into_no_new_release(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    certify(version, profile, b"engine", WORSE)
    old, new = make_release("r1"), make_release("r2")
    sign(old, profile)
    change(version, min_metric_share=0.995)

    assert selectors.signable(new, profile) is None
    (why,) = whys(new)
    assert "int8" not in why
    assert "fp32 kept 99.2% of mean IoU" in why
    assert "build it again" in why
    with pytest.raises(Conflict, match="fails the limits"):
        sign(new, profile)
    found = preflight(old)
    assert found["missing"] == [], "what is signed may be rolled out: lines must be repairable"
    (warning,) = found["warnings"]
    assert warning["fails"]
    assert "it fails today's: fp32 kept 99.2%" in warning["why"]


def test_what_fails_todays_limits_is_built_again_and_new_releases_take_that(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    first = certify(version, profile, b"old engine", WORSE)
    old = make_release("r1")
    target = sign(old, profile)
    change(version, min_metric_share=0.995)
    client = client_of(Role.RELEASER)
    asked = ask(client, profile)
    assert (asked.status_code, asked.json()["id"]) == (200, first.build_id)
    assert "it fails the limits of today: fp32 kept 99.2%" in asked.json()["note"]
    assert selectors.is_repeatable(fresh(first.build))

    answer = ask(client, profile, again=True, reason="the new limits")
    assert answer.status_code == 201, answer.content
    (why,) = whys(make_release("r2"))
    assert f"build {answer.json()['id']} is on its way" in why
    second = finish(answer.json()["id"], tmp_path)

    first.refresh_from_db()
    assert first.superseded_at is not None
    assert current_artifact(version, profile) == second
    assert not standing_of(second).shortfall
    signable = selectors.signable(Release.objects.get(name="r2"), profile)
    assert signable == {MODEL: second}
    assert [one["artifact_sha256"] for one in preflight(old)["warnings"]] == [first.sha256]
    run = ReleaseRun.objects.create(
        device=Device.objects.get(), sha256=target.sha256, since=clock.now()
    )
    (view,) = runs.read_runs([run])
    assert view.parts == ((version, first),), "what ran is what was signed then"
    every = ReleaseRun.objects.all()
    assert list(runs.of_artifact(every, first.sha256)) == [run]
    assert not runs.of_artifact(every, second.sha256)


def finish(build_id: int, folder: Path) -> Artifact:
    """The build as a worker ends it, with figures that keep everything; signed."""
    build = services.lease_build(build_id=build_id, owner="w1")
    assert build is not None
    outcome = outcome_of(build, folder, limits=build.limits)
    services.record_outcome(build=build, owner="w1", outcome=outcome, folder=folder)
    return services.sign_artifact(artifact_id=build.artifact.pk)


def test_loosened_back_nothing_is_built(version: ModelVersion, profile: HardwareProfile) -> None:
    first = certify(version, profile, b"engine", WORSE)
    change(version, min_metric_share=0.995)
    client = client_of(Role.RELEASER)
    again = ask(client, profile, again=True, reason="the new limits").json()["id"]
    assert ask(client, profile).json()["id"] == again
    Build.objects.filter(pk=again).update(state=BuildState.REFUSED, reason="int8 lost it")
    change(version, min_metric_share=0.99)

    answer = ask(client, profile)

    assert (answer.status_code, answer.json()["id"]) == (200, first.build_id)
    assert ask(client, profile, again=True, reason="for fun").status_code == 409
    assert not selectors.is_repeatable(Build.objects.get(pk=again))
    assert sign(make_release(), profile)


def test_a_check_that_judged_the_artifact_before_signs_nothing(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path, sent: list[Any]
) -> None:
    certify(version, profile, b"old engine", WORSE)
    release = make_release()
    old = mark_judged(release, profile)
    change(version, min_metric_share=0.995)
    again = services.queue_build(
        version=version, profile=profile, actor=ACTOR, again=True, reason="the new limits"
    )
    finish(again.pk, tmp_path)

    with pytest.raises(Conflict, match="judged with others"):
        services.sign_release(release_id=release.pk, profile_id=profile.pk)
    services.sign_waiting_releases()

    newest = newest_check(release, profile)
    assert newest is not None
    assert (newest.number, newest.state) == (old.number + 1, "queued")


def test_what_was_superseded_is_neither_approved_nor_signed(
    version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    first = certify(version, profile, b"old engine", WORSE)
    Artifact.objects.update(needs_approval=True, signed_at=None)
    change(version, min_metric_share=0.995)
    again = services.queue_build(
        version=version, profile=profile, actor=ACTOR, again=True, reason="the new limits"
    )
    second = finish(again.pk, tmp_path)
    Artifact.objects.filter(pk=second.pk).update(signed_at=None)

    with pytest.raises(Conflict, match="waits for approval"):
        services.approve_artifact(build=first.build, reason="late", actor=ACTOR)
    assert list(selectors.unsigned_artifacts()) == [second]
