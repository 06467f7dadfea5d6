"""Samples come in: checked, stored by content, written once."""

from __future__ import annotations

import hashlib
from datetime import UTC

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from pydantic_core import from_json

from inference_core.contract.telemetry import MAX_SAMPLE_BYTES, SampleMeta
from server.fleet.models import Device
from server.lib import blobs, clock
from server.lib.errors import Invalid, TooLarge
from server.review.models import Sample
from server.review.pictures import jpeg_size


def store_sample(*, device: Device, meta: SampleMeta, image: UploadedFile) -> bool:
    """Keep a sampled frame; False where this device sent it before, which changes nothing.

    Raises TooLarge, or Invalid where the image is not the one that ``meta`` speaks of.
    """
    captured_at = meta.result.captured_at
    if captured_at.tzinfo is None:
        captured_at = captured_at.replace(tzinfo=UTC)
    _check(meta, image)
    # The blob first: a row without its image would be a lie, a blob without a row is only space.
    blob = blobs.put(image.chunks(), max_bytes=MAX_SAMPLE_BYTES)
    with transaction.atomic():
        _, is_new = Sample.objects.get_or_create(
            device=device,
            image_sha256=blob.sha256,
            captured_at=captured_at,
            defaults={
                "camera": meta.result.camera,
                "release_sha256": meta.release_sha256,
                "inclusion_probability": meta.inclusion_probability,
                "reason": meta.reason,
                "verdict": str(meta.result.verdict),
                "result": from_json(meta.result.to_json()),
                "received_at": clock.now(),
            },
        )
    return is_new


def _check(meta: SampleMeta, image: UploadedFile) -> None:
    if (image.size or 0) > MAX_SAMPLE_BYTES:
        raise TooLarge(f"A sample has at most {MAX_SAMPLE_BYTES} bytes.")
    if len(meta.result.camera) > 100:
        raise Invalid("The name of the camera is longer than 100 characters.")
    digest = hashlib.sha256()
    for chunk in image.chunks():
        digest.update(chunk)
    if digest.hexdigest() != meta.sha256:
        raise Invalid(f"The image has the digest {digest.hexdigest()}, not {meta.sha256}.")
    image.seek(0)
    jpeg_size(image)
    image.seek(0)
