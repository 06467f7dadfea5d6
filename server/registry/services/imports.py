"""Imports: asked for, leased by a worker, and ended with a version or with a reason."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError

from server.accounts import audit
from server.accounts.actors import SYSTEM
from server.config.celery import app
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.lib.fields import SLUG_PATTERN
from server.lib.leases import Leases
from server.lib.states import move
from server.registry.models import ModelImport, ModelVersion, VisionModel
from server.registry.services import lineage
from server.registry.states import IMPORT, MAX_ATTEMPTS, ImportState

LEASE_S = 600.0
"""Longer than an inspection may take, in which nothing is heard of its worker."""
LEASES = Leases(
    IMPORT, ModelImport, waiting=ImportState.QUEUED, held=ImportState.RUNNING, lease_s=LEASE_S
)
MAX_OPEN = 1000
RESEND_AFTER_S = 60
NUMBER = re.compile(r"[0-9]{1,9}|@[^/\s]{1,99}")
RUN_IMPORT = "server.registry.tasks.run_import"
logger = logging.getLogger(__name__)


def request_import(
    *,
    model: VisionModel,
    version: str,
    foreign_name: str,
    foreign_version: str,
    actor: str,
    wanted: dict[str, Any] | None = None,
) -> ModelImport:
    """Ask for a version out of MLflow; a worker sees to it. ``wanted`` are fields of the upload.

    Raises Conflict where the version is there, or on its way, already, Invalid where the fields
    are wrong or too much waits.
    """
    if not NUMBER.fullmatch(foreign_version) or not re.fullmatch(SLUG_PATTERN, version):
        raise Invalid(
            "A version in MLflow is its number, or @ and an alias; here it has lower-case letters "
            "and digits, with single . _ or - between them."
        )
    if not foreign_name:
        raise Invalid("Name the registered model in MLflow.")
    fields = {name: value for name, value in (wanted or {}).items() if value}
    lineage.find_parent(model, fields.get("parent", ""))
    lineage.find_training_set(fields.get("trained_on", ""))
    if model.versions.filter(version=version).exists():
        raise Conflict(f"{model.name} has a version {version!r}; versions never change.")
    if ModelImport.objects.filter(state__in=IMPORT.open).count() >= MAX_OPEN:
        raise Invalid(f"{MAX_OPEN} imports wait already; let them end first.")
    try:
        return _create(
            actor,
            model=model,
            version_name=version,
            foreign_name=foreign_name,
            foreign_version=foreign_version,
            wanted=fields,
        )
    except IntegrityError:
        raise Conflict(f"An import of {model.name} {version} is on its way already.") from None


def lease_import(*, import_id: Any, owner: str) -> ModelImport | None:
    """Take a queued import; None where it is not queued, or another one runs: one at a time."""
    waiting = ModelImport.objects.select_related("model__golden", "model__calibration")
    row = waiting.filter(pk=import_id, state=ImportState.QUEUED).first()
    if row is None:
        return None
    try:
        is_taken = LEASES.take(row, owner, step="looking")
    except IntegrityError:  # another one runs
        is_taken = False
    if not is_taken:
        cache.delete(_key(row.pk))  # the next sweep may tell a worker again
    return row if is_taken else None


def extend_lease(*, row: ModelImport, **progress: Any) -> None:
    """Store progress; Conflict where the import is no longer this worker's."""
    if not LEASES.extend(row, row.lease_owner, **progress):
        raise Conflict("The import was taken from this worker, which was not heard of in time.")


def finish_import(*, row: ModelImport, version: ModelVersion, note: str = "") -> None:
    """It has become ``version``."""
    _end(row, ImportState.SUCCEEDED, note, version=version, step="done")


def fail_import(*, row: ModelImport, why: str) -> None:
    """It ended without a version, for a reason that a person can act on."""
    _end(row, ImportState.FAILED, why)


def resend_imports() -> None:
    """Messages that were lost, or came while another import ran."""
    waiting = ModelImport.objects.filter(state=ImportState.QUEUED).order_by("created_at")
    first = waiting.values_list("pk", flat=True).first()
    if first and not ModelImport.objects.filter(state=ImportState.RUNNING).exists():
        send_import(first)


def send_import(import_id: UUID) -> None:
    """Tell a worker, unless it was told a moment ago; where that fails, the row waits."""
    key = _key(import_id)
    if not cache.add(key, 1, RESEND_AFTER_S):
        return
    try:
        app.send_task(RUN_IMPORT, args=[str(import_id)], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("import %s could not be sent: %s", import_id, error)
        cache.delete(key)


def _key(import_id: UUID) -> str:
    return f"sent:import:{import_id}"


def expire_imports() -> int:
    """Take back imports whose worker was not heard of in time; how many."""
    return len(LEASES.expire(_take_back))


def _take_back(row: ModelImport, why: str) -> None:
    if row.attempts < MAX_ATTEMPTS:
        LEASES.put_back(row, why, actor=SYSTEM)
        return
    fail_import(row=row, why=f"Given up after {row.attempts} attempts. {why}")


@transaction.atomic
def _end(row: ModelImport, state: ImportState, why: str, **changes: Any) -> None:
    """Conflict where it was taken from this worker meanwhile."""
    LEASES.lock(row, row.lease_owner)
    actor, why = row.lease_owner or SYSTEM, why[:2000]
    changes |= {"lease_owner": "", "lease_expires_at": None, "finished_at": clock.now()}
    move(IMPORT, row, state, actor=actor, reason=why, **changes)
    ModelImport.objects.filter(pk=row.pk).update(reason=why)
    row.reason = why


@transaction.atomic
def _create(actor: str, **fields: Any) -> ModelImport:
    row = ModelImport.objects.create(**fields, created_at=clock.now(), created_by=actor)
    audit.record(
        actor=actor,
        action="import",
        subject="model_version",
        subject_id=f"{row.model.name}/{row.version_name}",
        after={"from": f"mlflow:{row.foreign_name}/{row.foreign_version}"},
    )
    transaction.on_commit(partial(send_import, row.pk))
    return row
