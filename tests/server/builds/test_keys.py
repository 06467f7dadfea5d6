"""The same is never built twice: by request, and by what the outcome depends on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference_core.contract.build import ParityCertificate
from inference_core.contract.recipe import BuildRecipe
from server.accounts.models import Role
from server.builds import services, worker
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.lib.errors import Conflict
from server.registry import services as registry
from server.registry.models import ModelVersion, VisionModel
from tests.server.builds.certified import certify
from tests.server.catalogue import ACTOR, MODEL, client_of, model_version
from tests.server.threads import at_once

pytestmark = pytest.mark.django_db
API = "/api/v1/builds"


@pytest.fixture
def twin(version: ModelVersion) -> ModelVersion:
    """The same content and the same sets under another model's name."""
    return model_version(another_model(version.model, "twin"))


def another_model(model: VisionModel, name: str) -> VisionModel:
    return registry.create_model(
        name=name,
        task=model.task,
        title=name,
        golden=model.golden,
        calibration=model.calibration,
        actor=ACTOR,
    )


def lease(version: ModelVersion, profile: HardwareProfile, owner: str = "w1") -> Build:
    queued = services.queue_build(version=version, profile=profile, actor="test")
    leased = services.lease_build(build_id=queued.pk, owner=owner)
    assert leased is not None
    return leased


def recipe_of(build: Build, **changes: Any) -> BuildRecipe:
    version = build.version
    asked = {
        "source_sha256": version.sha256,
        "manifest_sha256": version.manifest_sha256,
        "golden_sha256": version.model.golden.sha256,
        "calibration_sha256": version.model.calibration.sha256,
        "profile": build.profile.spec.model_dump(mode="json", exclude_none=True),
        "limits": build.limits.model_dump(mode="json", exclude_none=True),
    }
    return BuildRecipe(
        asked=asked | changes, engines={}, tools={"onnx": "1"}, measured_on="this chip"
    )


def settle(build: Build, owner: str = "w1", **changes: Any) -> bool:
    recipe = recipe_of(build, **changes)
    return services.settle_key(build=build, owner=owner, recipe=recipe)


def test_another_model_of_the_same_content_gets_its_artifact_without_a_build(
    version: ModelVersion, twin: ModelVersion, profile: HardwareProfile
) -> None:
    first = services.queue_build(version=version, profile=profile, actor="test")
    worker.run_build(first.pk)
    second = services.queue_build(version=twin, profile=profile, actor="test")
    worker.run_build(second.pk)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (BuildState.SUCCEEDED, BuildState.SUCCEEDED), first.log
    assert (second.cached_from, second.key) == (first, first.key)
    assert f"Taken from build {first.pk}" in second.reason
    made, taken = Artifact.objects.filter(build__in=[first, second]).order_by("pk")
    assert (taken.sha256, taken.version) == (made.sha256, twin)
    assert taken.signed_at is not None
    certificate = ParityCertificate.model_validate(taken.certificate.body)
    assert taken.certificate.sha256 == made.certificate.sha256
    assert certificate.source_sha256 == twin.sha256
    assert certificate.manifest_sha256 == twin.manifest_sha256
    assert certificate.golden_sha256 == twin.model.golden.sha256
    assert first.recipe["tools"]["onnxruntime"] == certificate.runtime_version


def test_what_is_built_is_answered_with_200_and_never_built_again(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    build = certify(version, profile, b"an engine").build
    client = client_of(Role.RELEASER)
    body = {"model": MODEL, "version": "1.0.0", "profile": profile.name}

    again = client.post(API, body)
    forced = client.post(API, body | {"again": True, "reason": "for fun"})

    assert (again.status_code, again.json()["id"]) == (200, build.pk)
    assert forced.status_code == 409
    assert "its bytes never change" in forced.json()["detail"]


def test_a_refused_build_says_that_the_result_would_be_the_same(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    refused = refuse(lease(version, profile))
    client = client_of(Role.RELEASER)
    body = {"model": MODEL, "version": "1.0.0", "profile": profile.name}

    asked = client.post(API, body)
    assert asked.status_code == 200
    assert (
        f"Build {refused.pk} was refused, and the result would be the same" in asked.json()["note"]
    )
    assert client.post(API, body | {"again": True}).status_code == 422
    again = client.post(API, body | {"again": True, "reason": "I doubt the figures"})
    assert again.status_code == 201
    build = services.lease_build(build_id=again.json()["id"], owner="w1")
    assert build is not None
    assert settle(build), "asked for on purpose: it is built, and judged afresh"


def refuse(build: Build) -> Build:
    assert settle(build)
    Build.objects.filter(pk=build.pk).update(state=BuildState.REFUSED, reason="It lost mIoU.")
    return build


def test_what_was_refused_is_refused_for_its_twin_without_a_build(
    version: ModelVersion, twin: ModelVersion, profile: HardwareProfile
) -> None:
    refused = refuse(lease(version, profile))
    build = lease(twin, profile)

    assert not settle(build)
    assert (build.state, build.cached_from) == (BuildState.REFUSED, refused)
    assert "It lost mIoU." in build.reason


def test_while_one_works_its_twin_waits_and_is_sent_for_at_the_end(
    version: ModelVersion,
    twin: ModelVersion,
    profile: HardwareProfile,
    sent: list[tuple[Any, ...]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    first, second = lease(version, profile), lease(twin, profile, "w2")
    assert settle(first)

    assert not settle(second, "w2")
    assert (second.state, second.attempts) == (BuildState.QUEUED, 0)
    sent.clear()
    with django_capture_on_commit_callbacks(execute=True):
        services.give_up(build=first, owner="w1", why="Broken.", is_final=True)

    assert [arguments for _, arguments, _ in sent] == [(second.pk,)]
    second = lease(twin, profile, "w2")
    assert settle(second, "w2")


def test_another_tool_or_chip_is_another_key(
    version: ModelVersion, twin: ModelVersion, profile: HardwareProfile
) -> None:
    refuse(lease(version, profile))
    build = lease(twin, profile)
    recipe = recipe_of(build).model_copy(update={"tools": {"onnx": "2"}})

    assert services.settle_key(build=build, owner="w1", recipe=recipe)


@pytest.mark.parametrize(
    "name",
    [
        *("source_sha256", "manifest_sha256", "golden_sha256", "calibration_sha256"),
        *("profile", "limits"),
    ],
)
def test_a_key_of_another_request_is_not_believed(
    version: ModelVersion, profile: HardwareProfile, name: str
) -> None:
    build = lease(version, profile)
    with pytest.raises(OutcomeError, match=name):
        settle(build, **{name: "another"})


def test_who_lost_the_lease_settles_nothing(
    version: ModelVersion, profile: HardwareProfile
) -> None:
    with pytest.raises(Conflict):
        settle(lease(version, profile), "w2")


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_with_one_key_one_works(
    version: ModelVersion, twin: ModelVersion, profile: HardwareProfile
) -> None:
    builds = lease(version, profile, "w1"), lease(twin, profile, "w2")

    works = at_once(*(partial(settle, build, build.lease_owner) for build in builds))

    assert sorted(works) == [False, True]
    assert sorted(Build.objects.values_list("state", flat=True)) == ["leased", "queued"]


def test_a_viewer_sees_what_the_key_is_of(
    version: ModelVersion, profile: HardwareProfile, somebody: Any
) -> None:
    build = lease(version, profile)
    settle(build)
    viewer: APIClient = somebody(Role.VIEWER)

    shown = viewer.get(f"{API}/{build.pk}").json()

    assert shown["key"] == build.key
    assert shown["recipe"]["tools"] == {"onnx": "1"}
