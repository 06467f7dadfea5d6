"""Whatever anybody sends to any address: a clear refusal, never a crash, and nothing written.

It walks over the URL configuration, the OpenAPI document, the forms of the pages and the golden
messages of devices, so that what is added to them later is covered by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from server.accounts.models import AuditEntry, User
from server.accounts.services import create_api_token
from server.builds.services import queue_build, take_turn
from server.builds.states import TurnState
from server.fleet.models import Device, HardwareProfile
from server.lib import clock
from server.registry.models import VisionModel
from server.uploads.models import Upload
from server.uploads.services.opening import open_upload
from tests.fleet_ui.world import World, make_world
from tests.server import catalogue
from tests.server.box import FACTS, Box
from tests.server.callers import Caller, check, some
from tests.server.doors import Door, all_doors, openapi, sample
from tests.server.hostile import BODIES, FIELDS, HEADERS, TYPES, WORDS, mutants
from tests.server.rows import model_row, version_row

pytestmark = pytest.mark.django_db(transaction=True)

GOLDEN = Path(__file__).parents[1] / "contract/golden"
MESSAGES = {
    "enrol": "EnrolmentRequest.v3",
    "token": "TokenRequest.v1",
    "certificate": "CertificateRequest.v1",
    "facts": "DeviceFacts.v3",
    "deployments/<uuid:deployment_id>": "Progress.v1",
    "telemetry": "Batch.v1",
    "builds/<int:turn_id>/decline": "BuildReason.v1",
    "builds/<int:turn_id>/return": "BuildReason.v1",
    "builds/<int:turn_id>/progress": "BuildBeat.v1",
    "builds/<int:turn_id>/outcome": "BuildOutcome.v2",
}
FORMS = {"samples": ("SampleMeta.v2", "image"), "logs": ("LogsMeta.v1", "bundle")}
_NAMED = re.compile(r'<(?:input|select|textarea|button)\b[^>]*\bname="([a-z_-]+)"')
_ASKED = re.compile(r"[?&](?:amp;)?([a-z_]+)=")


Values = Callable[[Door], dict[str, Any]]


@pytest.fixture
def world(db: None) -> World:
    made = make_world()
    Device.objects.update(facts=FACTS)
    return made


@pytest.fixture
def admin(world: World, real: Values) -> Caller:
    """An admin with a token, and signed in as well."""
    token = create_api_token(user=world.users["ada"], name="ci", actor="test")
    client = Client(raise_request_exception=False)
    client.force_login(world.users["ada"])
    return _caller(client, {"Authorization": f"Bearer {token}"})


@pytest.fixture
def device(box: Box) -> Caller:
    """An accepted device with its access token."""
    client = Client(raise_request_exception=False)
    return _caller(client, {"Authorization": f"Bearer {box.token}"})


def _caller(client: Client, headers: dict[str, str]) -> Caller:
    return Caller(client, headers, audited=AuditEntry.objects.count())


@pytest.fixture
def real(world: World) -> Values:
    """Values for the parameters of a door that lead to something; of a new one, to nothing."""
    ids: dict[str, Any] = {
        "device_id": world.devices[0].pk,
        "build_id": world.builds["1.0.0 x86-openvino"].pk,
        "comparison_id": world.comparison.pk,
        "picture_id": world.comparison.pictures.first().pk,
        "rollout_id": world.rollout.pk,
        "sample_id": world.sample.pk,
        "upload_id": _upload(world.users["ada"]).pk,
        "site": "dresden",
        "version": "1.0.0",
        "act": "pause",
        "alias": "champion",
    }
    names = {
        "models/": "board-defects",
        "releases/": "board-inspection-1",
        "groups/": world.group.name,
        "profiles/": "x86-openvino",
        "lines/": "front",
    }
    unknown = {"int": 7, "uuid": "77777777-7777-4777-8777-777777777777"}

    def values(door: Door) -> dict[str, Any]:
        name = next((name for part, name in names.items() if part in door.route), "unknown")
        return {
            key: ids.get(key, name if key == "name" else unknown.get(kind, "unknown"))
            for key, kind in door.kinds.items()
        }

    return values


def _upload(owner: User) -> Upload:
    form = {"name": "boards", "version": "7", "purpose": "golden", "notes": ""}
    return open_upload(owner=owner, kind="dataset", form=form, length=1000, actor="test")


def doors_of(*prefixes: str, without: tuple[str, ...] = ()) -> list[Door]:
    return [
        door
        for door in all_doors()
        if door.route.startswith(prefixes) and not door.route.startswith(without or ("/",))
    ]


def wrong_addresses(door: Door, values: dict[str, Any]) -> Iterator[str]:
    """One parameter wrong at a time, and a query that means nothing."""
    for name in door.kinds:
        for word in WORDS:
            yield door.address(values | {name: word})
    address = door.address(values)
    for word in WORDS:
        yield f"{address}?{word}={word}"
    yield f"{address}?" + "&".join(f"a{number}=1" for number in range(300))


def test_wrong_addresses_headers_and_verbs_are_refused_in_words(
    admin: Caller, real: Values
) -> None:
    for number, door in enumerate(doors_of("", without=("sign-out/",))):
        cache.clear()  # attempts are counted there
        values = real(door)
        for address in some(list(wrong_addresses(door, values)), number):
            admin.send(door, "GET", address)
        address = door.address(values)
        for verb in ("HEAD", "OPTIONS", "TRACE", "get"):
            admin.send(door, verb, address)
        for headers in some(HEADERS, number):
            admin.send(door, "GET", address, headers=headers)
    check(admin)


def test_bodies_that_are_none_and_kinds_that_nobody_takes_are_refused_in_words(
    admin: Caller, real: Values
) -> None:
    for number, door in enumerate(doors_of("", without=("sign-out/", "device/"))):
        cache.clear()
        address = door.address(real(door))
        for verb in admin.verbs(door, address):
            for body in some(BODIES, number):
                admin.send(door, verb, address, body=body)
            for kind in some(TYPES, number):
                admin.send(door, verb, address, body=b"a=%00&b=\xff", kind=kind)
    check(admin)


def test_every_field_of_the_api_refuses_what_it_cannot_hold(admin: Caller, real: Values) -> None:
    schema = openapi()
    for door in doors_of("api/v1/"):
        cache.clear()
        address = door.address(real(door))
        for verb, body in door.bodies(schema).items():
            for text in some(list(mutants(sample(body, schema))), 0):
                admin.send(door, verb.upper(), address, body=text)
        for number, word in enumerate(_parameters(door, schema)):
            for value in some(WORDS, number):
                admin.send(door, "GET", f"{address}?{word}={value}")
    check(admin)


def _parameters(door: Door, schema: Any) -> list[str]:
    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", door.route)
    found = schema["paths"].get(path, {}).get("get", {}).get("parameters", [])
    return [parameter["name"] for parameter in found if parameter["in"] == "query"]


def test_every_form_and_filter_of_the_pages_refuses_what_it_cannot_hold(
    admin: Caller, world: World, real: Values
) -> None:
    pages = doors_of("", without=("api/", "device/", "sign-out/"))
    shown = [admin.send(door, "GET", door.address(real(door))) for door in pages]
    text = "".join(page.content.decode() for page in shown if not page.streaming)
    fields, asked = sorted(set(_NAMED.findall(text))), sorted(set(_ASKED.findall(text)))
    for door in pages:
        admin.client.force_login(world.users["ada"])
        cache.clear()
        address = door.address(real(door))
        for number, word in enumerate(asked):
            for value in some(WORDS, number):
                admin.send(door, "GET", f"{address}?{word}={value}")
        if "POST" in admin.verbs(door, address):
            for value in FIELDS:
                _post(admin, door, address, dict.fromkeys(fields, value))
    check(admin)


def _post(caller: Caller, door: Door, address: str, form: dict[str, str], **files: str) -> None:
    heads = {f'name="{name}"': value for name, value in form.items()}
    heads |= {f'name="{name}"; filename="a\\"/../b"': value for name, value in files.items()}
    parts = [
        f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"
        for head, value in heads.items()
    ]
    body = ("".join(parts) + "--x--\r\n").encode()
    caller.send(door, "POST", address, body=body, kind="multipart/form-data; boundary=x")


def test_devices_are_refused_in_words_and_what_is_taken_can_be_looked_at(
    device: Caller, box: Box
) -> None:
    for door in doors_of("device/v1/"):
        ids = {"turn_id": _turn(box), "deployment_id": str(box.device_id)}
        device.audited = AuditEntry.objects.count()
        address = door.address({name: ids.get(name, 7) for name in door.kinds})
        path = door.route.removeprefix("device/v1/")
        for verb in device.verbs(door, address):
            for body in BODIES:
                device.send(door, verb, address, body=body)
            for kind in TYPES:
                device.send(door, verb, address, body=b"x", kind=kind)
            for body in some(list(mutants(_message(path))), 0):
                cache.clear()
                device.send(door, verb, address, body=body)
        if path in FORMS:
            message, file = FORMS[path]
            for body in some(list(mutants(_golden(message))), 0):
                _post(device, door, address, {"meta": body.decode()}, **{file: "PK\x05\x06"})
    _look_at(device, box)
    check(device)


def _turn(box: Box) -> int:
    """The device's own lease of a build; another one where the last came to its end."""
    model = VisionModel.objects.first() or model_row("defects")
    manifest = json.loads(catalogue.manifest_json())
    version = model.versions.first() or version_row(model, manifest_body=manifest)
    profile = HardwareProfile.objects.get(name="x86-onnxruntime")
    build = queue_build(version=version, profile=profile, actor="test", again=True, reason="more")
    turn = build.turns.exclude(state=TurnState.ENDED).first()
    turn = turn or build.turns.create(device=box.device, offered_at=clock.now())
    take_turn(turn=turn)
    return int(turn.pk)


def _look_at(caller: Caller, box: Box) -> None:
    """Every address about a device, as its admin sees it."""
    caller.client.force_login(User.objects.create_superuser("root"))
    caller.headers = {}
    for door in all_doors():
        if set(door.kinds) == {"device_id"} and not door.route.startswith("device/"):
            answer = caller.send(door, "GET", door.address({"device_id": box.device_id}))
            assert answer.status_code in (200, 405)


def test_a_report_that_is_none_is_refused_in_words(device: Caller) -> None:
    door = Door("device/v1/goal")
    for report in mutants(_golden("Report.v3")):
        device.send(
            door, "GET", "/device/v1/goal", headers={"Linewarden-Report": report.decode()[:4000]}
        )
    check(device)


def _message(path: str) -> Any:
    return _golden(MESSAGES[path]) if path in MESSAGES else {"a": 1}


def _golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())
