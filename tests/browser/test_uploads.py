"""Uploading in a real browser: progress, a line that breaks, and a page that is left."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from playwright.sync_api import Page, Route, expect

from server.registry.models import ModelVersion
from server.uploads.models import Upload
from server.uploads.services import inspect_upload
from tests.browser.test_dashboard import take_picture
from tests.core.onnx_models import brightness_manifest, brightness_model
from tests.fleet_ui.world import World

pytestmark = pytest.mark.chromium
ADDRESS, DATASETS = "/models/board-defects/upload/", "/datasets/upload/"
UPLOADS = "**/api/v1/uploads/*"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A model of three pieces, and its manifest."""
    model, manifest = tmp_path / "heavy.onnx", tmp_path / "manifest.json"
    graph = brightness_model()
    weight = np.random.default_rng(1).random(2_300_000).astype(np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weight, "ballast"))
    model.write_bytes(graph.SerializeToString())
    manifest.write_bytes(brightness_manifest().to_json())
    return model, manifest


def fill(page: Page, files: tuple[Path, Path], version: str) -> None:
    page.get_by_label("ONNX file").set_input_files(files[0])
    page.get_by_label("Manifest").set_input_files(files[1])
    page.get_by_label("Version", exact=True).fill(version)
    page.get_by_label("Notes").fill("From the night shift.")


def break_the_line(page: Page) -> list[int]:
    """Let one piece through; the offsets that were tried."""
    sent: list[int] = []

    def judge(route: Route) -> None:
        if route.request.method != "PATCH":
            return route.continue_()
        sent.append(int(route.request.headers["upload-offset"]))
        return route.continue_() if len(sent) == 1 else route.abort()

    page.route(UPLOADS, judge)
    return sent


def test_an_upload_goes_on_after_the_line_and_the_page_were_gone(
    page: Page, world: World, files: tuple[Path, Path]
) -> None:
    """The console is not asked: a browser writes each broken request into it."""
    sent = break_the_line(page)
    page.goto(ADDRESS)
    fill(page, files, "2.0.0")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The upload goes on by itself")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    take_picture(page, "light upload cut off")
    upload = Upload.objects.get()
    assert upload.received == 4 * 1024 * 1024 == sent[1]

    page.unroute(UPLOADS)
    page.goto(ADDRESS)
    expect(page.get_by_text("Choose the same file again to go on")).to_be_visible()
    page.get_by_label("ONNX file").set_input_files(files[0])
    expect(page.get_by_label("Version", exact=True)).to_have_value("2.0.0")
    take_picture(page, "light upload resumed")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("waits for its inspection")).to_be_visible()
    inspect_upload(upload_id=upload.pk)
    expect(page.get_by_role("link", name="Version 2.0.0")).to_be_focused()
    take_picture(page, "light upload done")
    page.keyboard.press("Enter")
    expect(page.get_by_text("version 2.0.0")).to_be_visible()
    version = ModelVersion.objects.get(version="2.0.0")
    assert (version.length, version.notes) == (files[0].stat().st_size, "From the night shift.")
    assert Upload.objects.count() == 1


def test_what_the_inspection_refuses_is_told_and_the_form_is_kept(
    page: Page, world: World, files: tuple[Path, Path], problems: list[str]
) -> None:
    files[0].write_bytes(b"no model")
    page.goto(ADDRESS)
    fill(page, files, "2.0.1")
    page.get_by_label("Version", exact=True).press("Enter")
    expect(page.get_by_text("waits for its inspection")).to_be_visible()
    inspect_upload(upload_id=Upload.objects.get().pk)
    expect(page.get_by_role("status").last).to_contain_text("The model is refused")
    expect(page.get_by_label("Notes")).to_have_value("From the night shift.")
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    assert problems == []


def test_without_javascript_the_form_uploads_all_the_same(
    page: Page, world: World, files: tuple[Path, Path]
) -> None:
    page.route("**/upload.js", lambda route: route.abort())
    page.goto(ADDRESS)
    fill(page, files, "2.0.2")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("board-defects 2.0.2 is here")).to_be_visible(timeout=30_000)
    assert not Upload.objects.exists()


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """A zip of two pieces, with the labels of one class."""
    noise = np.random.default_rng(2).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    files = {f"{turn}.png": cv2.imencode(".png", np.rot90(noise, turn))[1] for turn in range(2)}
    lines = [json.dumps({"image": name, "label": "noise"}) for name in files]
    path = tmp_path / "boards.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.jsonl", "\n".join(lines))
        for name, content in files.items():
            archive.writestr(name, content.tobytes())
    return path


def fill_dataset(page: Page, boards: Path, version: str) -> None:
    page.get_by_label("Zip").set_input_files(boards)
    page.get_by_label("Dataset", exact=True).fill("boards-night")
    page.get_by_label("Version", exact=True).fill(version)
    page.get_by_label("Purpose").select_option("calibration")
    page.get_by_label("Where the pictures come from").fill("Noise. CC0-1.0")


def test_a_dataset_goes_on_after_the_line_and_the_page_were_gone(
    page: Page, world: World, boards: Path
) -> None:
    break_the_line(page)
    page.goto(DATASETS)
    fill_dataset(page, boards, "1")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The upload goes on by itself")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    take_picture(page, "light dataset upload cut off")
    upload = Upload.objects.get()
    assert upload.received == 4 * 1024 * 1024

    page.unroute(UPLOADS)
    page.goto(DATASETS)
    page.get_by_label("Zip").set_input_files(boards)
    expect(page.get_by_label("Dataset", exact=True)).to_have_value("boards-night")
    expect(page.get_by_label("Purpose")).to_have_value("calibration")
    expect(page.get_by_label("Purpose")).to_be_disabled()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("waits for its inspection")).to_be_visible()
    inspect_upload(upload_id=upload.pk)
    expect(page.get_by_role("link", name="boards-night 1")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("boards-night 1")
    expect(page.get_by_text("noise 2")).to_be_visible()
    assert Upload.objects.count() == 1


def test_what_is_wrong_with_a_dataset_is_told_with_what_to_do(
    page: Page, world: World, boards: Path, problems: list[str]
) -> None:
    with zipfile.ZipFile(boards, "w") as archive:
        archive.writestr("boards/labels.jsonl", "{}")
    page.goto(DATASETS)
    fill_dataset(page, boards, "2")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("waits for its inspection")).to_be_visible()
    inspect_upload(upload_id=Upload.objects.get().pk)
    told = page.get_by_role("status").last
    expect(told).to_contain_text("It lies in boards: pack what is in that folder")
    take_picture(page, "light dataset upload refused")
    expect(page.get_by_label("Version", exact=True)).to_have_value("2")
    expect(page.get_by_label("Purpose")).to_be_enabled()
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    assert problems == []
