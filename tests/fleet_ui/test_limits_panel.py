"""Parity limits on the pages: a form that loses nothing, a history, and what fails them today."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from inference_core.contract.build import ParityLimits
from server.accounts.models import RoleAssignment, User
from server.builds.models import Artifact
from server.registry.limits import in_full
from server.registry.models import LimitsChange, VisionModel
from server.registry.services import set_limits
from tests.fleet_ui.world import World

SignIn = Callable[[str], Client]
MODEL = "board-defects"
PAGE = reverse("model", args=[MODEL])
FORM = reverse("set-limits", args=[MODEL])


def words(page: Any) -> str:
    body = page.content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body).replace("&nbsp;", " "))


def change(**changes: Any) -> None:
    model = VisionModel.objects.get(name=MODEL)
    limits = ParityLimits.model_validate({**in_full(model.limits), **changes})
    expected = model.limits_number
    set_limits(model=model, limits=limits, expected=expected, reason="so it is", actor="user:ada")


def form_of(client: Client) -> dict[str, str]:
    """The form as a browser sends it untouched."""
    body = client.get(PAGE).content.decode()
    part = body[body.index(f'action="{FORM}') :]
    part = part[: part.index("</form>")]
    inputs = [dict(re.findall(r'([a-z]+)="([^"]*)"', tag)) for tag in part.split("<input ")[1:]]
    return {one["name"]: one["value"] for one in inputs if one["name"] != "csrfmiddlewaretoken"}


def test_limits_are_set_by_the_form_and_the_history_says_so(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    assert "Nobody has changed them: they are the defaults." in words(client.get(PAGE))
    form = form_of(client)
    assert (form["min_agreement"], form["max_p95_ms"], form["expected"]) == ("0.95", "", "0")

    told = {"min_agreement": " 0.97 ", "max_p95_ms": "40", "reason": "misses scratches"}
    page = words(client.post(FORM, form | told, follow=True))

    assert "Builds of board-defects are held to these limits from now on." in page
    assert "min_agreement 0.95 → 0.97 , max_p95_ms any → 40 ada" in page
    assert "misses scratches" in page
    limits = VisionModel.objects.get().limits
    assert limits == ParityLimits(min_agreement=0.97, max_p95_ms=40)
    assert form_of(client)["expected"] == "1"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"min_agreement": "0,9"}, "valid number"),
        ({"min_agreement": "1.2"}, "less than or equal to 1"),
        ({"min_agreement": "0.2"}, "may not be below 0.8"),
        ({"min_agreement": ""}, "valid number"),
        ({"min_agreement": "nan"}, "less than or equal to 1"),
        ({"few_images": "1"}, "less than min_images"),
        ({"few_images": "9" * 1000}, "limit"),
        ({"max_p95_ms": "-4"}, "greater than 0"),
        ({"reason": " "}, "Give a reason"),
        ({"expected": "x"}, "load the page again"),
        ({}, "these already"),
    ],
)
def test_a_form_that_cannot_be_comes_back_as_it_was_typed(
    world: World, sign_in: SignIn, typed: dict[str, str], said: str
) -> None:
    client = sign_in("ada")
    form = form_of(client) | {"reason": "a long <reason>"}
    if typed:
        form |= {"min_class_share": "0.99"}

    answer = client.post(FORM, form | typed)

    body = answer.content.decode()
    assert answer.status_code == 422
    assert said in body
    assert f'hx-get="{PAGE}"' in body, "the part that is polled stays where it was"
    if typed:
        assert 'name="min_class_share" type="text" inputmode="decimal" value="0.99"' in body
    for name, value in typed.items():
        if name in ParityLimits.model_fields:
            assert f'value="{value}" maxlength="40"' in body
    if "reason" not in typed:
        assert "a long &lt;reason&gt;" in body
    assert not LimitsChange.objects.exists()


def test_who_comes_second_sees_what_the_first_one_decided(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    form = form_of(client) | {"max_p95_ms": "40", "reason": "too slow"}
    change(min_agreement=1)

    answer = client.post(FORM, form)

    body = answer.content.decode()
    assert answer.status_code == 409
    assert "Look again before you change them" in body
    assert 'name="max_p95_ms" type="text" inputmode="decimal" value="40"' in body
    assert 'name="expected" value="1"' in body
    assert "so it is" in words(answer)


def test_only_an_admin_of_all_sites_sees_the_form(world: World, sign_in: SignIn) -> None:
    for name, role, site in (("rex", "releaser", ""), ("adam", "admin", "dresden")):
        world.users[name] = User.objects.create_user(name)
        RoleAssignment.objects.create(user=world.users[name], role=role, site=site)
    for name in ("vera", "rex", "adam"):
        client = sign_in(name)
        page = client.get(PAGE)
        assert FORM not in page.content.decode(), name
        assert "Share of golden images with the same answer min_agreement 0.95" in words(page)
        assert client.post(FORM, {"reason": "why"}).status_code == 403, name
    assert sign_in("ada").get(FORM).status_code == 405
    assert Client().post(FORM).status_code == 302
    assert not LimitsChange.objects.exists()


def test_a_model_that_is_not_there_has_no_form(world: World, sign_in: SignIn) -> None:
    assert sign_in("ada").post(reverse("set-limits", args=["none"])).status_code == 404


def test_the_pages_say_what_was_certified_under_other_limits(world: World, sign_in: SignIn) -> None:
    client = sign_in("vera")
    build = reverse("build", args=[world.builds["1.0.0 x86-openvino"].pk])
    release = reverse("release", args=["board-inspection-1"])
    addresses = (f"{PAGE}?version=1.0.0", build, release)
    for address in addresses:
        assert "under other limits" not in words(client.get(address)), address

    change(min_agreement=0.96)
    for address in addresses:
        assert "under other limits; it keeps today's too" in words(client.get(address)).replace(
            "&#x27;", "'"
        ), address

    change(min_metric_share=0.999)
    for address in addresses:
        assert "int8 kept 99.6% of mean IoU" in words(client.get(address)), address
    assert "Fails today\u2019s limits" in words(client.get(addresses[0]))


def test_the_panel_names_what_fails_and_what_may_be_asked_for(
    world: World, sign_in: SignIn
) -> None:
    client = sign_in("vera")
    refused = world.builds["1.1.0 x86-onnxruntime"]
    change(min_metric_share=0.999)
    page = words(client.get(PAGE))
    failing = page[page.index("no new release takes them") :]
    for profile in ("x86-onnxruntime", "x86-openvino"):
        made = world.builds[f"1.0.0 {profile}"]
        assert f"1.0.0 for {profile}, build {made.pk} int8 kept 99.6%" in failing
    assert "worth asking for again" not in page

    refused.candidates[0]["parity"] |= {"share": 0.98, "per_class": {}, "score_shift": 0.0}
    refused.save()
    change(min_metric_share=0.95)
    page = words(client.get(PAGE))
    assert "no new release takes them" not in page
    asked = page[page.index("worth asking for again") :]
    assert f"1.1.0 for x86-onnxruntime, build {refused.pk} " in asked


def test_a_build_says_that_a_later_one_took_its_place(world: World, sign_in: SignIn) -> None:
    build = world.builds["1.0.0 x86-openvino"]
    Artifact.objects.filter(build=build).update(superseded_at=world.now)
    page = words(sign_in("vera").get(reverse("build", args=[build.pk])))
    assert "A later build took its place" in page


def test_what_is_refused_says_that_it_may_be_asked_for_under_new_limits(
    world: World, sign_in: SignIn
) -> None:
    build = world.builds["1.1.0 x86-onnxruntime"]
    address = reverse("build", args=[build.pk])
    change(min_class_share=0.8)
    page = words(sign_in("ada").get(address))
    assert "fails today&#x27;s too: fp32 kept 61.0%" in page


def test_latencies_of_a_device_are_told_as_upper_bounds(world: World, sign_in: SignIn) -> None:
    build = world.builds["1.1.0 x86-onnxruntime"]
    build.limits_body = in_full(ParityLimits(max_p95_ms=40))
    build.save()
    address = reverse("build", args=[build.pk])
    assert "upper bounds" not in words(sign_in("vera").get(address))
    build.profile.built_on = "device"
    build.profile.save()
    assert "its latencies are upper bounds" in words(sign_in("vera").get(address))


def test_a_long_history_costs_no_more_queries(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    change(min_agreement=1)
    client.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE)
    for number in range(21, 31):
        change(few_images=number)
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE)
    assert len(many) == len(few), [query["sql"][:100] for query in many.captured_queries]
