"""The process beside the broker: its folder, its doorbells, its presences.

One for a server: it shows the server's own certificate, and a second one would take over the
session of the first. It may be killed at any time; everything is found again in rows.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from server.broker import services
from server.broker.connection import Connection, make_context, show
from server.broker.folder import FolderKeeper
from server.broker.models import Doorbell
from server.fleet import presence
from server.lib import clock
from server.lib.errors import NotFound
from server.trust import device_ca, keys
from server.trust.certificates import authority

TURN_S = 0.2
FOLDER_EVERY_S = 1.0
CERTIFICATE_EVERY_S = 24 * 3600.0
RETRY_S = 1.0
BATCH = 1000
logger = logging.getLogger(__name__)


def keep_broker(stopped: threading.Event) -> None:
    """Work until ``stopped``; NotFound where the settings name no broker."""
    broker = settings.ENV.push_broker()
    if broker is None:
        raise NotFound("There is no broker to keep: set LINEWARDEN_BROKER_HOST first.")
    context = make_context(authority())
    show_certificate(context)
    connection = Connection(settings.ENV.broker_inner_host or broker.host, broker.port, context)
    jobs = (
        Job("its folder", FolderKeeper().turn, FOLDER_EVERY_S),
        Job("its doorbells", Doorbells(connection).turn),
        Job("its presences", lambda: pass_on_presences(connection)),
        Job("the server's certificate", lambda: show_certificate(context), CERTIFICATE_EVERY_S),
    )
    connection.start()
    try:
        while not stopped.wait(TURN_S):
            close_old_connections()
            for job in jobs:
                job.turn()
    finally:
        connection.stop()


class Job:
    """Repeats its work; a job that fails is told of once, and delays no other."""

    def __init__(self, name: str, work: Callable[[], None], every_s: float = 0.0) -> None:
        self._name, self._work, self._every_s = name, work, every_s
        self._due_at = 0.0
        self._fails = False

    def turn(self) -> None:
        """Work, where it is due."""
        if time.monotonic() < self._due_at:
            return
        try:
            self._work()
        except (DatabaseError, OSError):
            if not self._fails:
                logger.exception("the broker is without %s; trying again", self._name)
            self._fails = True
            self._due_at = time.monotonic() + RETRY_S
            return
        if self._fails:
            logger.warning("the broker has %s again", self._name)
        self._fails = False
        self._due_at = time.monotonic() + self._every_s


class Doorbells:
    """Rings what waits; what cannot be rung until the next poll is dropped."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._drops = False

    def turn(self) -> None:
        """Ring, or drop, the oldest of what waits."""
        doorbells = services.waiting(BATCH)
        useful = services.last_useful(clock.now())
        late = [bell for bell in doorbells if bell.rung_at < useful]
        self._drop(late)
        if not self._connection.is_up:
            return
        expiry_s = max(1, int(settings.ENV.poll_s))
        fresh = [bell for bell in doorbells if bell.rung_at >= useful]
        for bell in fresh:
            self._connection.ring(bell.device_id, bell.generation, expiry_s=expiry_s)
        services.settle(fresh)
        if fresh:
            self._drops = False

    def _drop(self, late: list[Doorbell]) -> None:
        services.settle(late)
        if late and not self._drops:
            logger.warning("doorbells are dropped; devices find their goals with the next poll")
            self._drops = True


def pass_on_presences(connection: Connection) -> None:
    """Write who came and who left since the last time, together."""
    taken = connection.take_presences()
    try:
        presence.hear(taken)
    except DatabaseError:
        connection.give_back(taken)
        raise


def show_certificate(context: ssl.SSLContext) -> None:
    """Give the next connection a new certificate of the server's own."""
    own = device_ca.issue_client(device_ca.SERVER_NAME, authority=authority(), now=clock.now())
    show(context, own, keys.authority_path().with_name("broker-client.pem"))
