"""The answer to an idle poll, kept ready: one look into the cache, and no SQL.

An entry holds the last answer together with the report and the key it was given to; any other
report or key goes the long way. A change of the goal replaces the device's epoch, which makes
what was kept under the old one worthless, also what a slow request is just about to keep.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from django.core.cache import cache, caches

from inference_core.contract.device import Goal
from server.fleet.services import announce
from server.lib.cache import CACHE_IS_DOWN, CERTAIN

TTL_S = 300
_EPOCH_TTL_S = 24 * 3600
"""Far longer than an entry lives: an epoch must not be forgotten before what it forbids."""


@dataclass(frozen=True)
class Answer:
    """A goal as it is sent."""

    etag: str
    poll_s: float
    body: str


@dataclass(frozen=True)
class Look:
    """What the cache has for a device; ``epoch`` goes back into ``keep``."""

    epoch: str
    answer: Answer | None


def answer_of(goal: Goal) -> Answer:
    """The ETag is strong: generation, and the digest of the very bytes."""
    body = goal.to_json().decode()
    digest = hashlib.sha256(body.encode()).hexdigest()[:32]
    return Answer(f'"{goal.generation}-{digest}"', goal.poll_s, body)


def look(device_id: uuid.UUID, *, report: str, key_mark: str) -> Look:
    """The kept answer for this device with this very report and key, if there is one."""
    epoch_name, entry_name = _names(device_id)
    found = cache.get_many([epoch_name, entry_name])
    epoch = found.get(epoch_name, "")
    parts = found.get(entry_name, "").split("\n")
    if len(parts) != 6 or parts[:3] != [epoch, key_mark, report]:
        return Look(epoch, None)
    return Look(epoch, Answer(parts[3], float(parts[4]), parts[5]))


def keep(device_id: uuid.UUID, answer: Answer, *, epoch: str, report: str, key_mark: str) -> None:
    """Keep ``answer`` for the next poll with the same report. ``epoch`` is from before the SQL."""
    entry = [epoch, key_mark, report, answer.etag, str(answer.poll_s), answer.body]
    cache.set(_names(device_id)[1], "\n".join(entry), TTL_S)


def drop(device_id: uuid.UUID | str) -> None:
    """Make the next poll read the database. Raises ``CACHE_IS_DOWN`` where that is not certain."""
    caches[CERTAIN].set(_names(device_id)[0], uuid.uuid4().hex, _EPOCH_TTL_S)


def void(device_id: uuid.UUID) -> None:
    """The same, now or once the cache answers again."""
    try:
        drop(device_id)
    except CACHE_IS_DOWN:
        announce([device_id])


def _names(device_id: uuid.UUID | str) -> tuple[str, str]:
    return f"goal-epoch:{device_id}", f"goal:{device_id}"
