"""Tells the database, from inside a worker, that the queues of some profiles are served."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from server.builds import dispatch, services, twins
from server.builds.patience import DATABASE_AWAY, let_go_of_database
from server.fleet.models import HardwareProfile

ANNOUNCE_S = 10.0
logger = logging.getLogger(__name__)


class Presence(threading.Thread):
    """Announces a worker until it is stopped; a database that is away is asked again."""

    def __init__(self, name: str, queues: list[str]) -> None:
        super().__init__(name="builder-presence", daemon=True)
        self._builder, self._queues = name, queues
        self._is_over = threading.Event()

    def run(self) -> None:
        """One announcement, then one every ``ANNOUNCE_S``."""
        while not self._is_over.is_set():
            self._try(self._announce)
            self._is_over.wait(ANNOUNCE_S)
        self._try(lambda: services.forget_builder(name=self._builder))
        let_go_of_database()

    def stop(self) -> None:
        """Say goodbye; does not wait."""
        self._is_over.set()

    def _announce(self) -> None:
        wanted = [dispatch.profile_of(queue) for queue in self._queues]
        profiles = list(HardwareProfile.objects.filter(name__in=wanted))
        found = twins.problems_of(profile.spec for profile in profiles)
        problems = {profile: found[profile.name] for profile in profiles}
        services.announce_builder(name=self._builder, problems=problems)

    def _try(self, act: Any) -> None:
        try:
            act()
        except DATABASE_AWAY as error:
            logger.warning("this builder could not be announced: %s", error)
            let_go_of_database()


_running: list[Presence] = []


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    """Called by Celery in every worker; those that take no builds are no builders."""
    consumed = sender.app.amqp.queues.consume_from
    queues = [name for name in consumed if dispatch.profile_of(name)]
    if queues:
        presence = Presence(sender.hostname, queues)
        _running.append(presence)
        presence.start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Called by Celery when it is asked to end."""
    for presence in _running:
        presence.stop()
