"""Celery's messages in folders, for the embedded mode: kombu's transport, made whole.

kombu writes a message in place, so a reader that looks at the wrong moment finds it empty, and
the worker ends with a JSONDecodeError. Here files appear by rename, whole or not at all.
"""

from __future__ import annotations

import fcntl
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

SCHEME = "folders"


class Channel(filesystem.Channel):
    """A message is a file named by time and queue; whoever renames it first has it."""

    def _put(  # type: ignore[override] # its two parents disagree on the name of the payload
        self, queue: str, payload: dict[str, Any], **_options: Any
    ) -> None:
        name = f"{time.time_ns():020}_{uuid.uuid4()}.{queue}.msg"
        _write_whole(Path(self.data_folder_out) / name, dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu's
        folder = Path(self.data_folder_in)
        for path in sorted(folder.glob(f"*.{queue}.msg")):
            if path.name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = path.with_name(f".{path.name}.taken")
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue  # another worker was faster
            content = taken.read_text()
            taken.unlink()
            return loads(content)
        raise Empty

    def get_table(self, exchange: str) -> list[Any]:
        """The queues bound to an exchange."""
        try:
            rows = json.loads(self._exchange_file(exchange).read_text())
        except FileNotFoundError:
            return []
        return [filesystem.exchange_queue_t(*row) for row in rows]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._locked_control_folder():
            table = self.get_table(exchange)
            if bound not in table:
                _write_whole(self._exchange_file(exchange), json.dumps([bound, *table]))

    @contextmanager
    def _locked_control_folder(self) -> Iterator[None]:
        with (self.control_folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write_whole(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    partial.write_text(content)
    partial.replace(path)


class Transport(filesystem.Transport):
    """kombu's folders with the channel above."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
