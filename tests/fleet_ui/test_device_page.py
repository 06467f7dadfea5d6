"""What a device's page tells beside its release: windows, logs, shadows, agents, health."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from inference_core.contract.device import ShadowLimits
from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.window import UpdateWindow
from server.fleet.agents import set_agent_release
from server.fleet.models import AgentRelease, Camera, Device, Presence
from server.fleet.services import assign_variant, set_sampling
from server.fleet.windows import set_update_window
from server.rollouts.services import start_shadow
from server.telemetry.models import ShadowHour, TelemetryRecord
from tests.fleet_ui.test_pages import text_of
from tests.fleet_ui.world import World, target_for

SignIn = Callable[[str], Client]
NO_OTHERS = {"uncertain_share": 0.0, "disagreement_share": 0.0, "diverse_share": 0.0}


def page_of(client: Client, device: Device) -> str:
    return text_of(client, reverse("device", args=[device.pk]))


def test_an_update_window_is_read_as_a_person_says_it(world: World, sign_in: SignIn) -> None:
    client, device = sign_in("ada"), world.devices[0]
    assert "Update window none: at any time" in page_of(client, device)
    window = UpdateWindow.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "slots": [
                {"weekdays": [4, 0, 1, 2, 3], "starts_at": "22:00", "duration_min": 240},
                {"weekdays": [5, 6], "starts_at": "06:30", "duration_min": 90},
                {"starts_at": "12:00", "duration_min": 15},
            ],
        }
    )
    set_update_window(line=device.line, window=window, actor="test")
    text = page_of(client, device)
    assert "Mon–Fri from 22:00 for 4 h; Sat, Sun from 06:30 for 1 h 30 min; every day" in text
    assert "every day from 12:00 for 15 min Europe/Berlin" in text


def test_a_copied_identity_is_said_in_so_many_words(world: World, sign_in: SignIn) -> None:
    client, device = sign_in("ada"), world.devices[0]
    assert "Two boxes speak as this device" not in page_of(client, device)
    Presence.objects.filter(device=device).update(cloned_at=world.now)
    assert "Two boxes speak as this device" in page_of(client, device)


def test_logs_are_asked_for_and_downloaded_by_those_who_operate(
    world: World, sign_in: SignIn
) -> None:
    device, ada = world.devices[0], sign_in("ada")
    page = ada.post(reverse("ask-logs", args=[device.pk]), follow=True).content.decode()
    assert "is asked for its logs" in page
    asked = device.log_requests.get()
    assert asked.requested_by == "user:ada"
    assert "Waiting" in page
    device.log_requests.update(received_at=world.now, sha256="a" * 64, length=1234)
    link = f'href="{reverse("log-bundle", args=[asked.pk])}"'
    page = ada.get(reverse("device", args=[device.pk])).content.decode()
    assert link in page
    vera = sign_in("vera")
    page = vera.get(reverse("device", args=[device.pk])).content.decode()
    assert link not in page
    assert "Ask for its logs" not in page
    assert vera.post(reverse("ask-logs", args=[device.pk])).status_code == 404


def test_a_shadow_is_summed_up_in_one_sentence_on_device_and_rollout(
    world: World, sign_in: SignIn
) -> None:
    client, device = sign_in("ada"), world.devices[0]
    release = world.rollout.release
    assert "In the shadow" not in page_of(client, device)
    start_shadow(group=world.group, release=release, limits=ShadowLimits(), actor="test")
    old, new = (target_for(world, f"board-inspection-{n}", device).sha256 for n in (1, 2))
    ShadowHour.objects.create(
        device=device,
        camera="top",
        release_sha256=old,
        shadow_sha256=new,
        hour=world.ago(hours=1).replace(minute=0, second=0, microsecond=0),
        pairs=1240,
        both_pass=1235,
        only_shadow_fails=3,
        only_release_fails=2,
        faults={"not_finite": 7},
        updated_at=world.now,
    )
    text = page_of(client, device)
    assert f"In the shadow {release.name} , nothing reported" in text
    said = "on 5 of 1 240 frames: 3 only the new fails, 2 only the old"
    for page in (text, text_of(client, reverse("rollout", args=[world.rollout.pk]))):
        assert f"board-inspection-2 board-inspection-1 {said}" in page
        assert "7 faults of the new: not finite" in page
        assert "0.40 %" in page


def test_wanted_and_running_agents_and_a_strange_variant_are_told(
    world: World, sign_in: SignIn
) -> None:
    client, device = sign_in("ada"), world.devices[0]
    text = page_of(client, device)
    assert "Agent 0.1.0 Sampling" in text
    release = AgentRelease.objects.create(
        version="0.2.0", counter=1, length=1, published_at=world.now
    )
    set_agent_release(group=world.group, release=release, actor="test")
    assign_variant(device=device, variant="arm-a", actor="test")
    Presence.objects.filter(device=device).update(variant="arm-b")
    text = page_of(client, device)
    assert "Agent 0.1.0, 0.2.0 wanted Not yet Variant arm-a Reports another it says arm-b" in text
    Presence.objects.filter(device=device).update(variant="arm-a", agent_version="0.2.0")
    assert "Agent 0.2.0, 0.2.0 wanted Variant arm-a Sampling" in page_of(client, device)


def test_it_says_what_samples_may_cost_and_whose_policy_that_is(
    world: World, sign_in: SignIn
) -> None:
    client, device = sign_in("ada"), world.devices[0]
    text = page_of(client, device)
    assert "at random one in 10 s of each camera, at most 20 MB a day" in text
    assert "Sampling 40 % random, 30 % uncertain, 15 % disagreement, 15 % diverse the usual" in text
    policy = SamplingPolicy(bytes_per_day=5_000_000, random_share=1.0, **NO_OTHERS)
    set_sampling(device=device, policy=policy, actor="test")
    text = page_of(client, device)
    assert "at most 5 MB a day" in text
    assert "Sampling 100 % random, 0 % uncertain, 0 % disagreement, 0 % diverse its own" in text
    set_sampling(device=device, policy=SamplingPolicy(bytes_per_day=0), actor="test")
    assert "Sampling none its own policy" in page_of(client, device)


def test_health_tells_of_sensors_power_throttling_and_starts(world: World, sign_in: SignIn) -> None:
    client, device = sign_in("ada"), world.devices[0]
    assert "Sensors" not in page_of(client, device)
    newest = TelemetryRecord.objects.filter(device=device, kind="health").latest("captured_at")
    newest.body |= {
        "temperatures_c": {"gpu-thermal": 71.2, "cpu-thermal": 83.0},
        "power_w": 14.26,
        "gpu_share": 0.87,
        "throttled": True,
        "throttle_reasons": ["under-voltage", "soft-temperature-limit"],
        "child_starts": 3,
    }
    newest.save()
    text = page_of(client, device)
    assert "Sensors cpu-thermal 83 °C , gpu-thermal 71 °C" in text
    assert "Throttled yes: under-voltage, soft-temperature-limit" in text
    assert "Power 14.3 W" in text
    assert "started 3 times since the agent's own start" in text
    assert re.search(r"GPU 0\.87 87 %", text)


def test_every_camera_has_its_state_or_a_dash(world: World, sign_in: SignIn) -> None:
    client, device = sign_in("ada"), world.devices[0]
    Camera.objects.create(device=device, name="side", address="file:///b")
    Camera.objects.create(device=device, name="new", address="file:///c")
    newest = TelemetryRecord.objects.filter(device=device, kind="health").latest("captured_at")
    newest.body |= {"cameras": {"top": "ok", "side": "no_input", "gone": "ok"}}
    newest.save()
    text = page_of(client, device)
    for row in ("new – main", "side No picture main", "top Good main"):
        assert row in text


def test_a_gap_says_what_is_missing_and_why(world: World, sign_in: SignIn) -> None:
    device = world.devices[0]
    for seq, reason in enumerate(("disk_full", "corrupt", "refused", "forgotten"), start=200):
        TelemetryRecord.objects.create(
            device=device,
            boot_id=uuid.uuid4(),
            seq=seq,
            kind="gap",
            captured_at=world.now,
            received_at=world.now,
            body={"kind": "gap", "first_seq": seq - 9, "last_seq": seq, "reason": reason},
        )
    text = page_of(sign_in("ada"), device)
    assert "Records 191 to 200 are missing: the disk was full." in text
    assert "they could not be read back." in text
    assert "the server never takes them." in text
    assert "this server had taken them, and was restored from a backup since." in text
