"""Waits for a database that restarts, for as long as the lease of a build lasts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from server.builds.services.leases import LEASE_S

T = TypeVar("T")
DATABASE_AWAY = (OperationalError, InterfaceError)
RETRY_S = 0.5
logger = logging.getLogger(__name__)


def let_go_of_database() -> None:
    """A connection that broke never mends itself; the next query opens another one."""
    if not connection.in_atomic_block:
        connection.close()


def with_patience(act: Callable[[], T]) -> T:
    """What ``act`` returns, tried again while the database is away. It may run twice."""
    deadline = time.monotonic() + LEASE_S
    while True:
        try:
            return act()
        except DATABASE_AWAY as error:
            let_go_of_database()
            if time.monotonic() > deadline:
                raise
            logger.warning("the database is away, and asked again: %s", error)
        time.sleep(RETRY_S)
