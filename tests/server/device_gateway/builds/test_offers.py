"""A build on devices is offered: to one at a time, fit, willing, and another one next time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import (
    DjangoAssertNumQueries,
    DjangoCaptureOnCommitCallbacks,
)

from inference_core.contract.device import Goal
from inference_core.contract.window import UpdateWindow
from server.accounts.models import Role
from server.builds import dispatch, selectors, services, worker
from server.builds.device_reads import why_no_device
from server.builds.models import Build, BuildTurn
from server.builds.services import offers
from server.builds.states import BuildState, TurnEnd, TurnState
from server.datasets.models import DatasetVersion
from server.fleet.models import Device, HardwareProfile, Line
from server.fleet.services import quarantine_device
from server.fleet.windows import set_update_window
from server.lib import clock
from server.registry.services import create_release
from tests.server import catalogue
from tests.server.box import Box
from tests.server.device_gateway.builds.turns import (
    Somebody,
    offered,
    other_box,
    says,
)
from tests.server.device_gateway.device_built import PROFILE

pytestmark = pytest.mark.django_db


def test_an_offer_reaches_one_device_and_changes_its_etag_and_an_idle_poll_stays_free(
    box: Box,
    line: Line,
    build: Build,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    second = other_box(line)
    report = box.report(may_build=True)
    before = box.poll(report)["ETag"]
    assert says(second) is None
    with django_capture_on_commit_callbacks(execute=True):
        (turn,) = services.offer_builds(busy=())
        assert services.offer_builds(busy=()) == []
    after = box.poll(report)
    assert turn.device_id == box.device_id
    assert after["ETag"] != before
    offer = Goal.model_validate_json(after.content).build
    assert offer is not None
    assert (offer.turn, offer.build, offer.runtime) == (turn.pk, build.pk, "onnxruntime")
    assert offer.download_bytes > build.version.length
    assert says(second) is None
    with django_assert_num_queries(0):
        assert box.poll(report, etag=after["ETag"]).status_code == 304


def test_who_is_not_willing_busy_away_or_out_of_its_window_is_not_offered(
    box: Box, line: Line, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(box, may_build=False)
    assert services.offer_builds(busy=()) == []
    says(box)
    assert services.offer_builds(busy=[box.device_id]) == []
    now = clock.now()
    closed = {"slots": [{"starts_at": f"{now - timedelta(hours=2):%H:%M}", "duration_min": 60}]}
    set_update_window(line=line, window=UpdateWindow.model_validate(closed), actor="test")
    assert services.offer_builds(busy=()) == []
    set_update_window(line=line, window=None, actor="test")
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(hours=1))
    assert services.offer_builds(busy=()) == []
    monkeypatch.undo()
    assert len(services.offer_builds(busy=())) == 1


def test_a_device_of_another_profile_gets_no_offer(box: Box, build: Build) -> None:
    Device.objects.update(profile=HardwareProfile.objects.get(name="x86-openvino"))
    says(box)
    assert services.offer_builds(busy=()) == []


def test_a_device_in_a_rollout_is_among_the_busy(box: Box, build: Build) -> None:
    from server.device_gateway.tasks import offer_builds
    from server.rollouts import selectors as rollouts

    assert rollouts.devices_in_rollouts() == set()
    says(box)
    offer_builds()
    assert BuildTurn.objects.get().device_id == box.device_id


def test_an_offer_that_nobody_takes_goes_to_the_next_device(
    box: Box, line: Line, build: Build
) -> None:
    turn, second = offered(box), other_box(line)
    long_ago = clock.now() - timedelta(seconds=offers.OFFER_S + 1)
    BuildTurn.objects.update(offered_at=long_ago)
    says(second)
    (again,) = services.offer_builds(busy=())
    assert again.device_id == second.device_id
    over = BuildTurn.objects.get(pk=turn)
    assert (over.state, over.ended) == (TurnState.ENDED, TurnEnd.WITHDRAWN)
    assert box.post(f"builds/{turn}/lease", {}).status_code == 409


def test_a_quarantined_device_loses_its_offer(box: Box, build: Build) -> None:
    turn = offered(box)
    quarantine_device(device=box.device, actor="user:ada", reason="smells")
    assert services.offer_builds(busy=()) == []
    assert "quarantined" in BuildTurn.objects.get(pk=turn).why


def test_a_decline_costs_no_attempt_and_its_sentence_is_shown(
    box: Box, build: Build, somebody: Somebody
) -> None:
    turn = offered(box)
    why = "needs: pip install 'linewarden[build]' (onnx is missing)"
    for _ in range(2):
        assert box.post(f"builds/{turn}/decline", {"reason": why}).status_code == 204
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 0)
    shown = somebody(Role.VIEWER).get(f"/api/v1/builds/{build.pk}").json()
    assert [(t["ended"], t["why"]) for t in shown["turns"]] == [("declined", why)]
    assert services.offer_builds(busy=()) == []  # not the same device again at once


def test_the_page_says_for_whom_a_build_waits(box: Box, build: Build, somebody: Somebody) -> None:
    release = create_release(
        name="r1",
        pipeline=catalogue.pipeline(),
        versions={catalogue.MODEL: "1.0.0"},
        notes="",
        actor="test",
    )
    missing = selectors.missing_artifacts(release, Device.objects.select_related("profile"))
    assert [m.why for m in missing] == ["waits for a device that builds it"]
    says(box, may_build=False)
    assert "set may_build on one of them" in why_no_device(build)
    says(box)
    assert "Waits for a device that is online" in why_no_device(build)
    Device.objects.update(state="quarantined")
    assert why_no_device(build) == f"No device of {PROFILE} is accepted yet."


def test_a_build_on_more_images_than_a_device_takes_is_offered_to_none_and_says_so(
    box: Box, build: Build
) -> None:
    says(box)
    DatasetVersion.objects.filter(judges=build.version.model).update(image_count=9001)
    assert services.offer_builds(busy=()) == []
    build = Build.objects.get(pk=build.pk)
    assert "9001 images" in why_no_device(build)
    assert "let builders build for this profile" in why_no_device(build)


def test_workers_leave_it_alone_and_get_no_message(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(dispatch.app, "send_task", lambda *a, **k: sent.append((a, k)))
    assert services.resend_builds() == 0
    worker.run_build(build.pk)
    build.refresh_from_db()
    assert (build.state, sent) == (BuildState.QUEUED, [])
