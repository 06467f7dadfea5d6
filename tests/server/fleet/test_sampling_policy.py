"""What samples may cost and which frames they are of is said at the server, device by device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from inference_core.contract.device import Goal
from inference_core.contract.sampling import SamplingPolicy
from server.accounts.models import AuditEntry, Role
from tests.server.box import Box

pytestmark = pytest.mark.django_db

Somebody = Callable[..., APIClient]
POLICY: dict[str, Any] = {"bytes_per_day": 5_000_000, "random_share": 0.7, "uncertain_share": 0.0}


def policy_of(box: Box) -> SamplingPolicy:
    return Goal.model_validate_json(box.poll().content).config.sampling


def test_an_operator_sets_it_and_the_next_poll_has_it(
    somebody: Somebody,
    box: Box,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    operator, path = somebody(Role.OPERATOR, "works"), f"/api/v1/devices/{box.device_id}"
    assert policy_of(box) == SamplingPolicy()
    wanted = SamplingPolicy.model_validate(POLICY)
    for sent, policy in ((POLICY, wanted), (None, SamplingPolicy())):
        with django_capture_on_commit_callbacks(execute=True):
            answer = operator.patch(path, {"sampling": sent})
        stored = sent and wanted.model_dump(mode="json")
        assert (answer.status_code, answer.json()["sampling"]) == (200, stored)
        assert policy_of(box) == policy
    lifted, set_to = AuditEntry.objects.filter(action="set_sampling")
    assert (set_to.before, set_to.after) == (None, wanted.model_dump(mode="json"))
    assert (lifted.before, lifted.after) == (set_to.after, None)


def test_what_is_left_out_stays(somebody: Somebody, box: Box) -> None:
    operator, path = somebody(Role.OPERATOR), f"/api/v1/devices/{box.device_id}"
    operator.patch(path, {"sampling": POLICY})
    answer = operator.patch(path, {"sample_every_s": 3.0})
    assert answer.json()["sampling"]["bytes_per_day"] == POLICY["bytes_per_day"]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"random_share": 0.9}, "more than the whole budget"),
        ({"bytes_a_day": 1}, "bytes_a_day"),
        ({"bytes_per_day": -1}, "bytes_per_day"),
        ({"bytes_per_day": 10**300}, "bytes_per_day"),
        ({"min_probability": 0}, "min_probability"),
        ("none", "sampling"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_reason(
    somebody: Somebody, box: Box, policy: Any, reason: str
) -> None:
    path = f"/api/v1/devices/{box.device_id}"
    answer = somebody(Role.OPERATOR).patch(path, {"sampling": policy})
    assert answer.status_code == 422
    assert reason in answer.content.decode()
    assert box.device.sampling is None


def test_neither_a_viewer_nor_a_stranger_sets_it(somebody: Somebody, box: Box) -> None:
    path, change = f"/api/v1/devices/{box.device_id}", {"sampling": POLICY}
    assert somebody(Role.VIEWER, "works").patch(path, change).status_code == 403
    stranger = somebody(Role.OPERATOR, "elsewhere", name="eve")
    assert stranger.patch(path, change).status_code == 404
    assert box.device.sampling is None
