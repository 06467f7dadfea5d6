"""The page of a release says how its golden cases were judged, and by what they differ."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from server.builds.checks.selectors import MAX_PASSES
from server.builds.models import BuildTurn, PipelineCheck
from server.builds.states import TurnEnd, TurnState
from server.fleet.models import BuiltOn, HardwareProfile
from tests.fleet_ui.world import World, refuse_golden_case

SignIn = Callable[[str], Client]


def words_of(client: Client, page: str, key: object) -> str:
    body = client.get(reverse(page, args=[key])).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&nbsp;", " "))


def test_a_refused_release_shows_picture_verdicts_reason_and_stage(
    world: World, sign_in: SignIn
) -> None:
    refuse_golden_case(world, "board-inspection-3", "x86-openvino")

    text = words_of(sign_in("ada"), "release", "board-inspection-3")

    assert "1 of 32 golden cases are judged otherwise" in text
    assert "Judged otherwise on x86-openvino" in text
    assert "images/17.jpg boards-golden 1" in text
    assert "a defect was found" in text
    assert "defects: 1 scratch instead of nothing" in text


def test_the_page_of_a_build_shows_all_that_parity_asks(world: World, sign_in: SignIn) -> None:
    build = world.builds["1.0.0 x86-openvino"]

    text = words_of(sign_in("ada"), "build", build.pk)

    for word in ("Share kept", "Each class", "Each slice", "Score shift", "Agreement", "Latency"):
        assert word in text
    assert "Golden pipeline judged with each release: board-inspection-1" in text
    assert "Golden images" in text


def test_who_releases_may_have_it_judged_again_where_it_was_not_found_out(
    world: World, sign_in: SignIn
) -> None:
    check = refuse_golden_case(world, "board-inspection-3", "x86-openvino")
    check.state = "failed"
    check.save()
    release = check.release
    release.versions.add(world.versions["1.0.0"])
    address = reverse("judge-release", args=[release.name])

    assert "Judge again" not in words_of(sign_in("vera"), "release", release.name)
    assert sign_in("vera").post(address, {"profile": "x86-openvino"}).status_code == 403
    client = sign_in("ada")
    assert "Judge again" in words_of(client, "release", release.name)
    assert client.post(address, {"profile": "none"}).status_code == 404
    client.post(address, {"profile": "x86-openvino"})
    assert "Waits" in words_of(client, "release", release.name)
    assert release.checks.filter(state="queued").count() == 1


def test_who_releases_may_answer_for_what_nobody_could_judge(world: World, sign_in: SignIn) -> None:
    check = refuse_golden_case(world, "board-inspection-3", "x86-openvino")
    check.state, check.reason = "failed", "No such hardware."
    check.save()
    address = reverse("waive-release", args=[check.release.name])
    body = {"profile": "x86-openvino", "reason": "judged on the line"}

    assert sign_in("vera").post(address, body).status_code == 403
    client = sign_in("ada")
    client.post(address, {**body, "reason": ""})
    assert "Answer for it" in words_of(client, "release", check.release.name)
    client.post(address, body)
    text = words_of(client, "release", check.release.name)
    assert "Waived" in text
    assert "judged on the line" in text
    assert "Answer for it" not in text


def judged_by_device(world: World, state: str) -> PipelineCheck:
    check = refuse_golden_case(world, "board-inspection-3", "x86-openvino")
    HardwareProfile.objects.filter(pk=check.profile_id).update(built_on=BuiltOn.DEVICE)
    device = next(one for one in world.devices if one.profile_id == check.profile_id)
    check.state, check.device, check.needs_approval = state, device, state == "succeeded"
    check.save()
    BuildTurn.objects.create(
        pipeline_check=check,
        device=device,
        state=TurnState.ENDED,
        ended=TurnEnd.FINISHED,
        why="all told",
        offered_at=world.ago(hours=1),
    )
    return check


def test_what_a_device_judged_is_shown_as_its_word_and_waits_for_a_releaser(
    world: World, sign_in: SignIn
) -> None:
    check = judged_by_device(world, "succeeded")
    serial, name = check.device.serial if check.device else "", check.release.name
    address = reverse("approve-release", args=[name])
    body = {"profile": "x86-openvino", "reason": "our own box"}

    text = words_of(sign_in("vera"), "release", name)
    assert f"{serial} judged these golden cases, not a host of this server" in text
    assert "A releaser can approve it" in text
    assert f"{serial} Finished all told" in text
    assert sign_in("vera").post(address, body).status_code == 403
    client = sign_in("ada")
    client.post(address, {**body, "reason": " "})
    assert "Not approved" in words_of(client, "release", name)
    client.post(address, body)
    text = words_of(client, "release", name)
    assert "our own box" in text
    assert "Not approved" not in text


def test_a_refusal_by_a_device_may_be_doubted_with_a_reason(world: World, sign_in: SignIn) -> None:
    check = judged_by_device(world, "refused")
    check.release.versions.add(world.versions["1.0.0"])
    address = reverse("judge-release", args=[check.release.name])
    client = sign_in("ada")

    assert "one device may be broken" in words_of(client, "release", check.release.name)
    client.post(address, {"profile": "x86-openvino"})
    assert check.release.checks.count() == 1
    client.post(address, {"profile": "x86-openvino", "reason": "its memory is broken"})
    text = words_of(client, "release", check.release.name)
    assert "Waits for a device of this profile to judge its golden cases" in text
    assert "check 1" in text
    assert "Nobody can judge" not in text
    queued = check.release.checks.filter(state="queued")
    queued.update(passes=MAX_PASSES, asked={"builder-1": "no TensorRT"})
    text = words_of(client, "release", check.release.name)
    assert "Nobody can judge on x86-openvino" in text
    assert "builder-1: no TensorRT" in text
    client.post(address, {"profile": "x86-openvino"})
    assert queued.get().asked == {}
