"""What pages say, how they are polled, and what they cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from server.fleet.profile_services import note_proposal, seed_profiles
from server.fleet.proposals import NewProfile
from tests.fleet_ui.addresses import all_pages
from tests.fleet_ui.world import World, add_device

SignIn = Callable[[str], Client]
HTMX = {"HX-Request": "true"}


def text_of(client: Client, address: str) -> str:
    return text_of_answer(client.get(address))


def text_of_answer(answer: HttpResponse) -> str:
    body = answer.content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&nbsp;", " "))


class Inline(HTMLParser):
    """Collects everything that the Content-Security-Policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}" for name in names if name.startswith("on")]
        self.found += [f"{tag} style" for name in names if name == "style"]
        addresses = (names.get(name) or "" for name in ("src", "href", "action", "formaction"))
        self.found += [a for a in addresses if a.startswith(("javascript:", "http:", "//"))]
        self.ids += [value for name, value in attrs if name == "id" and value]


def test_no_page_has_inline_script_or_style_or_a_foreign_address(
    world: World, sign_in: SignIn
) -> None:
    client = sign_in("ada")
    for name, address in all_pages(world).items():
        parser = Inline()
        parser.feed(client.get(address).content.decode())
        assert parser.found == [], name
        assert len(parser.ids) == len(set(parser.ids)), name


def test_the_overview_puts_what_needs_somebody_first(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), reverse("overview"))
    assert "“Contrast normalisation” is held" in text
    assert "board-defects 1.1.0 for x86-onnxruntime" in text
    assert "1 device offline LW-DRE-0003" in text
    assert "1 device not running the goal LW-DRE-0004" in text
    assert "1 device waiting to be let in LW-DRE-0005" in text


@pytest.mark.parametrize(
    ("query", "serials"),
    [
        ("presence=offline", {"LW-DRE-0003"}),
        ("presence=stale", {"LW-DRE-0002"}),
        ("presence=pending", {"LW-DRE-0005"}),
        ("goal=differs", {"LW-DRE-0004"}),
        ("search=ostr", {"LW-OST-0090"}),
        ("group=board-lines&profile=x86-openvino", {"LW-DRE-0001", "LW-DRE-0003", "LW-DRE-0005"}),
        ("presence=online&search=0003", set()),
    ],
)
def test_the_list_of_devices_is_filtered_by_its_address(
    world: World, sign_in: SignIn, query: str, serials: set[str]
) -> None:
    text = text_of(sign_in("ada"), f"{reverse('devices')}?{query}")
    assert set(re.findall(r"LW-[A-Z]{3}-\d{4}", text)) == serials


def test_a_filter_that_means_nothing_breaks_nothing(world: World, sign_in: SignIn) -> None:
    query = {"search": "%_'", "presence": "asleep", "page": "x", "group": "no-such-group"}
    assert sign_in("ada").get(reverse("devices"), query).status_code == 200


def test_a_device_tells_what_it_should_run_and_what_it_runs(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), reverse("device", args=[world.devices[4].pk]))
    assert "Not running its goal" in text
    assert "Should run board-inspection-1" in text
    assert "Runs nothing reported" in text


def test_cameras_and_sinks_are_shown_without_their_secrets(world: World, sign_in: SignIn) -> None:
    sinks = ["mqtt://line@broker/top?secret=hunter2", "<b>://hunter2@x"]
    world.devices[0].cameras.update(address="rtsp://admin:hunter2@10.0.0.5/live", sinks=sinks)
    body = sign_in("ada").get(reverse("device", args=[world.devices[0].pk])).content.decode()
    assert "<code>rtsp://***@10.0.0.5/live</code>" in body
    assert "<code>mqtt://***@broker/top?secret=***</code>" in body
    assert "hunter2" not in body
    assert "<b>://" not in body


def test_sampled_frames_carry_what_the_model_saw(world: World, sign_in: SignIn) -> None:
    body = sign_in("ada").get(reverse("device", args=[world.devices[0].pk])).content.decode()
    assert body.count('<svg class="overlay" viewBox="0 0 640 480"') == 6
    assert "scratch 91%" in body
    assert "missing metal 91%" in body
    assert "“TDA1517P” 94%" in body


def test_a_sample_that_cannot_be_read_is_shown_without_shapes(
    world: World, sign_in: SignIn
) -> None:
    world.devices[0].samples.update(result={"of": "tomorrow"})
    text = text_of(sign_in("ada"), reverse("device", args=[world.devices[0].pk]))
    assert "was written by a newer device" in text


def test_the_matrix_says_why_a_precision_was_refused(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), reverse("model", args=["board-defects"]))
    assert "It keeps 61.0% of the original&#x27;s mean IoU; 99.0 % are needed." in text
    assert "61.00 %" in text


def test_the_gate_shows_metric_value_limit_n_and_why(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), reverse("rollout", args=[world.rollout.pk]))
    assert "It holds because" in text
    assert "1 device offline" in text
    assert re.search(r"Latency p95, x86-onnxruntime Pass 1[23]\.\d+ 100 4 P95 is", text)


def test_an_unchanged_fragment_answers_304_and_a_changed_one_does_not(
    world: World, sign_in: SignIn
) -> None:
    client, address = sign_in("ada"), reverse("rollout", args=[world.rollout.pk])
    first = client.get(address, headers=HTMX)
    assert first.content.lstrip().startswith(b'<div id="live"')
    again = {**HTMX, "If-None-Match": first["ETag"]}
    assert client.get(address, headers=again).status_code == 304
    world.rollout.reason = "paused for the night shift"
    world.rollout.save()
    changed = client.get(address, headers=again)
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_pages_poll_fast_only_where_something_moves(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    assert b'data-period="5"' in client.get(reverse("rollouts")).content
    world.rollout.state = "stopped"
    world.rollout.save()
    assert b'data-period="30"' in client.get(reverse("rollouts")).content


@pytest.mark.parametrize("page", ["devices", "overview", "rollouts"])
def test_the_number_of_queries_does_not_grow_with_the_fleet(
    world: World, sign_in: SignIn, page: str
) -> None:
    client, address = sign_in("ada"), reverse(page)
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for index in range(100, 145):
        add_device(world, index, "dresden")
    with CaptureQueriesContext(connection) as many:
        assert client.get(address).status_code == 200
    assert len(many) == len(few), [query["sql"][:120] for query in many.captured_queries]


def test_empty_pages_teach(db: None, client: Client) -> None:
    from server.accounts.models import User

    client.force_login(User.objects.create_superuser("root"))
    assert "enrol --token-file" in text_of(client, reverse("devices"))
    for page in ("overview", "models", "builds", "releases", "rollouts"):
        assert client.get(reverse(page)).status_code == 200, page


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ("model", "no-such-model"),
        ("release", "no-such-release"),
        ("build", 999_999),
        ("rollout", "00000000-0000-0000-0000-000000000000"),
        ("device", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(
    world: World, sign_in: SignIn, page: str, key: object
) -> None:
    response = sign_in("ada").get(reverse(page, args=[key]))
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_profiles_in_use_are_listed_and_the_rest_on_request(world: World, sign_in: SignIn) -> None:
    seed_profiles()
    client = sign_in("ada")
    short = text_of(client, reverse("profiles"))
    assert "x86-onnxruntime" in short
    assert "jetson-thor" not in short
    assert "jetson-thor-jp7.2-trt11.4" in text_of(client, reverse("profiles") + "?all=1")


def test_a_profile_that_a_box_asks_for_is_accepted_with_one_click(
    world: World, sign_in: SignIn
) -> None:
    wanted = {"name": "odd-box", "runtime": "litert", "architecture": "aarch64"}
    note_proposal(
        profile=NewProfile.model_validate(wanted | {"precisions": ["int8"]}),
        serial="LW-DRE-0777",
        why="rpi5-litert needs SoC bcm2712, the device has rk3588",
    )
    assert "No profile fits LW-DRE-0777" in text_of(sign_in("ada"), reverse("overview"))
    address = reverse("accept-profile", args=["odd-box"])
    assert sign_in("vera").post(address).status_code == 403
    client = sign_in("ada")
    assert "the device has rk3588" in text_of(client, reverse("profiles"))
    assert client.post(address, follow=True).status_code == 200
    assert "odd-box" in text_of(client, reverse("profiles"))


def test_a_device_whose_profile_no_longer_fits_is_told_of(world: World, sign_in: SignIn) -> None:
    device = world.devices[0]
    type(device).objects.filter(pk=device.pk).update(
        misfit="needs TensorRT 10.3, the device has 10.16",
        facts={
            **device.facts,
            "architecture": "x86_64",
            "system": "linux",
            "runtimes": {"openvino": "2026.4.1"},
        },
    )
    client = sign_in("ada")
    told = text_of(client, reverse("overview"))
    assert "1 device no longer what the profile needs LW-DRE-0000" in told
    assert "needs TensorRT 10.3" in text_of(client, reverse("device", args=[device.pk]))
    assert "LW-DRE-0000" in text_of(client, reverse("devices") + "?fit=no")
    address, choice = reverse("assign-profile", args=[device.pk]), {"profile": "x86-openvino"}
    assert sign_in("vera").post(address, choice).status_code in {403, 404}
    told = text_of_answer(sign_in("ada").post(address, choice, follow=True))
    assert "LW-DRE-0000 is x86-openvino from now on" in told
    assert "no longer what this box is" not in told


def test_the_inspection_says_which_runtimes_take_a_model(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("ada"), reverse("model", args=["board-defects"]))
    assert "Takes it onnxruntime" in text
    assert "OpenCV DNN 5.0.0 has no Scan" in text
