"""Messages to the builders: one queue a hardware profile, and no more of them than help.

A message may be lost or doubled, because SQL rows say what there is to do: sweeps send it again,
but not before the last one had its time.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.cache import cache
from kombu.exceptions import OperationalError

from server.config.celery import app

RESEND_AFTER_S = settings.ENV.build_message_s
_PREFIX = "build."
logger = logging.getLogger(__name__)


def queue_of(profile: str) -> str:
    """The queue that workers with hardware of this profile consume."""
    return f"{_PREFIX}{profile}"


def profile_of(queue: str) -> str:
    """The profile whose builds go to a queue; empty for a queue of other work."""
    return queue.removeprefix(_PREFIX) if queue.startswith(_PREFIX) else ""


def send_once(task: str, *arguments: int, profile: str) -> bool:
    """Send, unless the same message was sent within ``RESEND_AFTER_S``; whether it was sent."""
    key = _key(task, arguments)
    if not cache.add(key, 1, RESEND_AFTER_S):
        return False
    try:
        app.send_task(task, args=arguments, queue=queue_of(profile), retry=False)
    except (OperationalError, OSError) as error:
        # The row waits; the next sweep tries again.
        logger.warning("%s%r could not be sent: %s", task, arguments, error)
        cache.delete(key)
        return False
    return True


def forget(task: str, *arguments: int) -> None:
    """Let the same message be sent again at once."""
    cache.delete(_key(task, arguments))


def _key(task: str, arguments: tuple[int, ...]) -> str:
    return f"sent:{task}:{':'.join(map(str, arguments))}"
