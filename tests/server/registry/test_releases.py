from __future__ import annotations

import pytest

from server.accounts.models import Role
from server.datasets.models import Purpose
from server.lib.errors import Conflict, Invalid
from server.registry import selectors, services
from server.registry.golden import MAX_CASES
from server.registry.models import ModelVersion, Release
from tests.server.catalogue import ACTOR, MODEL, client_of, dataset, pipeline

pytestmark = pytest.mark.django_db


def release(name: str = "r1", **changes: object) -> Release:
    fields = {"pipeline": pipeline(), "versions": {MODEL: "1.0.0"}, "notes": "", **changes}
    return services.create_release(name=name, actor=ACTOR, **fields)


def refused(**changes: object) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        release(**changes)
    assert not Release.objects.exists()
    return refusal.value


def test_a_release_pins_its_versions(version: ModelVersion) -> None:
    row = release()

    assert selectors.pinned_versions(row) == {MODEL: version}
    assert row.pipeline.models == {MODEL}


def test_the_counter_only_grows(version: ModelVersion) -> None:
    assert [release(f"r{i}").counter for i in range(1, 4)] == [1, 2, 3]


def test_a_release_never_changes(version: ModelVersion) -> None:
    release()

    with pytest.raises(Conflict):
        release()


def test_a_pipeline_that_is_none_is_refused_with_a_list_of_errors(version: ModelVersion) -> None:
    assert refused(pipeline={"pipeline": "x"}).extra["errors"]
    assert refused(pipeline=[]).extra["errors"]


@pytest.mark.parametrize("versions", [{}, {MODEL: "1.0.0", "other": "1"}, {"other": "1"}])
def test_every_model_is_pinned_exactly_once(
    version: ModelVersion, versions: dict[str, str]
) -> None:
    assert refused(versions=versions).extra["models"] == [MODEL]


def test_a_version_that_is_not_there_cannot_be_pinned(version: ModelVersion) -> None:
    assert "2.0.0" in refused(versions={MODEL: "2.0.0"}).detail


@pytest.mark.parametrize(
    "rule",
    [
        "defects.count >",
        "scratches.count > 0",
        "__import__('os').system('true')",
        "defects.__class__",
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_refused(version: ModelVersion, rule: str) -> None:
    assert refused(pipeline=pipeline(rule=rule)).extra["problems"]


def test_golden_cases_are_a_golden_set_that_calibrated_none_of_its_models(
    version: ModelVersion,
) -> None:
    own = dataset(Purpose.GOLDEN, range(200, 203), "frames")
    model = version.model

    assert "calibration set" in refused(golden=model.calibration).detail
    tuned = dataset(Purpose.GOLDEN, range(3, 8), "tuned")
    assert refused(golden=tuned).extra["images"]
    assert "none are named" in refused(golden_mm_per_px=0.1).detail
    assert release(golden=own, golden_mm_per_px=0.1).golden == own


def test_a_golden_set_too_large_to_judge_every_release_is_refused(
    version: ModelVersion,
) -> None:
    large = dataset(Purpose.GOLDEN, range(200, 203), "frames")
    large.image_count = MAX_CASES + 1

    assert str(MAX_CASES) in refused(golden=large).detail


def test_the_api_takes_and_shows_golden_cases(version: ModelVersion) -> None:
    own = dataset(Purpose.GOLDEN, range(200, 203), "frames")
    client, body = client_of(Role.RELEASER), {
        "name": "r1",
        "pipeline": pipeline(),
        "versions": {MODEL: "1.0.0"},
        "golden": {"name": own.name, "version": own.version, "mm_per_px": 0.1},
    }  # fmt: skip

    unknown = client.post("/api/v1/releases", {**body, "golden": {"name": "x", "version": "1"}})
    made = client.post("/api/v1/releases", body)

    assert (unknown.status_code, made.status_code) == (422, 201)
    assert made.json()["golden"] == body["golden"]
    plain = {**body, "name": "r2", "golden": None}
    assert client.post("/api/v1/releases", plain).json()["golden"] is None
