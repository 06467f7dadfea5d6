"""Log bundles: asked for by a person, sent by the device, kept for a while, forgotten."""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q

from inference_core.contract.telemetry import MAX_LOGS_BYTES, LogsMeta
from server.accounts import audit
from server.datasets.archive import open_archive
from server.fleet.models import Device
from server.fleet.services import announce
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Conflict, Gone, Invalid, NotFound, TooLarge
from server.telemetry.models import LogRequest

KEPT = timedelta(days=14)
"""A bundle lives this long, and so does a request that nobody answers."""
MAX_UNPACKED_BYTES = 256 * 1024 * 1024


@transaction.atomic
def request_logs(*, device: Device, actor: str) -> tuple[LogRequest, bool]:
    """Ask ``device`` for its logs, and whether that is new: one that waits is not asked twice.

    Conflict where the device is not accepted, and could not answer.
    """
    if device.state != DeviceState.ACCEPTED:
        raise Conflict(
            f"Only an accepted device is asked for its logs; this one is {device.state}."
        )
    asked, is_new = LogRequest.objects.get_or_create(
        device=device,
        received_at=None,
        forgotten_at=None,
        defaults={"requested_at": clock.now(), "requested_by": actor},
    )
    if is_new:
        _record(asked, "request_logs", actor)
        announce([device.pk])
    return asked, is_new


def store_logs(*, device: Device, meta: LogsMeta, bundle: UploadedFile) -> bool:
    """Keep what ``device`` was asked for; False for the same bundle again, which changes nothing.

    Raises NotFound where this device was asked for nothing of that name, Gone where nobody waits
    any more, Conflict for a second bundle, TooLarge or Invalid where the bundle is no small ZIP
    of plain files, or not the one that ``meta`` speaks of.
    """
    if not device.log_requests.filter(pk=meta.request).exists():
        raise NotFound("Nobody has asked this device for these logs.")
    _check(meta, bundle)
    with transaction.atomic():
        asked = device.log_requests.select_for_update().get(pk=meta.request)
        if asked.sha256 == meta.sha256:
            return False
        _require_waiting(asked)
        asked.received_at, asked.sha256 = clock.now(), meta.sha256
        asked.length = bundle.size or 0
        # The file before the row: a commit that fails leaves a file that the next try finds.
        if not default_storage.exists(asked.file_name):
            default_storage.save(asked.file_name, bundle)
        asked.save(update_fields=["received_at", "sha256", "length"])
        _record(asked, "send_logs", f"device:{device.serial}")
        announce([device.pk])
    return True


def _require_waiting(asked: LogRequest) -> None:
    if asked.received_at is not None:
        raise Conflict("These logs have been sent already, and they were others.")
    if asked.forgotten_at is not None:
        raise Gone("Nobody waits for these logs any more.")


def _check(meta: LogsMeta, bundle: UploadedFile) -> None:
    if (bundle.size or 0) > MAX_LOGS_BYTES:
        raise TooLarge(f"A log bundle has at most {MAX_LOGS_BYTES} bytes.")
    digest = hashlib.sha256()
    for chunk in bundle.chunks():
        digest.update(chunk)
    if digest.hexdigest() != meta.sha256:
        raise Invalid(f"The bundle has the digest {digest.hexdigest()}, not {meta.sha256}.")
    # People will unpack it: no path leads out of their folder, and none fills their disk.
    open_archive(bundle, max_bytes=MAX_UNPACKED_BYTES, max_ratio=math.inf)
    bundle.seek(0)


def open_logs(*, asked: LogRequest, actor: str) -> IO[bytes]:
    """The bundle as a file, and a line in the audit log: logs may hold what is private.

    NotFound while the device has not sent it, Gone once it is forgotten.
    """
    if asked.forgotten_at is not None:
        raise Gone(f"A log bundle is kept for {KEPT.days} days; ask the device again.")
    if asked.received_at is None:
        raise NotFound("The device has not sent these logs yet.")
    try:
        file = default_storage.open(asked.file_name)
    except FileNotFoundError:
        raise Gone("The file of these logs is no longer there; ask the device again.") from None
    _record(asked, "download_logs", actor)
    return file


def forget_logs() -> int:
    """Drop bundles and unanswered requests that are older than ``KEPT``; returns how many."""
    before = clock.now() - KEPT
    ended = Q(received_at__lt=before) | Q(received_at=None, requested_at__lt=before)
    old = LogRequest.objects.filter(ended, forgotten_at=None)
    return sum(_forget(request_id) for request_id in list(old.values_list("pk", flat=True)))


@transaction.atomic
def _forget(request_id: UUID) -> bool:
    rows = LogRequest.objects.select_for_update().filter(pk=request_id, forgotten_at=None)
    asked = rows.first()
    if asked is None:
        return False
    if asked.received_at is not None:
        default_storage.delete(asked.file_name)
    asked.forgotten_at = clock.now()
    asked.save(update_fields=["forgotten_at"])
    announce([asked.device_id])
    return True


def _record(asked: LogRequest, action: str, actor: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject="device",
        subject_id=str(asked.device_id),
        after={"request": str(asked.pk)},
    )
