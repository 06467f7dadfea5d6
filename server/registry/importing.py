"""What a worker does with one import: look, fetch, join, upload."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ValidationError

from server.lib import blobs, clock
from server.lib.errors import DomainError, TooLarge, Unavailable
from server.lib.fields import NameField
from server.registry import services
from server.registry.inspection import embed_weights
from server.registry.mlflow.catalogue import path_of
from server.registry.mlflow.download import download
from server.registry.mlflow.package import Package, look_into
from server.registry.mlflow.transport import Transport, connect
from server.registry.models import ModelImport, ModelVersion
from server.registry.services import imports

PROGRESS_S = 1.0
MAX_FETCH_S = 3600.0
KEEP_S = 7 * 24 * 3600.0
logger = logging.getLogger(__name__)


def run_import(import_id: Any) -> None:
    """See one import to its end; nothing where it is not queued. May run twice."""
    owner = f"{socket.gethostname()}/{os.getpid()}"
    row = imports.lease_import(import_id=import_id, owner=owner)
    if row is None:
        return
    try:
        version = _brought_before(row) or _bring(row)
        imports.finish_import(row=row, version=version, note=_take_aliases(row, version))
    except DomainError as error:
        _tell_failure(row, error.detail)
    except Exception:
        # What nobody foresaw must not leave a row that runs for ever.
        logger.exception("import %s failed", row.pk)
        _tell_failure(row, "It failed here; the server's log says why.")


def _brought_before(row: ModelImport) -> ModelVersion | None:
    """What an earlier attempt stored before its worker died; the request found no such version."""
    known = row.model.versions.filter(version=row.version_name, created_at__gte=row.created_at)
    return known.filter(source__registry="mlflow", source__name=row.foreign_name).first()


def _bring(row: ModelImport) -> ModelVersion:
    server = connect()
    package = look_into(
        server, row.foreign_name, row.foreign_version, manifest=row.wanted.get("manifest", "")
    )
    limit = settings.ENV.max_model_bytes
    if package.size_bytes > limit:
        raise TooLarge(f"The model has {package.size_bytes} bytes; at most {limit} are taken.")
    folder = _folder_of(package)
    try:
        model = _fetch(row, server, package, folder)
        imports.extend_lease(row=row, step="inspecting")
        return _upload(row, package, model)
    except Unavailable:
        raise  # what has come stays: the next import of this version goes on there
    except DomainError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _upload(row: ModelImport, package: Package, model: Path) -> ModelVersion:
    wanted = row.wanted
    version = services.upload_version(
        model=row.model,
        version=row.version_name,
        manifest=package.manifest,
        notes=wanted.get("notes", ""),
        chunks=_chunks(model),
        max_bytes=settings.ENV.max_model_bytes,
        actor=row.created_by,
        metrics=package.metrics(),
        parent=wanted.get("parent", ""),
        trained_on=wanted.get("trained_on", ""),
        recipe=package.recipe(),
        licence=package.licence(),
        source=package.source(str(settings.ENV.mlflow_url)),
    )
    shutil.rmtree(_folder_of(package), ignore_errors=True)
    return version


def _fetch(row: ModelImport, server: Transport, package: Package, folder: Path) -> Path:
    """The model as one file."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    before, told_at, started_at = 0, 0.0, time.monotonic()
    imports.extend_lease(row=row, step="fetching", bytes_total=package.size_bytes)

    def tell(length: int) -> None:
        nonlocal told_at
        if time.monotonic() - started_at > MAX_FETCH_S:
            raise Unavailable("MLflow needs longer than an hour for this model; try again later.")
        if time.monotonic() - told_at >= PROGRESS_S:
            told_at = time.monotonic()
            imports.extend_lease(row=row, bytes_done=before + length)

    for file in (package.model, *package.weights):
        target = files / file.name
        room = settings.ENV.max_model_bytes - before
        address = path_of(package.folder, file.name)
        download(server, address, target, max_bytes=room, on_bytes=tell)
        before += target.stat().st_size
    imports.extend_lease(row=row, bytes_done=before, bytes_total=before)
    model = files / package.model.name
    return _join(model, folder / "one.onnx") if package.weights else model


def _join(model: Path, whole: Path) -> Path:
    whole.unlink(missing_ok=True)
    embed_weights(model, whole, max_bytes=settings.ENV.max_model_bytes)
    return whole


def _take_aliases(row: ModelImport, version: ModelVersion) -> str:
    """Aliases that it has in MLflow, where they are asked for and name nothing here."""
    if not row.wanted.get("with_aliases"):
        return ""
    names = (version.source or {}).get("aliases", [])
    left = [name[:100] for name in names if not _take_alias(row, version, name)]
    return f"Aliases that name another version here were left: {', '.join(left)}." if left else ""


def _take_alias(row: ModelImport, version: ModelVersion, name: str) -> bool:
    try:
        services.move_alias(
            model=row.model,
            name=NameField().run_validation(name),
            version=version,
            expected=None,
            actor=row.created_by,
            reason=f"Imported with {row.foreign_name} {row.foreign_version} from MLflow.",
        )
    except (DomainError, ValidationError):
        return False
    return True


def forget_downloads(keep_s: float = KEEP_S) -> int:
    """Drop what failed imports left and nobody asked for again; how many."""
    old = clock.now().timestamp() - keep_s
    folders = [path for path in _root().glob("*") if path.stat().st_mtime < old]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return len(folders)


def _tell_failure(row: ModelImport, why: str) -> None:
    try:
        imports.fail_import(row=row, why=why)
    except DomainError as error:
        logger.warning("import %s: %s (%s)", row.pk, error.detail, why)


def _root() -> Path:
    folder: Path = settings.ENV.data / "imports"
    return folder


def _folder_of(package: Package) -> Path:
    """One for the files of a foreign version, so that another try finds what the last one left."""
    return _root() / hashlib.sha256(package.folder.encode()).hexdigest()[:32]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(blobs.CHUNK_BYTES):
            yield chunk
