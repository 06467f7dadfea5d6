"""Gives ``submit`` and ``wait`` to a session that can only ``run``: one worker thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout  # not the built-in one before 3.11
from queue import SimpleQueue

from inference_core.contract.manifest import TensorSpec
from inference_core.errors import InferenceFailed
from inference_core.runtimes.base import Array, AsyncSession, Session, Ticket

_log = logging.getLogger(__name__)
_LONGEST_FAREWELL_S = 10.0

Outputs = dict[str, Array]
_Work = tuple[Mapping[str, Array], "Future[Outputs]"]


class ThreadedSession:
    """Runs a synchronous session in a thread of its own, in the order of ``submit``.

    One input computes and one more waits, so the library never idles between the two.
    """

    max_in_flight = 2

    def __init__(self, session: Session) -> None:
        self._session = session
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._closed = False
        # A daemon: a native call that never returns must not keep the process from its end.
        self._thread = threading.Thread(target=self._compute, name="infer", daemon=True)
        self._thread.start()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors to feed."""
        return self._session.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that come back."""
        return self._session.outputs

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata in the artifact."""
        return self._session.metadata

    def run(self, inputs: Mapping[str, Array]) -> Outputs:
        """Every output of the manifest by its name."""
        return self.wait(self.submit(inputs))

    def submit(self, inputs: Mapping[str, Array]) -> Ticket:
        """Starts an inference, or puts it behind the one that runs."""
        if self._closed:
            raise InferenceFailed("the session is closed")
        ticket: Future[Outputs] = Future()
        self._work.put((inputs, ticket))
        return ticket

    def wait(self, ticket: Ticket, timeout_s: float | None = None) -> Outputs:
        """The outputs. Raises ``InferenceFailed``, also for a time-out."""
        if not isinstance(ticket, Future):
            raise InferenceFailed(f"{type(ticket).__name__} is no ticket of this session")
        try:
            outputs: Outputs = ticket.result(timeout_s)
        except FutureTimeout:
            ticket.cancel()  # where it has not begun, it never will
            raise InferenceFailed(f"no answer within {timeout_s} s") from None
        except CancelledError:
            raise InferenceFailed("the inference was given up") from None
        return outputs

    def release(self) -> Session:
        """Ends the thread and hands the session back, loaded."""
        if not self._closed:
            self._closed = True
            self._work.put(None)
            self._thread.join(_LONGEST_FAREWELL_S)
            if self._thread.is_alive():
                _log.error("an inference does not return; its thread is left behind")
        return self._session

    def close(self) -> None:
        """Ends the thread and gives the memory back."""
        self.release().close()

    def _compute(self) -> None:
        while (work := self._work.get()) is not None:
            inputs, ticket = work
            if not ticket.set_running_or_notify_cancel():
                continue
            try:
                ticket.set_result(self._session.run(inputs))
            except BaseException as error:  # noqa: BLE001 raised again where it is waited for
                ticket.set_exception(error)


def overlap(session: Session) -> AsyncSession:
    """The session itself where it is asynchronous already, else in a thread of its own."""
    if isinstance(session, AsyncSession):
        return session
    return ThreadedSession(session)
