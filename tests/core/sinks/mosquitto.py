"""A broker of its own for a test, which can die and come back."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from inference_core.contract.results import FrameResult
from tests.servers import free_port

from .results import wait_until

SETTINGS = """
listener {port} 127.0.0.1
allow_anonymous {is_open}
persistence false
user root
max_packet_size 1000000
{more}
"""


class Broker:
    def __init__(self, folder: Path, more: str = "", *, is_open: bool = True) -> None:
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            SETTINGS.format(port=self.port, is_open=str(is_open).lower(), more=more)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert path is not None
        self._process = subprocess.Popen(
            [path, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
        self._process = None


class Listener:
    """Whoever wants the verdicts: collects the numbers of those that came."""

    def __init__(self, broker: Broker, topic: str, **login: Any) -> None:
        self.got: list[int] = []
        self._is_ready = False
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if login:
            client.username_pw_set(**login)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda *_: client.subscribe(topic, qos=1)
        client.on_subscribe = self._note_ready
        client.on_disconnect = self._note_lost
        client.on_message = self._take
        deadline_s = time.monotonic() + 20
        while True:
            try:
                client.connect("127.0.0.1", broker.port)
                break
            except OSError:
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
        client.loop_start()
        self._client = client
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._is_ready)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note_ready(self, *_: object) -> None:
        self._is_ready = True

    def _note_lost(self, *_: object) -> None:
        self._is_ready = False

    def _take(self, _: Client, __: object, message: MQTTMessage) -> None:
        self.got.append(FrameResult.model_validate_json(message.payload).sequence)
