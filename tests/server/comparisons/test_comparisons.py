"""Comparisons: asked for once, run by a worker that may die, and never changed afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.accounts.models import AuditEntry, Role
from server.comparisons import exact, services
from server.comparisons.models import Comparison, PictureRow
from server.comparisons.worker import run_comparison
from server.lib import blobs, clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import ModelVersion, VisionModel
from tests.server import catalogue
from tests.server.registry.test_api import assert_problem

pytestmark = pytest.mark.django_db
API = "/api/v1/comparisons"
Pair = tuple[ModelVersion, ModelVersion]


def ask(versions: Pair, **changes: Any) -> Comparison:
    fields = {"a": versions[0], "b": versions[1], "dataset": None, "actor": "user:ada"}
    return services.request_comparison(**{**fields, **changes})


def test_from_a_request_to_the_pictures_where_only_b_is_wrong(versions: Pair) -> None:
    client = catalogue.client_of(Role.RELEASER)
    body = {
        side: {"model": catalogue.MODEL, "version": version.version}
        for side, version in zip("ab", versions, strict=True)
    }
    asked = client.post(API, body)
    assert asked.status_code == 202, asked.content
    row = asked.json()
    assert (row["state"], row["dataset"]["name"]) == ("queued", "boards-golden")
    assert client.post(API, body).json()["id"] == row["id"], "the same request is the same row"
    run_comparison(row["id"])
    run_comparison(row["id"])
    viewer = catalogue.client_of(Role.VIEWER)
    found = viewer.get(f"{API}/{row['id']}").json()
    assert (found["state"], found["share"]) == ("succeeded", 1.0)
    figures = found["figures"]
    assert figures["images"] == 6
    assert figures["a"] > figures["b"]
    assert figures["only_a_wrong"] == 0
    wrong = viewer.get(f"{API}/{row['id']}/pictures?show=only-b-wrong").json()["results"]
    assert len(wrong) == figures["only_b_wrong"] > 0
    assert wrong[0]["picture"]["label"] == "dark"
    for show in ("all", "only-a-wrong", "both-wrong", "disagree"):
        assert viewer.get(f"{API}/{row['id']}/pictures?show={show}").status_code == 200
    assert_problem(viewer.get(f"{API}/{row['id']}/pictures?show=x"), 422, "invalid")
    assert AuditEntry.objects.filter(subject="comparison").count() == 1


def test_who_may_not_release_may_look_and_not_ask(versions: Pair) -> None:
    row = ask(versions)
    operator = catalogue.client_of(Role.OPERATOR)
    assert operator.get(f"{API}/{row.pk}").status_code == 200
    assert operator.post(API, {}).status_code == 403
    assert_problem(operator.get(f"{API}/{row.pk + 1}"), 404, "not_found")


def test_what_cannot_be_compared_is_refused(versions: Pair) -> None:
    with pytest.raises(Invalid, match="Choose two"):
        ask((versions[0], versions[0]))
    client = catalogue.client_of(Role.RELEASER)
    ref = {"model": catalogue.MODEL, "version": "1.0.0"}
    missing = {"a": ref, "b": {**ref, "version": "9"}}
    assert_problem(client.post(API, missing), 422, "invalid")
    reader = VisionModel.objects.get()
    reader.pk, reader.name, reader.task = None, "reader", "text_recognition"
    reader.save()
    ModelVersion.objects.filter(pk=versions[1].pk).update(model=reader)
    foreign = ModelVersion.objects.select_related("model").get(pk=versions[1].pk)
    with pytest.raises(Invalid, match="text_recognition"):
        ask((versions[0], foreign))


def test_a_worker_that_is_lost_is_followed_and_comes_too_late(
    versions: Pair, monkeypatch: pytest.MonkeyPatch, sent: list[int]
) -> None:
    row = ask(versions)
    dead = services.lease_comparison(comparison_id=row.pk, owner="dead")
    assert dead is not None
    assert services.lease_comparison(comparison_id=row.pk, owner="other") is None
    services.sweep_comparisons()
    assert sent == []
    later = clock.now() + timedelta(seconds=services.LEASE_S + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    services.sweep_comparisons()
    assert sent == [row.pk]
    assert not services.extend_lease(comparison=dead, owner="dead", share=0.5)
    with pytest.raises(Conflict, match="lost"):
        services.give_up(comparison=dead, owner="dead", why="late", is_final=True)
    run_comparison(row.pk)
    assert Comparison.objects.get().state == "succeeded"


def test_three_dead_workers_end_it_and_it_can_be_asked_for_afresh(versions: Pair) -> None:
    row = ask(versions)
    for number in range(3):
        leased = services.lease_comparison(comparison_id=row.pk, owner=f"w{number}")
        assert leased is not None
        services.give_up(comparison=leased, owner=f"w{number}", why="killed", is_final=False)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("failed", "killed")
    again = ask(versions)
    assert again.pk != row.pk
    assert ask(versions) == again


def test_a_version_whose_bytes_are_away_is_tried_again_and_said(versions: Pair) -> None:
    row = ask(versions)
    blobs.default_storage.delete(blobs._name(versions[1].sha256))
    run_comparison(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("queued", 1)
    run_comparison(row.pk)
    run_comparison(row.pk)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "an admin must look into it" in row.reason
    assert not PictureRow.objects.exists()


@pytest.mark.parametrize(("hits", "tries"), [(0, 10), (5, 10), (10, 10), (3, 7), (990, 1000)])
def test_intervals_are_those_of_clopper_and_pearson(hits: int, tries: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(hits, tries).proportion_ci(0.95, "exact")
    assert exact.interval(hits, tries) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 6), (4, 1), (12, 12), (300, 250)])
def test_the_sign_test_is_exact(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    total = only_a + only_b
    expected = binomtest(only_a, total).pvalue if total else 1.0
    assert exact.sign_test(only_a, only_b) == pytest.approx(expected, abs=1e-9)
