"""Celery's messages in Redis: kombu's transport, which survives a Redis that restarts.

kombu gives unacknowledged messages back when a channel closes. Where Redis died and another
thread has closed the connection already, there is nobody to give them to, and the error that
comes of it ends the worker with the builds in its hands.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class QoS(redis.QoS):
    """Knows what was delivered and not acknowledged yet."""

    def restore_unacked(self, client: Any = None) -> Any:
        """Give messages back, where there is a connection; Redis does it later on its own."""
        connection = self.channel.connection
        if connection is None or connection.client is None:
            return None
        return super().restore_unacked(client)


class Channel(redis.Channel):
    """One session with Redis."""

    QoS = QoS


class Transport(redis.Transport):
    """As kombu's own but for the channel."""

    Channel = Channel


for scheme in ("redis", "rediss"):
    TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
