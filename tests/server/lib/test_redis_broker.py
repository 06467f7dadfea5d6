"""Messages in Redis, where Redis goes away."""

from __future__ import annotations

from pathlib import Path

import pytest
from kombu import Connection

from server.lib.redis_broker import Transport
from tests.servers import redis_server


@pytest.mark.redis
def test_a_channel_whose_connection_is_gone_closes_in_peace(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url, Connection(url) as connection:
        queue = connection.SimpleQueue("builds")
        queue.put({"build": 1})
        assert queue.get(timeout=10).payload == {"build": 1}
        channel, transport = queue.channel, connection.transport
        assert isinstance(transport, Transport)

        transport.client = None  # as another thread leaves it that saw Redis die

        channel.close()
        assert channel.closed


@pytest.mark.redis
def test_a_message_that_was_not_acknowledged_is_given_back(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url, Connection(url) as connection:
        queue = connection.SimpleQueue("builds")
        queue.put({"build": 1})
        queue.get(timeout=10)
        queue.channel.close()
        with Connection(url) as another:
            assert another.SimpleQueue("builds").get(timeout=10).payload == {"build": 1}
