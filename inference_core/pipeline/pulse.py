"""Heartbeats that prove progress, not only life."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from inference_core.contract.serve import Heartbeat
from inference_core.memory import measure_rss_bytes
from inference_core.pipeline.wire import Control, EventStream


@dataclass
class Counts:
    """``captured = done + lost + in flight``, always; written by the frame loop alone."""

    captured: int = 0
    done: int = 0
    lost: int = 0


class Pulse:
    """Sends a heartbeat every ``interval_s`` while somebody shows progress.

    The beat comes from a thread, so a long load is not silent. Once frames are judged, a beat
    is sent only if the frame loop has ticked since the last one: a loop that hangs in native
    code falls silent, which is how the agent notices it.
    """

    def __init__(
        self, events: EventStream, counts: Counts, control: Control, interval_s: float
    ) -> None:
        self._events = events
        self._counts = counts
        self._control = control
        self._interval_s = interval_s
        self._needs_ticks = False
        self._ticks = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    @property
    def interval_s(self) -> float:
        """The loop must tick at least this often to be heard."""
        return self._interval_s

    def start(self) -> None:
        """Beats from now on, whatever the main thread does."""
        self._thread.start()

    def tick(self) -> None:
        """The frame loop is alive; from the first tick on, beats depend on it."""
        self._ticks += 1
        self._needs_ticks = True

    def stop(self) -> None:
        """No beat comes after this."""
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        seen = 0
        while not self._stopped.wait(self._interval_s):
            ticks = self._ticks
            if not self._needs_ticks or ticks != seen:
                self._events.emit(self._take_stock())
            seen = ticks

    def _take_stock(self) -> Heartbeat:
        return Heartbeat(
            rss_bytes=measure_rss_bytes(),
            captured=self._counts.captured,
            done=self._counts.done,
            lost=self._counts.lost,
            paused=self._control.is_paused,
        )
