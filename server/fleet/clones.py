"""Two boxes that speak with one identity: noticed by their boots, and told to people.

Every start of an agent has a boot id of its own, so that a device goes from one to the next and
never back. Where one comes back, two boxes take turns. Which of them is the device nobody can
tell from here: both go on, and an admin quarantines or gives it a new key.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from server.accounts import audit
from server.accounts.actors import SYSTEM
from server.fleet.models import Device, Presence
from server.lib import clock

TOLD_EVERY = timedelta(days=1)
logger = logging.getLogger(__name__)


def boot_before(known: Presence | None, boot_id: UUID) -> UUID | None:
    """The boot that the device was in before ``boot_id``, as far as it is known."""
    if known is None:
        return None
    return known.previous_boot_id if known.boot_id == boot_id else known.boot_id


def noticed_at(known: Presence | None, boot_id: UUID) -> datetime | None:
    """When two boxes were last seen to take turns; None for never."""
    if known is None:
        return None
    is_back = boot_id == known.previous_boot_id and boot_id != known.boot_id
    return clock.now() if is_back else known.cloned_at


def is_cloned(row: Presence | None, now: datetime) -> bool:
    """Whether two boxes have spoken as this device within a day."""
    return row is not None and row.cloned_at is not None and row.cloned_at > now - TOLD_EVERY


def tell(device: Device, known: Presence | None, row: Presence) -> None:
    """Leave a line in the log and the audit log where ``row`` shows it and ``known`` did not."""
    if not is_cloned(row, clock.now()) or is_cloned(known, clock.now()):
        return
    reason = (
        "Two boxes take turns under this identity: it was copied. Find the other box; quarantine "
        "the device until then, or give one of them a new key and serial."
    )
    logger.warning("%s: %s", device, reason)
    audit.record(
        actor=SYSTEM,
        action="notice_clone",
        subject="device",
        subject_id=str(device.pk),
        reason=reason,
        after={"boots": sorted(map(str, (row.boot_id, row.previous_boot_id)))},
    )
