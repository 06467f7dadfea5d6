"""The pages of datasets: what is in them, who uses them, and what stands in their way."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from server.datasets.models import DatasetItem, DatasetVersion
from tests.fleet_ui.test_pages import text_of, text_of_answer
from tests.fleet_ui.world import World
from tests.server.archives import board_files, pack

SignIn = Callable[[str], Client]
ADDRESS = "/datasets/upload/"


def form(files: dict[str, bytes] | None = None, **changes: object) -> dict[str, object]:
    zipped = pack(board_files(range(3)) if files is None else files).getvalue()
    return {
        "name": "boards-night",
        "version": "1",
        "purpose": "calibration",
        "notes": "From the night shift.",
        "file": SimpleUploadedFile("boards.zip", zipped),
        **changes,
    }


def test_the_list_says_purpose_images_labels_and_users(world: World, sign_in: SignIn) -> None:
    text = text_of(sign_in("vera"), reverse("datasets"))
    assert "boards-golden 1 Golden 32 not counted 1 9.4 MB" in text, "its labels are not stored"
    assert "boards-evening 1 Golden 8 " in text
    assert "scratch" in text
    assert "2 images have no label" in text
    only = text_of(sign_in("vera"), reverse("datasets") + "?purpose=training")
    assert "boards-learnt" in only
    assert "boards-evening" not in only
    assert "Upload a dataset" not in text


def test_a_set_that_judges_and_teaches_the_same_images_is_told_of(
    world: World, sign_in: SignIn
) -> None:
    text = text_of(sign_in("vera"), reverse("dataset", args=["boards-evening", "1"]))
    assert "2 images in common with the training set boards-learnt 1" in text
    assert "2 of 8 images without a label judge nothing" in text
    assert "No model rests on it yet." in text
    used = text_of(sign_in("vera"), reverse("dataset", args=["boards-golden", "1"]))
    assert "Judges board-defects" in used
    assert "2 comparisons ran on it" in used
    assert "in common" not in used


def test_pictures_are_shown_where_they_are_small(world: World, sign_in: SignIn) -> None:
    client, address = sign_in("vera"), reverse("dataset", args=["boards-evening", "1"])
    assert client.get(address).content.decode().count("<img") == 8
    DatasetVersion.objects.filter(name="boards-evening").update(length=80_000_000)
    assert "<img" not in client.get(address).content.decode()
    foreign = DatasetItem.objects.filter(dataset__name="boards-learnt").first()
    picture = reverse("dataset-picture", args=["boards-evening", "1", foreign.pk])
    assert client.get(picture).status_code == 404


def test_a_good_zip_leads_to_its_dataset_and_the_overlap_is_told_there(
    world: World, sign_in: SignIn
) -> None:
    client = sign_in("ada")
    first = client.post(ADDRESS, form())
    assert first["Location"] == "/datasets/boards-night/1/"
    second = form(board_files(range(2, 5)), name="boards-judge", purpose="golden")
    told = text_of_answer(client.post(ADDRESS, second, follow=True))
    assert "boards-judge 1 is here." in told
    assert "1 image in common with the calibration set boards-night 1" in told


def folder(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"boards/{name}": content for name, content in files.items()}


def wrong_forms() -> list[tuple[dict[str, object], int, str]]:
    return [
        (form(folder(board_files(range(2)))), 422, "It lies in boards: pack what is in"),
        (form({"a.jpg": b"x"}), 422, "Add it: a line of JSON for each image"),
        (form(board_files(range(2)) | {"b.png": b"x"}), 422, "Give it a line, even one without"),
        (
            form({"labels.jsonl": json.dumps({"image": "a.jpg"}).encode()}),
            422,
            "Add it, or take its line out",
        ),
        (form(file=SimpleUploadedFile("a.zip", b"junk")), 422, "no zip archive"),
        (form(file=""), 422, "Choose the zip."),
        (form(purpose=""), 422, "Purpose: "),
        (form(name="No Good"), 422, "Name: "),
        (form(name="boards-golden"), 409, "versions never change"),
    ]


def test_what_is_wrong_is_said_with_what_to_do_and_what_was_written_is_kept(
    world: World, sign_in: SignIn
) -> None:
    client = sign_in("ada")
    for wrong, status, words in wrong_forms():
        answer = client.post(ADDRESS, wrong)
        body = answer.content.decode()
        assert answer.status_code == status, body
        assert words in body
        assert "From the night shift." in body


def test_only_who_releases_may_upload_and_only_from_our_own_form(
    world: World, sign_in: SignIn
) -> None:
    viewer = sign_in("vera")
    assert viewer.get(ADDRESS).status_code == 403
    assert viewer.post(ADDRESS, form()).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.users["ada"])
    assert strict.post(ADDRESS, form()).status_code == 403
    assert not DatasetVersion.objects.filter(name="boards-night").exists()


def test_a_zip_that_is_too_large_is_not_read(world: World, sign_in: SignIn) -> None:
    client = sign_in("ada")
    answer = client.post(ADDRESS, form(), headers={"Content-Length": str(2 * 1024**3)})
    assert answer.status_code == 302
    assert "too large" in client.get(ADDRESS).content.decode()
