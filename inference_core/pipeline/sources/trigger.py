"""Pictures that a machine sends when a part is in place: an HTTP door for the line's controller."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

from inference_core.contract.serve import Camera, FrameLost
from inference_core.errors import BadInput
from inference_core.picture import decode_picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.sources.base import Ledger, LossCause, lose
from inference_core.pipeline.sources.trigger_door import Door

QUEUE_LENGTH = 8
_MOMENT_S = 0.01
_REST_S = 30.0
"""A line may stand still for a while without anybody being told."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", ""})


@dataclass(frozen=True)
class TriggerAddress:
    """``trigger://127.0.0.1:9100/?token=…``; without a host it listens on loopback."""

    host: str
    port: int
    token: str | None


class TriggerSource:
    """Each picture that is posted is one frame; nothing is lost in silence.

    Answers 202 with ``{"sequence": n}``, 429 while ``QUEUE_LENGTH`` pictures wait, 400 for what is
    no picture, 413 for one that is too large, 401 without the token. What is refused, except by
    401, is told as lost too: there was a part in place.
    """

    is_live = False

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        address = parse_trigger_address(camera.address)
        self._changed = threading.Condition()
        self._queue: deque[Frame | FrameLost] = deque()
        self._decoding = self._frames_waiting = self._sequence = 0
        self._ledger = Ledger()
        self._ready_s: float | None = None
        self._is_closed = False
        try:
            self._door = Door((address.host, address.port), self, address.token)
        except OSError as error:
            raise BadInput(
                f"{address.host}:{address.port} cannot be listened on: {error.strerror}"
            ) from error
        self.port = int(self._door.server_address[1])
        self._thread = threading.Thread(
            target=self._door.serve_forever, args=(0.1,), name="trigger", daemon=True
        )
        self._thread.start()

    @property
    def due_s(self) -> float:
        """When the first picture that waits came; a moment from now where none does."""
        with self._changed:
            return time.monotonic() + _MOMENT_S if self._ready_s is None else self._ready_s

    @property
    def ledger(self) -> Ledger:
        """The books of this moment; a picture that is being decoded waits too."""
        with self._changed:
            books = self._ledger
            waiting = self._frames_waiting + self._decoding
            return Ledger(books.captured, books.taken, Counter(books.dropped), waiting)

    def take(self) -> Frame | FrameLost:
        """The oldest picture. A line at rest sends none: that is told as no input, seldom."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._is_closed, _REST_S)
            if not self._queue:
                return lose(self.camera, "no_input", "nobody has sent a picture")
            taken = self._queue.popleft()
            if isinstance(taken, Frame):
                self._frames_waiting -= 1
                self._ledger.taken += 1
            if not self._queue:
                self._ready_s = None
            return taken

    def reserve(self) -> bool:
        """Counts a trigger, and keeps a place for its picture. False: it came too early."""
        with self._changed:
            self._ledger.captured += 1
            if self._frames_waiting + self._decoding < QUEUE_LENGTH:
                self._decoding += 1
                return True
            self._drop("too_late", f"{QUEUE_LENGTH} pictures were waiting")
            return False

    def accept(self, data: bytes) -> int:
        """Puts a picture in its reserved place; its sequence. Raises ``BadInput``."""
        begun, captured_s = time.perf_counter(), time.monotonic()
        picture = decode_picture(data)
        with self._changed:
            frame = Frame(
                camera=self.camera.name,
                sequence=self._sequence,
                source=f"trigger {self._sequence}",
                captured_at=datetime.now(timezone.utc),
                read_from_s=begun,
                picture=picture,
                mm_per_px=self.camera.mm_per_px,
                captured_s=captured_s,
            )
            self._sequence += 1
            self._decoding -= 1
            self._frames_waiting += 1
            self._append(frame)
            return frame.sequence

    def give_up(self, reason: str) -> None:
        """The reserved place stays empty: what came was no picture."""
        with self._changed:
            self._decoding -= 1
            self._drop("corrupt_image", reason)

    def close(self) -> None:
        """Stops listening. A sender that is not done gets no answer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._door.shutdown()
        self._thread.join()
        self._door.server_close()

    def _drop(self, cause: LossCause, detail: str) -> None:
        self._ledger.dropped[cause] += 1
        self._append(lose(self.camera, cause, detail))

    def _append(self, item: Frame | FrameLost) -> None:
        self._queue.append(item)
        if self._ready_s is None:
            self._ready_s = time.monotonic()
        self._changed.notify_all()


def parse_trigger_address(address: str) -> TriggerAddress:
    """Raises ``BadInput`` where the address cannot be used; never shows its token."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError as error:
        raise BadInput("the port of a trigger address is a number up to 65535") from error
    if port is None:
        raise BadInput("a trigger address needs a port; write trigger://127.0.0.1:9100/")
    token = parse_qs(parts.query).get("token", [None])[0]
    host = parts.hostname or ""
    if host not in _LOOPBACK and token is None:
        raise BadInput(
            f"a trigger that listens on {host} is open to the network; add /?token=SECRET"
        )
    return TriggerAddress(host or "127.0.0.1", port, token)
