"""Samples that people look at: their own sites' only, as pictures and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from rest_framework.test import APIClient

from server.accounts.models import Role
from server.fleet.models import Line
from server.review.models import Sample
from tests.server.box import Box
from tests.server.device_gateway.test_samples import jpeg, meta

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]


@pytest.fixture
def sample(box: Box) -> Sample:
    image = jpeg(7)
    assert box.send_sample(meta(image), image).status_code == 201
    return Sample.objects.get()


def test_samples_of_a_device_are_listed_and_filtered(somebody: Somebody, sample: Sample) -> None:
    viewer = somebody(Role.VIEWER, "works")
    address = f"/api/v1/devices/{sample.device_id}/samples"
    (found,) = viewer.get(address).json()["results"]
    assert (found["id"], found["verdict"]) == (sample.pk, "fail")
    assert found["result"]["reasons"] == ["scratched"]
    assert viewer.get(address, {"verdict": "pass"}).json()["results"] == []


def test_the_image_is_a_picture_and_nothing_else(somebody: Somebody, sample: Sample) -> None:
    viewer = somebody(Role.VIEWER, "works")
    answer = viewer.get(f"/api/v1/samples/{sample.pk}/image", headers={"Accept": "image/*"})
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == jpeg(7)
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"].startswith("private")


def test_it_refuses_another_sites_samples(
    somebody: Somebody, sample: Sample, foreign_line: Line
) -> None:
    stranger = somebody(Role.ADMIN, "elsewhere")
    assert stranger.get(f"/api/v1/devices/{sample.device_id}/samples").status_code == 404
    assert stranger.get(f"/api/v1/samples/{sample.pk}/image").status_code == 404
    assert APIClient().get(f"/api/v1/samples/{sample.pk}/image").status_code == 401


def test_a_picture_that_is_gone_is_404_and_not_a_crash(somebody: Somebody, sample: Sample) -> None:
    digest = sample.image_sha256
    Path(default_storage.path(f"sha256/{digest[:2]}/{digest}")).unlink()
    assert somebody(Role.VIEWER).get(f"/api/v1/samples/{sample.pk}/image").status_code == 404
