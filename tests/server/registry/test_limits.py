"""Parity limits of a model: set by who may, with a reason, and never below what means something."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.response import Response
from rest_framework.test import APIClient

from inference_core.contract.build import ParityLimits
from server.accounts.models import AuditEntry, Role
from server.lib.errors import Conflict, Invalid
from server.registry import services
from server.registry.limits import AT_LEAST, AT_MOST, differences, in_full, require_meaningful
from server.registry.models import LimitsChange, VisionModel
from tests.server.catalogue import ACTOR, MODEL, client_of
from tests.server.rows import model_row

pytestmark = pytest.mark.django_db
API = f"/api/v1/models/{MODEL}/limits"
GENERATED = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _number(name: str) -> Any:
    least, most = AT_LEAST.get(name, 0.001), AT_MOST.get(name, 1)
    if name.endswith("_images"):
        return st.integers(int(least), 50) if name.startswith("min") else st.integers(50, 100)
    found = st.floats(least, most)
    return st.none() | found if name == "max_p95_ms" else found


meaningful = st.builds(ParityLimits, **{n: _number(n) for n in ParityLimits.model_fields})


@pytest.fixture
def model(db: None) -> VisionModel:
    return model_row()


def change(model: VisionModel, **changes: Any) -> LimitsChange:
    fields = {"expected": model.limits_number, "reason": "because", "actor": ACTOR}
    limits = ParityLimits.model_validate({**in_full(model.limits), **changes})
    return services.set_limits(model=model, limits=limits, **fields)


def send(client: APIClient, verb: str = "patch", expected: Any = 0, **limits: Any) -> Response:
    body = {"limits": limits, "expected": expected, "reason": "the line asks for it"}
    return getattr(client, verb)(API, body, format="json")


def test_a_model_begins_with_the_defaults(model: VisionModel) -> None:
    shown = client_of(Role.VIEWER).get(API).json()

    assert shown["limits"] == shown["defaults"] == in_full(ParityLimits())
    assert (shown["number"], shown["limits"]["max_p95_ms"]) == (0, None)
    assert shown["at_least"]["min_agreement"] == 0.8
    assert model.limits == ParityLimits()


def test_limits_are_set_with_a_reason_and_the_history_says_who_when_and_why(
    model: VisionModel,
) -> None:
    client = client_of(Role.ADMIN)

    assert send(client, max_p95_ms=40, min_agreement=1).status_code == 200
    answer = send(client, expected=1, max_p95_ms=None)

    assert answer.status_code == 200, answer.content
    assert answer.json()["limits"]["min_agreement"] == 1
    last, first = client_of(Role.VIEWER).get(f"{API}/changes").json()["results"]
    speeds = [(one["old"]["max_p95_ms"], one["new"]["max_p95_ms"]) for one in (first, last)]
    assert speeds == [(None, 40), (40, None)]
    assert (first["number"], last["number"]) == (1, 2)
    assert last["actor"] == "user:one-admin"
    assert last["reason"] == "the line asks for it"
    entry = AuditEntry.objects.filter(action="set_limits", subject_id=MODEL).last()
    assert entry is not None
    assert entry.before == in_full(ParityLimits())
    assert entry.after["max_p95_ms"] == 40


def test_patch_keeps_what_is_left_out_and_put_takes_its_default(model: VisionModel) -> None:
    client = client_of(Role.ADMIN)
    send(client, min_agreement=1, few_images=90)

    patched = send(client, expected=1, few_images=20).json()["limits"]
    replaced = send(client, "put", expected=2, few_images=30).json()["limits"]

    assert (patched["min_agreement"], patched["few_images"]) == (1, 20)
    assert (replaced["min_agreement"], replaced["few_images"]) == (0.95, 30)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"min_agreement": 1.1}, "less than or equal to 1"),
        ({"min_agreement": -0.1}, "greater than or equal to 0"),
        ({"min_agreement": 0.5}, "below 0.8"),
        ({"min_metric_share": 0.89}, "below 0.9"),
        ({"min_class_share": 0.1}, "below 0.8"),
        ({"min_reference_metric": 0}, "below 0.1"),
        ({"max_score_shift": 0.9}, "above 0.2"),
        ({"min_images": 2}, "below 3"),
        ({"min_images": 30, "few_images": 20}, "less than min_images"),
        ({"few_class_images": 2, "min_class_images": 4}, "less than min_class_images"),
        ({"max_p95_ms": 0}, "greater than 0"),
        ({"max_p95_ms": 1e9}, "above 60000"),
        ({"min_agreement": None}, "valid number"),
        ({"min_agreement": "0.9"}, "valid number"),
        ({"min_agreement": True}, "valid number"),
        ({"few_images": 20.5}, "valid integer"),
        ({"few_images": 10**6}, "above 100000"),
        ({"few_images": 10**30}, "larger than 64 bits"),
        ({"min_agrement": 0.9}, "Extra inputs are not permitted"),
    ],
)
def test_nonsense_changes_nothing_and_is_named(
    model: VisionModel, limits: dict[str, Any], said: str
) -> None:
    answer = send(client_of(Role.ADMIN), **limits)

    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert said in error["detail"]
    assert error["path"].rpartition(".")[2] in limits
    model.refresh_from_db()
    assert (model.limits_number, model.limits) == (0, ParityLimits())


@pytest.mark.parametrize(
    "body",
    [
        {"limits": {"few_images": 30}, "expected": 0},
        {"limits": {"few_images": 30}, "expected": 0, "reason": "  "},
        {"limits": {"few_images": 30}, "expected": 0, "reason": "a\0b"},
        {"limits": {"few_images": 30}, "expected": 0, "reason": "x" * 1001},
        {"limits": {"few_images": 30}, "expected": "0", "reason": "why"},
        {"limits": {"few_images": 30}, "reason": "why"},
        {"limits": {}, "expected": 0, "reason": "why"},
        {"limits": [], "expected": 0, "reason": "why"},
        {"expected": 0, "reason": "why"},
        [],
    ],
)
def test_a_body_without_reason_or_change_is_refused(model: VisionModel, body: Any) -> None:
    answer = client_of(Role.ADMIN).patch(API, body, format="json")

    assert answer.status_code == 422, answer.content
    assert not LimitsChange.objects.exists()


def test_only_an_admin_of_all_sites_decides_what_is_good_enough(
    model: VisionModel, somebody: Any
) -> None:
    strangers = (
        (APIClient(), 401),
        (somebody(name="nobody"), 403),
        (somebody(Role.RELEASER, name="rex"), 403),
        (somebody(Role.ADMIN, site="works", name="adam"), 403),
    )
    for client, status in strangers:
        assert send(client, few_images=30).status_code == status
    assert not LimitsChange.objects.exists()
    assert APIClient().get(API).status_code == 401
    assert APIClient().get(f"{API}/changes").status_code == 401
    assert send(somebody(Role.ADMIN, name="ada"), few_images=30).status_code == 200


def test_a_model_that_is_not_there_has_no_limits(somebody: Any) -> None:
    admin = somebody(Role.ADMIN)
    assert admin.get(API).status_code == 404
    assert admin.get(f"{API}/changes").status_code == 404
    assert send(admin, few_images=30).status_code == 404


def test_two_people_do_not_overwrite_each_other(model: VisionModel) -> None:
    seen = VisionModel.objects.get(pk=model.pk)
    change(model, min_agreement=1)

    with pytest.raises(Conflict, match="Look again") as refusal:
        change(seen, min_agreement=0.9)

    assert refusal.value.extra == {"current": 1}
    assert send(client_of(Role.ADMIN), few_images=30).status_code == 409
    model.refresh_from_db()
    assert model.limits.min_agreement == 1


def test_what_changes_nothing_is_no_change(model: VisionModel) -> None:
    with pytest.raises(Invalid, match="these already"):
        change(model)
    assert not AuditEntry.objects.exists()


def test_more_images_than_the_golden_set_has_is_set_and_warned_of(model: VisionModel) -> None:
    answer = send(client_of(Role.ADMIN), min_images=10)

    assert answer.status_code == 200
    (warning,) = answer.json()["warnings"]
    assert "has 4 images and min_images is 10: every build is refused" in warning


def test_the_model_shows_its_limits(model: VisionModel) -> None:
    change(model, max_p95_ms=40)
    shown = client_of(Role.VIEWER).get(f"/api/v1/models/{MODEL}").json()
    assert shown["limits"] == in_full(model.limits)
    assert shown["limits"]["max_p95_ms"] == 40


@GENERATED
@given(meaningful)
def test_whatever_means_something_comes_back_as_it_was_set(
    model: VisionModel, limits: ParityLimits
) -> None:
    require_meaningful(limits)
    model.refresh_from_db()
    before = model.limits
    if limits == before:
        return
    written = services.set_limits(
        model=model, limits=limits, expected=model.limits_number, reason="why", actor=ACTOR
    )

    stored = VisionModel.objects.get(pk=model.pk)
    assert stored.limits == model.limits == limits
    assert stored.limits_number == written.number
    assert ParityLimits.model_validate(written.old) == before
    moved = differences(before, limits)
    assert {one.name: one.new for one in moved} == {
        name: value for name, value in in_full(limits).items() if value != in_full(before)[name]
    }
