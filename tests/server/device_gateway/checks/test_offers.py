"""Golden cases are offered to devices: others than the builder first, one turn at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from server.builds import services
from server.builds.models import Artifact, Build, PipelineCheck
from server.builds.services import offers
from server.builds.states import BuildState
from server.fleet.models import Line
from server.lib import clock
from tests.server.box import Box, make_box
from tests.server.device_gateway.checks.turns import (
    offered,
    says,
)

pytestmark = pytest.mark.django_db


def test_a_check_is_offered_by_the_goal_and_a_device_has_one_turn_of_either_kind(
    box: Box,
    check: PipelineCheck,
    artifact: Artifact,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    assert services.offer_builds(busy=()) == []
    assert says(box, may_build=False) is None
    assert services.offer_checks(busy=()) == []
    says(box)
    assert services.offer_checks(busy=[box.device_id]) == []
    with django_capture_on_commit_callbacks(execute=True):
        turn = offered(box)
    offer = says(box)
    assert offer is not None
    assert (offer.turn, offer.check, offer.runtime) == (turn.pk, check.pk, "onnxruntime")
    assert offer.download_bytes > 2 * artifact.length
    Build.objects.create(
        version=artifact.version,
        profile=artifact.profile,
        number=2,
        state=BuildState.QUEUED,
        created_at=clock.now(),
    )
    assert services.offer_builds(busy=()) == []


def test_another_device_than_the_builder_is_preferred_and_waited_for_not_for_ever(
    box: Box, line: Line, check: PipelineCheck
) -> None:
    other = make_box(line, "box-2")
    turn = offered(box, other)
    assert turn.device_id == other.device_id  # though box-1 comes first by its name
    other.post(f"checks/{turn.pk}/decline", {"reason": "busy"})
    assert services.offer_checks(busy=()) == []
    long_ago = clock.now() - timedelta(seconds=offers.OTHERS_FIRST_S + 1)
    PipelineCheck.objects.update(created_at=long_ago)
    assert offered(box).device_id == box.device_id


def test_the_builder_judges_at_once_where_there_is_no_other_device(
    box: Box, check: PipelineCheck
) -> None:
    assert offered(box).device_id == box.device_id
