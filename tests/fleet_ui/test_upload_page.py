"""The upload form without JavaScript: rights, limits, and a protected door."""

from __future__ import annotations

from collections.abc import Callable

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from server.registry.models import ModelVersion
from tests.fleet_ui.world import World
from tests.server.catalogue import manifest_json, onnx_bytes

SignIn = Callable[[str], Client]
ADDRESS = reverse("upload-version", args=["board-defects"])


def form(**changes: object) -> dict[str, object]:
    return {
        "version": "3.0.0",
        "notes": "By hand.",
        "manifest": SimpleUploadedFile("manifest.json", manifest_json().encode()),
        "file": SimpleUploadedFile("model.onnx", onnx_bytes()),
        **changes,
    }


def test_only_who_releases_may_upload(world: World, sign_in: SignIn, client: Client) -> None:
    assert client.post(ADDRESS, form()).status_code == 302
    viewer = sign_in("vera")
    assert viewer.get(ADDRESS).status_code == 403
    assert viewer.post(ADDRESS, form()).status_code == 403
    assert "Upload a version" not in viewer.get("/models/board-defects/").content.decode()
    assert sign_in("ada").get(reverse("upload-version", args=["unknown"])).status_code == 404
    assert not ModelVersion.objects.filter(version="3.0.0").exists()


def test_a_form_of_another_site_is_refused(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["ada"])
    assert client.post(ADDRESS, form()).status_code == 403


def test_a_good_form_leads_to_the_version(world: World, sign_in: SignIn) -> None:
    answer = sign_in("ada").post(ADDRESS, form())
    assert answer["Location"] == "/models/board-defects/?version=3.0.0"
    assert ModelVersion.objects.get(version="3.0.0").notes == "By hand."


def test_what_is_wrong_is_said_and_what_was_written_is_kept(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    wrong = [
        (form(version="1.0.0"), 409, "has a version"),
        (form(version="No Good"), 422, "Version: "),
        (form(manifest=SimpleUploadedFile("m.json", b"\xff")), 422, "no text"),
        (form(file=""), 422, "Choose the ONNX file"),
        (form(parent="9.9.9"), 422, "9.9.9"),
        (form(file=SimpleUploadedFile("model.onnx", b"junk")), 422, "refused"),
    ]
    for fields, status, words in wrong:
        answer = client.post(ADDRESS, fields)
        body = answer.content.decode()
        assert answer.status_code == status, body
        assert words in body
        assert "By hand." in body


def test_a_file_that_is_too_large_is_not_read(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    answer = client.post(ADDRESS, form(), headers={"Content-Length": str(600 * 1024 * 1024)})
    assert answer.status_code == 302
    assert "too large" in client.get(ADDRESS).content.decode()
