"""One turn, on a thread of its own: materials, child, delivery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from device_agent.backoff import Backoff
from device_agent.building.calls import TurnCalls
from device_agent.building.child import TurnChild
from device_agent.building.desk import VERBS, Desk
from device_agent.building.materials import Bringer
from device_agent.building.surroundings import Surroundings
from device_agent.building.works import Outcome, Work
from device_agent.config import Config
from device_agent.errors import AgentError, Rejected, Unavailable
from device_agent.inference.child import Cell
from device_agent.inference.leftovers import FOLDER_VARIABLE
from device_agent.log import Edge, logger
from inference_core.contract.addresses import OUTPUT_VARIABLE, SECRETS_VARIABLE
from inference_core.contract.device_build import BuildBeat

_TICK_S = 0.3
_LOOK_S = 0.5
_WEIGH_S = 1.0
_LOST = frozenset({404, 409})

_T = TypeVar("_T")
LockIn = Callable[[int, int], "Cell | None"]


class Stopped(Exception):
    """The turn ends here, and is given back with this sentence."""


class Lost(Exception):
    """The lease is somebody else's: nothing of this turn is sent any more."""


class Workshop(threading.Thread):
    """Does a leased turn to its end. ``lock_in`` holds a process to its memory where possible."""

    def __init__(
        self,
        config: Config,
        calls: TurnCalls,
        work: Work,
        desk: Desk,
        *,
        surroundings: Surroundings,
        lock_in: LockIn,
        rate_cap_bytes_s: int | None,
    ) -> None:
        super().__init__(name="builder", daemon=True)
        self._config, self._calls, self._task, self._desk = config, calls, work, desk
        self._begun = work.begun
        self._surroundings, self._lock_in = surroundings, lock_in
        self._rate_cap_bytes_s = rate_cap_bytes_s
        self._stop_wanted = threading.Event()
        self._child: TurnChild | None = None
        self._server = Edge("the server of the build")
        self._beaten_at = time.monotonic()  # the lease has just been given
        self._looked_at = self._weighed_at = 0.0
        self.standing = work.standing("fetch", 0.0)

    def close(self) -> None:
        """The agent stops: end the child; the next start gives the turn back."""
        self._stop_wanted.set()
        if self.is_alive():
            self.join(10)

    def run(self) -> None:
        """Until it is delivered, given back or lost; the folder is empty then."""
        place = self._begun.place
        try:
            self._work()
            self._desk.end()
        except Lost as lost:
            logger.warning("%s is lost: %s", place, lost)
            self._desk.end()
        except Stopped as stopped:
            self._give_back(str(stopped))
        except Exception as error:  # noqa: BLE001 - inference is worth more than any build
            is_foreseen = isinstance(error, (AgentError, OSError))
            logger.warning("%s failed: %s", place, error, exc_info=not is_foreseen)
            self._give_back(str(error))
        finally:
            if self._child:
                self._child.end()
            self._desk.sweep()
            self._calls.close()

    def _work(self) -> None:
        folder = self._desk.set_up()
        place, task = self._begun.place, self._task
        bringer = Bringer(self._config, self._calls, place, folder, breathe=self._breathe)
        job = self._patiently(lambda: task.bring(bringer, self._rate_cap_bytes_s))
        python, environment = self._config.python, self._environment()
        self._child = child = TurnChild(python, task, job, environment)
        child.cell = self._lock_in(child.pid, limit := self._memory_limit())
        outcome = self._watch(child, limit)
        child.end()
        self._deliver(outcome)

    def _watch(self, child: TurnChild, limit_bytes: int) -> Outcome:
        """Until the child is over, as long as nothing speaks against it."""
        while True:
            is_over = child.is_over  # before its words are read: none can come after them
            child.read()
            self.standing = self._task.standing(child.step, child.share)
            if is_over:
                break
            self._breathe()
            if child.age_s > self._config.build_limit_s:
                raise Stopped(
                    f"{self._task.what} did not end within {self._config.build_limit_s:g} s"
                )
            self._weigh(child, limit_bytes)
            self._stop_wanted.wait(_TICK_S)
        if child.outcome is None:
            raise Stopped(child.why_it_ended())
        return child.outcome

    def _weigh(self, child: TurnChild, limit_bytes: int) -> None:
        """Where no cgroup holds it. Looking at every process of the box costs some time, too."""
        now = time.monotonic()
        if child.cell is not None or now - self._weighed_at < _WEIGH_S:
            return
        self._weighed_at = now
        if (size := child.rss_bytes()) > limit_bytes:
            what = self._task.what
            raise Stopped(f"{what} holds {size} bytes of memory, {limit_bytes} are allowed")

    def _deliver(self, outcome: Outcome) -> None:
        """The lease is renewed first: what nobody waits for any more is not sent."""
        self.standing = self._task.standing("deliver", 1.0)

        def send() -> None:
            self._beat()
            closing = self._task.deliver(
                self._calls,
                outcome,
                rate_cap_bytes_s=self._rate_cap_bytes_s,
                breathe=self._stay_wanted,
            )
            logger.info("%s: %s: %s", self._begun.place, closing.state, closing.reason)

        try:
            self._patiently(send)
        except Rejected as error:  # the server has given it back by itself
            raise Lost(str(error)) from error

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """Again and again while the server is away, and as long as the build may take."""
        backoff = Backoff(base_s=self._config.retry_base_s, cap_s=self._config.retry_cap_s)
        ends_at = time.monotonic() + self._config.build_limit_s
        while True:
            try:
                return work()
            except Unavailable as error:  # noqa: PERF203 - a network is slower than any loop
                self._server.broke(error)
                if time.monotonic() > ends_at:
                    raise Lost(f"the server stayed away: {error}") from error
                self._stop_wanted.wait(backoff.next_s(error.delay_s))
                self._stay_wanted()

    def _breathe(self) -> None:
        """Go on only while this turn is ours and nothing on the box matters more."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._stay_wanted()
            if why := self._surroundings.obstacle():
                raise Stopped(why)
        if now - self._beaten_at >= self._task.lease_s / 4:
            try:
                self._beat()
            except Unavailable as error:  # whether the lease is lost shows when it is back
                self._server.broke(error)
                self._beaten_at = now

    def _stay_wanted(self) -> None:
        if self._stop_wanted.is_set():
            raise Stopped(f"the agent was stopped while it {VERBS[self._begun.room]}")
        if not self._surroundings.still_wants(self._begun.turn):
            raise Lost("the server has ended it")

    def _beat(self) -> None:
        child = self._child
        beat = BuildBeat(
            step=self.standing.step, share=self.standing.share, log=child.log if child else ""
        )
        try:
            self._calls.beat(self._begun.place, beat)
        except Rejected as error:
            if error.status in _LOST:
                raise Lost(str(error)) from error
            raise Unavailable(str(error)) from error  # a quarantine may end, too
        self._server.works()
        self._beaten_at = time.monotonic()

    def _give_back(self, reason: str) -> None:
        """At once where the server is there; else the note remains, and the errand tries again."""
        begun = self._begun.model_copy(update={"reason": reason[:2000] or "it told no reason"})
        try:
            self._desk.note(begun)
            if self._stop_wanted.is_set():
                return  # whoever stops the agent does not wait for a network
            self._calls.give_back(begun.place, begun.why)
        except Rejected as error:
            logger.info("%s was over already: %s", begun.place, error)
        except (Unavailable, OSError) as error:
            logger.warning("%s is given back later: %s", begun.place, error)
            return
        self._desk.end()

    def _memory_limit(self) -> int:
        import psutil

        half: int = psutil.virtual_memory().available // 2
        return self._config.build_memory_bytes or half

    def _environment(self) -> dict[str, str]:
        """As of inference, without the way to secrets and outputs; known as ours by the mark."""
        given = self._config.make_child_environment()
        for name in (SECRETS_VARIABLE, OUTPUT_VARIABLE):
            given.pop(name, None)
        folder = str(self._desk.work.absolute())
        mark = str(self._config.data_dir.absolute() / "run")
        return {
            **given,
            "HOME": folder,
            "TMPDIR": folder,
            "PYTHONUNBUFFERED": "1",
            FOLDER_VARIABLE: mark,
        }
