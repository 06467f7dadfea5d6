"""Sampled frames: checked by digest and header, stored once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from server.device_gateway import views
from server.lib import blobs
from server.review.models import Sample
from tests.server.box import Box

pytestmark = pytest.mark.django_db


def jpeg(seed: int = 1) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    done, encoded = cv2.imencode(".jpg", picture)
    assert done
    return encoded.tobytes()


def meta(image: bytes, **changes: Any) -> dict[str, Any]:
    result = {
        "camera": "top",
        "sequence": 7,
        "source": "board.jpg",
        "captured_at": "2026-11-22T10:00:00+00:00",
        "width": 64,
        "height": 48,
        "verdict": "fail",
        "reasons": ["scratched"],
        "stages": [],
        "latency_ms": 12.5,
        "budget_ms": 100.0,
    }
    return {
        "sha256": hashlib.sha256(image).hexdigest(),
        "release_sha256": "c" * 64,
        "inclusion_probability": 0.25,
        "result": result,
    } | changes


def test_a_sample_is_stored_with_its_probability(box: Box) -> None:
    image = jpeg()
    assert box.send_sample(meta(image), image).status_code == 201
    sample = Sample.objects.get()
    assert (sample.camera, sample.verdict, sample.inclusion_probability) == ("top", "fail", 0.25)
    assert blobs.read(sample.image_sha256) == image


def test_a_repeat_is_free(box: Box) -> None:
    image = jpeg()
    box.send_sample(meta(image), image)
    assert box.send_sample(meta(image), image).status_code == 200
    assert Sample.objects.count() == 1


def test_an_image_of_another_digest_is_refused(box: Box) -> None:
    image = jpeg()
    answer = box.send_sample(meta(jpeg(2)), image)
    assert answer.status_code == 422
    assert hashlib.sha256(image).hexdigest() in answer.json()["detail"]
    assert not Sample.objects.exists()


def test_what_is_no_jpeg_is_refused(box: Box) -> None:
    giant = bytearray(jpeg())
    frame = giant.index(b"\xff\xc0")
    giant[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    for image in (b"GIF89a", b"\xff\xd8", jpeg()[:20], b"\xff\xd8\xff\xd9", bytes(giant)):
        answer = box.send_sample(meta(image), image)
        assert answer.status_code == 422
        assert "JPEG" in answer.json()["detail"]
    assert not Sample.objects.exists()


def test_a_giant_is_refused_before_it_is_read(box: Box) -> None:
    image = jpeg() + b"\0" * (9 * 1024 * 1024)
    answer = box.send_sample(meta(image), image)
    assert answer.status_code == 413


def test_an_image_just_above_the_limit_is_refused(box: Box) -> None:
    image = jpeg() + b"\0" * (8 * 1024 * 1024)
    assert box.send_sample(meta(image), image).status_code == 413


def test_a_form_without_its_parts_is_refused(box: Box) -> None:
    image = SimpleUploadedFile("x.jpg", jpeg(), "image/jpeg")
    for form in ({}, {"meta": "{}"}, {"image": image}, {"meta": "{", "image": image}):
        image.seek(0)
        answer = box.client.post("/device/v1/samples", form, headers=box._headers())
        assert answer.status_code == 422
    long = {"meta": "x" * (views.MAX_META_CHARS + 1), "image": image}
    answer = box.client.post("/device/v1/samples", long, headers=box._headers())
    assert answer.status_code == 422


def test_a_nul_in_the_words_is_refused_and_not_a_crash(box: Box) -> None:
    image = jpeg()
    body = meta(image)
    body["result"]["reasons"] = ["bad\0word"]
    assert "\\u0000" in json.dumps(body)
    assert box.send_sample(body, image).status_code == 422


def test_something_else_than_a_form_is_415(box: Box) -> None:
    assert box.post("samples", {}).status_code == 415
