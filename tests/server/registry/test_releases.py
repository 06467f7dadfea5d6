from __future__ import annotations

import pytest

from server.lib.errors import Conflict, Invalid
from server.registry import selectors, services
from server.registry.models import ModelVersion, Release
from tests.server.catalogue import ACTOR, MODEL, pipeline

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
