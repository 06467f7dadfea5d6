"""What each device ran: a row is written where the running digest changes, and never else."""

from __future__ import annotations

from datetime import datetime

from server.fleet.models import Device, Presence, ReleaseRun


def follow(*, device: Device, known: Presence | None, running_sha256: str, now: datetime) -> None:
    """Close the run that ended and open the one that began; nothing where nothing changed.

    Call it in the transaction that has just written the presence of ``device``: that row is
    locked then, so that two reports at once are told one after the other.
    """
    if running_sha256 == (known.running_sha256 if known else ""):
        return
    ReleaseRun.objects.filter(device=device, until=None).exclude(sha256=running_sha256).update(
        until=now, heard_until=known.last_seen_at if known else now
    )
    if running_sha256:
        opened = ReleaseRun(device=device, sha256=running_sha256, since=now)
        ReleaseRun.objects.bulk_create([opened], ignore_conflicts=True)
