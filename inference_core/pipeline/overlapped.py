"""A pipeline whose steps overlap: while one frame is inferred, others are read and decoded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType

from inference_core.contract.serve import FrameLost
from inference_core.pipeline.conveyor import Account, Conveyor, Judged, Passed
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline, Slot, Turns
from inference_core.pipeline.lanes import DEFAULT_TIMEOUT_S, Lane
from inference_core.pipeline.turns import Queue

_log = logging.getLogger(__name__)
_BESIDE_INFERENCE = 2
"""Slots for frames that are prepared and decoded while others are inferred."""

_LONGEST_FAREWELL_S = 10.0


class Overlapped(AbstractContextManager["Overlapped"]):
    """Judges what ``items`` gives, one result for each accepted frame, in order.

    Iterate over it, and use it in a ``with``: at its end no thread is left. The pipeline must
    not judge anything else meanwhile; afterwards it is as it was. Where the source is ``live``,
    the latest frame wins and the others are dropped; else nothing is lost and the source waits.
    An exception of the source is raised when its frames are done, one of a slot at once.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        items: Iterable[Frame | FrameLost],
        *,
        live: bool = False,
        slots: int | None = None,
        infer_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._pipeline = pipeline
        self._items = items
        self._lanes = {
            name: Lane(model.session, infer_timeout_s) for name, model in pipeline.models.items()
        }
        most = max(lane.max_in_flight for lane in self._lanes.values())
        count = slots or most + _BESIDE_INFERENCE
        self._conveyor = Conveyor(count, live=live)
        self._queues = {stage: Queue() for stage in pipeline.following}
        self._threads = [threading.Thread(target=self._capture, name="capture", daemon=True)]
        for _ in range(count):
            self._threads.append(threading.Thread(target=self._work, name="slot", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def account(self) -> Account:
        """What became of the frames so far."""
        return self._conveyor.account

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Passed]:
        while (passed := self._conveyor.collect()) is not None:
            yield passed

    def close(self) -> None:
        """Ends at once; frames in hand are finished for nobody. Returns when all threads ended."""
        self._conveyor.close()
        for thread in self._threads:
            thread.join(_LONGEST_FAREWELL_S)
            if thread.is_alive():
                _log.error("the thread %r does not end; it is left behind", thread.name)
        for lane in self._lanes.values():
            lane.close()

    def _capture(self) -> None:
        try:
            for item in self._items:
                if not self._conveyor.offer(item):
                    break
        except BaseException as error:  # noqa: BLE001 raised again where results are collected
            self._conveyor.end(error)
        else:
            self._conveyor.end()

    def _work(self) -> None:
        slot = Slot(self._pipeline, {name: lane.infer for name, lane in self._lanes.items()})
        try:
            while (taken := self._conveyor.take()) is not None:
                self._conveyor.deliver(taken[0], self._pass(*taken, slot))
        except BaseException as error:  # noqa: BLE001 raised again where results are collected
            self._conveyor.close(error)

    def _pass(self, number: int, item: Frame | FrameLost, slot: Slot) -> Passed:
        turns: Turns = {
            stage: partial(queue.in_turn, number) for stage, queue in self._queues.items()
        }
        try:
            if isinstance(item, FrameLost):
                return item
            return Judged(item, self._pipeline.judge(item, slot, turns))
        finally:
            for queue in self._queues.values():
                queue.leave(number)
