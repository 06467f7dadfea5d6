"""One attempt at a comparison: lease it, run the child, record what came of it."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import OperationalError
from pydantic import ValidationError

from inference_core.contract.compare import (
    COMPARE_EVENT,
    ComparedPicture,
    CompareJob,
    CompareOutcome,
    CompareProgress,
    CompareSide,
)
from server.builds.attempts import child_limits, describe_ending
from server.comparisons import dispatch, services
from server.comparisons.models import Comparison
from server.datasets.selectors import materialise
from server.lib import blobs
from server.lib.children import Ending, run_core
from server.lib.errors import Conflict
from server.registry.models import ModelVersion

MAX_PICTURES_BYTES = 1024**3
STORE_S = 1.0
logger = logging.getLogger(__name__)


def run_comparison(comparison_id: int) -> None:
    """Try a queued comparison once. Does nothing where it is not queued, or others run."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    row = services.lease_comparison(comparison_id=comparison_id, owner=owner)
    if row is None:
        dispatch.forget(comparison_id)  # where another one runs, its turn comes
        return
    try:
        _try(row, owner)
    except Conflict as lost:
        logger.warning("comparison %s: %s", row.pk, lost.detail)


def _try(row: Comparison, owner: str) -> None:
    try:
        _attempt(row, owner)
    except OSError as error:
        logger.exception("comparison %s: the attempt failed", row.pk)
        why = f"The worker could not read or write its files: {error}."
        services.give_up(comparison=row, owner=owner, why=why, is_final=False)


def _attempt(row: Comparison, owner: str) -> None:
    monitor = _Monitor(row, owner)
    with tempfile.TemporaryDirectory(prefix="linewarden-compare-") as name:
        folder = Path(name)
        done = run_core(
            ["compare", "--job", str(_prepare(row, folder))],
            timeout_s=settings.ENV.build_timeout_s,
            limits=child_limits(file_bytes=MAX_PICTURES_BYTES),
            on_line=monitor.on_line,
            cancelled=monitor.is_lost,
        )
        outcome = monitor.outcome
        if done.ending is Ending.ITSELF and outcome is not None and outcome.figures is not None:
            services.record_figures(
                comparison=row,
                owner=owner,
                figures=outcome.figures,
                pictures=_read(folder / "pictures.jsonl"),
            )
            return
    is_final = outcome is not None or done.ending in {Ending.TIMEOUT, Ending.OUTPUT}
    why = outcome.reason if outcome is not None else describe_ending("comparison", done)
    services.give_up(comparison=row, owner=owner, why=why, is_final=is_final)


def _prepare(row: Comparison, folder: Path) -> Path:
    """Lay out all that the child needs, and nothing else; returns the job file."""
    materialise(row.dataset, folder / "dataset")
    job = CompareJob(
        a=_side(row.a, folder / "a.onnx"),
        b=_side(row.b, folder / "b.onnx"),
        dataset_dir=str(folder / "dataset"),
        dataset_sha256=row.dataset.sha256,
        pictures_path=str(folder / "pictures.jsonl"),
    )
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    return path


def _side(version: ModelVersion, path: Path) -> CompareSide:
    blobs.copy(version.sha256, path)
    return CompareSide(
        model_path=str(path), source_sha256=version.sha256, manifest=version.manifest
    )


def _read(path: Path) -> Iterator[ComparedPicture]:
    with path.open("rb") as file:
        for line in file:
            yield ComparedPicture.model_validate_json(line)


class _Monitor:
    """Given to ``run_core``: lines become progress, and the lease lives as long as the child."""

    def __init__(self, row: Comparison, owner: str) -> None:
        self._row, self._owner = row, owner
        self._share, self._stored_at = 0.0, time.monotonic()
        self._held_at = self._stored_at
        self.outcome: CompareOutcome | None = None

    def on_line(self, line: str) -> None:
        """Take an event; what is none is left."""
        try:
            event = COMPARE_EVENT.validate_json(line)
        except ValidationError:
            logger.warning("comparison %s: %s", self._row.pk, line[:300])
            return
        if isinstance(event, CompareProgress):
            self._share = event.share
        else:
            self.outcome = event

    def is_lost(self) -> bool:
        """Store the progress and extend the lease; True where it is somebody else's by now."""
        now = time.monotonic()
        if now - self._stored_at < STORE_S:
            return False
        self._stored_at = now
        try:
            is_held = services.extend_lease(
                comparison=self._row, owner=self._owner, share=self._share
            )
        except OperationalError as error:
            logger.warning("comparison %s: no lease extended: %s", self._row.pk, error)
            return now - self._held_at > services.LEASE_S
        self._held_at = now
        return not is_held
