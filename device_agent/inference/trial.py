"""A candidate on trial: loaded beside the resident, then judging the live frames in its place."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

from device_agent.inference.child import Child, Event
from device_agent.inference.children import Children
from device_agent.inference.limits import refuse_if_too_big
from device_agent.inference.opinions import SecondOpinion
from device_agent.probation import Observations
from device_agent.store import StagedRelease
from inference_core.contract.device import DeviceConfig, ProgressError
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import FrameDone, FrameLost

_COMPARED_SHARE = 1.0
"""Of a candidate's frames: the resident has nothing else to do, and takes one at a time."""


class Trial:
    """Guarded by the supervisor's lock, but for ``take``, ``child`` and ``agreement``.

    Those belong to the children's threads, for which that lock must never be waited.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._seen_lock = threading.Lock()
        self._seen: Observations | None = None
        self._probing_since = 0.0
        self.child: Child | None = None
        self.agreement = SecondOpinion(children.share_dir, self._compare)

    @property
    def is_probing(self) -> bool:
        """Whether the candidate judges the live frames."""
        return self._seen is not None

    def start(self, release: StagedRelease, device: DeviceConfig, resident: Child | None) -> None:
        """Load a release, paused. ``Rejected`` where it does not fit beside the resident."""
        self.end()
        refuse_if_too_big(release.manifest, resident.rss_bytes if resident else None)
        self.child = self._children.start(release, device, "candidate", is_paused=True)

    def state(self) -> tuple[bool, ProgressError | None]:
        """Whether the candidate is ready, and why it failed if it did."""
        child = self._known_child()
        return child.is_ready, self._children.failure_of(child)

    def begin(self, resident: Child | None, *, is_compared: bool) -> None:
        """Let the candidate take over the live frames, once."""
        if self._seen is not None:
            return
        child = self._known_child()
        self._seen = Observations(is_compared=is_compared)
        self._probing_since = time.monotonic()
        if resident:
            resident.send("pause")
        child.share(_COMPARED_SHARE if is_compared else 0.0)
        child.send("resume")

    def observe(self) -> Observations:
        """What it has shown since ``begin``."""
        child = self._known_child()
        with self._seen_lock:
            shown = self._seen or Observations()
            seen = replace(shown, lost=Counter(shown.lost))
        seen.elapsed_s = time.monotonic() - self._probing_since
        seen.silent_s = child.silent_s
        seen.rss_bytes = child.rss_bytes
        seen.failure = self._children.failure_of(child)
        return seen

    def release(self) -> Child | None:
        """End the trial and give the candidate away, as it runs."""
        child, self.child, self._seen = self.child, None, None
        if child:
            child.share(0.0)
        self.agreement.forget()
        return child

    def end(self, grace_s: float = 5.0) -> None:
        """End the trial and the candidate."""
        if self.child:
            self.child.stop(grace_s)
        self.release()

    def take(self, event: Event) -> None:
        """Count what the candidate says of a live frame."""
        with self._seen_lock:
            if self._seen is None:
                return
            if isinstance(event, FrameDone):
                self._seen.add(event.result)
            elif isinstance(event, FrameLost):
                self._seen.lost[event.cause] += 1

    def _compare(self, _sharer: str, said: FrameResult, other: FrameResult | None) -> None:
        with self._seen_lock:
            if self._seen is not None:
                self._seen.compare(said, other)

    def _known_child(self) -> Child:
        if self.child is None:
            raise LookupError("there is no candidate")
        return self.child
