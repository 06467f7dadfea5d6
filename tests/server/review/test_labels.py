"""Labels under review through the API: asked for once, answered once, by those who may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from server.accounts.models import AuditEntry, Role
from server.comparisons.models import Comparison, PictureRow
from server.lib import clock
from server.registry.models import ModelVersion
from server.review import labels
from server.review.models import LabelReview
from tests.server import catalogue
from tests.server.registry.test_api import assert_problem

pytestmark = pytest.mark.django_db
API = "/api/v1/label-reviews"

Somebody = Callable[..., APIClient]


@pytest.fixture
def comparison(own_blobs: Path) -> Comparison:
    """Of four pictures, on two of which the versions disagree."""
    model = catalogue.vision_model()
    a, b = (_version(model, version) for version in ("1", "2"))
    row = Comparison.objects.create(
        key="0" * 64, a=a, b=b, dataset=model.golden, state="succeeded", created_at=clock.now()
    )
    PictureRow.objects.bulk_create(
        PictureRow(
            comparison=row,
            image=f"images/{number}.png",
            image_sha256="0" * 64,
            a_is_right=True,
            b_is_right=number < 2,
            agrees=number < 2,
            body={"image": f"images/{number}.png"},
        )
        for number in range(4)
    )
    return row


def _version(model: Any, version: str) -> ModelVersion:
    return ModelVersion.objects.create(
        model=model,
        version=version,
        sha256=version * 64,
        length=1,
        manifest_sha256="0" * 64,
        manifest_body={},
        report={},
        licence="MIT",
        created_at=clock.now(),
    )


def test_pictures_wait_once_and_are_answered_once(
    somebody: Somebody, comparison: Comparison
) -> None:
    client = somebody(Role.OPERATOR)
    address = f"/api/v1/comparisons/{comparison.pk}/reviews"
    asked = client.post(address, {"show": "disagree"})
    assert (asked.status_code, asked.json()) == (201, {"pictures": 2, "waited_already": 0})
    again = client.post(address, {"show": "only-b-wrong"}).json()
    assert again == {"pictures": 0, "waited_already": 2}
    first, _ = client.get(API, {"state": "waiting"}).json()["results"]
    assert (first["image"], first["dataset"]["name"]) == ("images/2.png", "boards-golden")
    assert first["compared"] == {"image": "images/2.png"}

    answer = f"{API}/{first['id']}/answer"
    assert_problem(client.post(answer, {"answer": "mistaken"}), 422, "invalid")
    assert_problem(client.post(answer, {"answer": "waiting"}), 422, "invalid")
    said = client.post(answer, {"answer": "mistaken", "note": "dark"}).json()
    assert (said["state"], said["note"]) == ("mistaken", "dark")
    assert_problem(client.post(answer, {"answer": "confirmed"}), 409, "conflict")
    assert client.get(API, {"state": "mistaken"}).json()["results"][0]["id"] == first["id"]
    assert client.post(address, {"show": "disagree"}).json()["pictures"] == 1, "it may wait again"
    assert AuditEntry.objects.filter(action="request_reviews").count() == 3
    assert AuditEntry.objects.get(action="answer").reason == "dark"


def test_a_viewer_may_look_and_not_ask_or_answer(
    somebody: Somebody, comparison: Comparison
) -> None:
    labels.request_reviews(comparison=comparison, show="disagree", actor="user:ada")
    viewer = somebody(Role.VIEWER, "works")
    (first, _) = viewer.get(API).json()["results"]
    asked = viewer.post(f"/api/v1/comparisons/{comparison.pk}/reviews", {"show": "all"})
    assert_problem(asked, 403, "permission_denied")
    answered = viewer.post(f"{API}/{first['id']}/answer", {"answer": "confirmed"})
    assert_problem(answered, 403, "permission_denied")
    assert APIClient().get(API).status_code == 401
    assert set(LabelReview.objects.values_list("state", flat=True)) == {"waiting"}


def test_what_cannot_be_reviewed_is_refused(
    somebody: Somebody, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, address = somebody(Role.OPERATOR), f"/api/v1/comparisons/{comparison.pk}/reviews"
    assert_problem(client.post(address, {"show": "both-wrong"}), 422, "invalid")
    assert_problem(client.post(address, {"show": "some"}), 422, "invalid")
    assert_problem(
        client.post("/api/v1/comparisons/999/reviews", {"show": "all"}), 404, "not_found"
    )
    assert_problem(client.post(f"{API}/999/answer", {"answer": "confirmed"}), 404, "not_found")
    monkeypatch.setattr(labels, "MAX_PICTURES", 3)
    assert_problem(client.post(address, {"show": "all"}), 422, "invalid")
    assert not LabelReview.objects.exists()
