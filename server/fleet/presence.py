"""When devices were last seen: changes are written at once, idle polls together.

An idle poll costs a dictionary entry. A thread, started by the first of them, writes what came
in within ``FLUSH_S`` by one statement; a crash loses that much of ``last_seen_at`` and nothing
else.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction

from inference_core.contract.device import Report
from server.fleet import clones, runs
from server.fleet.models import Device, Presence
from server.fleet.states import DeviceState
from server.lib import clock

FLUSH_S = 5.0
_CHUNK = 10_000
_WRITTEN = (
    "last_seen_at",
    "boot_id",
    "previous_boot_id",
    "cloned_at",
    "generation",
    "running_sha256",
    "agent_version",
    "shadow_sha256",
    "variant",
    "may_build",
)
_lock = threading.Lock()
_seen: dict[str, datetime] = {}
_flusher: _Flusher | None = None
logger = logging.getLogger(__name__)


@transaction.atomic
def write(*, device: Device, report: Report) -> None:
    """Store what a device says of itself, now; ``device`` comes with its presence so far."""
    known: Presence | None = getattr(device, "presence", None)
    _tell_of_variant(device, known, report.variant or "")
    row = Presence(
        device_id=device.pk,
        last_seen_at=clock.now(),
        boot_id=report.boot_id,
        previous_boot_id=clones.boot_before(known, report.boot_id),
        cloned_at=clones.noticed_at(known, report.boot_id),
        generation=report.generation,
        running_sha256=report.running_sha256 or "",
        agent_version=report.agent_version[:40],
        shadow_sha256=report.shadow_sha256 or "",
        variant=report.variant or "",
        may_build=report.may_build,
    )
    Presence.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["device"], update_fields=_WRITTEN
    )
    runs.follow(device=device, known=known, running_sha256=row.running_sha256, now=row.last_seen_at)
    clones.tell(device, known, row)


def _tell_of_variant(device: Device, known: Presence | None, said: str) -> None:
    """Log the edges: a device that takes itself for another arm spoils two of them."""
    before = known.variant if known else ""
    if not said or said == before:
        return
    if said != device.variant:
        arm = device.variant or "no variant"
        logger.warning("%s says that it is in %s; it is in %s here", device, said, arm)
    elif before:
        logger.info("%s is in the variant %s again, as it should be", device, said)


def hear(presences: Mapping[UUID, bool]) -> None:
    """Write what the broker says at once: who came to it (True), and who left it (False).

    Only devices that are accepted, and have polled before, are heard; it may be said twice.
    """
    known = Presence.objects.filter(device__state=DeviceState.ACCEPTED)
    now, ids = clock.now(), list(presences)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        came = [device_id for device_id in chunk if presences[device_id]]
        gone = [device_id for device_id in chunk if not presences[device_id]]
        if came:
            known.filter(device_id__in=came).update(last_seen_at=now, left_at=None)
        if gone:
            known.filter(device_id__in=gone).update(left_at=now)


def note(device_id: UUID | str) -> None:
    """Remember that a device polled and had nothing new to say."""
    with _lock:
        _seen[str(device_id)] = clock.now()
    _start_flusher()


def flush() -> int:
    """Write what was noted; returns how many devices. What cannot be written is kept."""
    global _seen  # noqa: PLW0603 - swapped whole, so that the lock is held for an instant
    with _lock:
        taken, _seen = _seen, {}
    try:
        _write_all(taken)
    except DatabaseError:
        with _lock:
            _seen = taken | _seen
        raise
    return len(taken)


def _write_all(taken: dict[str, datetime]) -> None:
    if not taken:
        return
    # One moment for all, the earliest: nobody is called seen later than it was.
    at = min(taken.values())
    ids = list(taken)
    for start in range(0, len(ids), _CHUNK):
        Presence.objects.filter(
            device_id__in=ids[start : start + _CHUNK], last_seen_at__lt=at
        ).update(last_seen_at=at)


class _Flusher(threading.Thread):
    """Flushes until it is stopped, and once more then."""

    def __init__(self) -> None:
        super().__init__(name="presence", daemon=True)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(FLUSH_S):
            self._flush()
        self._flush()

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=FLUSH_S)

    def _flush(self) -> None:
        close_old_connections()
        try:
            flush()
        except DatabaseError:
            logger.warning("presence could not be written; trying again", exc_info=True)
        finally:
            connection.close()


def _start_flusher() -> None:
    """Once a process, and after any fork: the thread belongs to the process that polls reach."""
    global _flusher  # noqa: PLW0603 - one thread a process
    if _flusher is not None and _flusher.is_alive():
        return
    if not getattr(settings, "PRESENCE_FLUSHES_ITSELF", True):
        return
    with _lock:
        if _flusher is None or not _flusher.is_alive():
            _flusher = _Flusher()
            _flusher.start()
            atexit.register(_flusher.stop)


def stop_flusher() -> None:
    """Write what is noted and end the thread, where there is one."""
    global _flusher  # noqa: PLW0603 - the next poll starts another
    if _flusher is not None:
        _flusher.stop()
        _flusher = None
