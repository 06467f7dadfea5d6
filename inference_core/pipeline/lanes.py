"""One thread that feeds a session, for many threads that want an answer of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from inference_core.errors import InferenceFailed
from inference_core.runtimes.base import Array, Session, Ticket
from inference_core.runtimes.threaded import ThreadedSession, overlap

DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class _Request:
    inputs: Mapping[str, Array]
    answer: Future[dict[str, Array]] = field(default_factory=Future)


class Lane:
    """Keeps as many inferences of one session under way as it can take, first come first served.

    The session must not be used by others until ``close``; then it is as it was, and loaded.
    """

    def __init__(self, session: Session, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._session = overlap(session)
        self._timeout_s = timeout_s
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._under_way: deque[tuple[Ticket, _Request]] = deque()
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="lane", daemon=True)
        self._thread.start()

    @property
    def max_in_flight(self) -> int:
        """How many inferences may be under way."""
        return self._session.max_in_flight

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As ``Session.run``, from any thread. Raises ``InferenceFailed``, also when it hangs."""
        if not self._is_open:
            raise InferenceFailed("the lane is closed")
        request = _Request(inputs)
        self._requests.put(request)
        return request.answer.result()

    def close(self) -> None:
        """Answers what was asked, ends the thread, and lets go of the session."""
        if self._is_open:
            self._is_open = False
            self._requests.put(None)
            self._thread.join()
            if isinstance(self._session, ThreadedSession):
                self._session.release()

    def _serve(self) -> None:
        is_open = True
        while is_open or self._under_way:
            is_open = is_open and self._fill()
            if self._under_way:
                self._answer(*self._under_way.popleft())

    def _fill(self) -> bool:
        """Submits what waits; waits itself only where nothing is under way. False at the end."""
        while len(self._under_way) < self._session.max_in_flight:
            try:
                request = self._requests.get(block=not self._under_way)
            except Empty:
                return True
            if request is None:
                return False
            self._submit(request)
        return True

    def _submit(self, request: _Request) -> None:
        try:
            self._under_way.append((self._session.submit(request.inputs), request))
        except BaseException as error:  # noqa: BLE001 raised again in the thread that asked
            request.answer.set_exception(error)

    def _answer(self, ticket: Ticket, request: _Request) -> None:
        try:
            request.answer.set_result(self._session.wait(ticket, self._timeout_s))
        except BaseException as error:  # noqa: BLE001 raised again in the thread that asked
            request.answer.set_exception(error)
