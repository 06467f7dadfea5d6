"""The seam between a verdict and whoever wants to know of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from inference_core.contract.results import FrameResult
from inference_core.picture import Picture
from inference_core.pipeline.frames import Frame


class Sink(Protocol):
    """Takes each frame with its result. A sink changes no verdict and holds none up."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Delivers one result, or promises to try."""

    def close(self, timeout_s: float = 5.0) -> None:
        """Delivers what waits, as far as that goes in the time, and gives up the rest."""


@dataclass(frozen=True)
class Parcel:
    """One result on its way to one receiver."""

    result: FrameResult
    picture: Picture | None = None
    """Only where the link asks for it: a queue of pictures is a queue of megabytes."""
    made_s: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """The same at every attempt, so that a receiver can tell a repetition."""


@dataclass(frozen=True)
class Traits:
    """How a link wants to be served."""

    capacity: int = 1000
    """Parcels that wait; the oldest is dropped for one more. 1: only the newest counts."""
    longest_wait_s: float = 30.0
    """Between two attempts, while the receiver is away."""
    beat_s: float | None = None
    """A sign of life is sent when nothing else was for as long; None sends none."""
    max_age_s: float | None = None
    """A parcel older than this is dropped: told late, it would be taken for the next part's."""
    wants_picture: bool = False


class Unreachable(Exception):
    """The receiver is away or busy: the same again later."""


class Refused(Exception):
    """The receiver does not want this, now or ever: it is dropped."""


class Link(Protocol):
    """One receiver, spoken to from one thread; it connects when it must."""

    @property
    def traits(self) -> Traits:
        """The same from first to last."""

    def deliver(self, parcel: Parcel) -> None:
        """Returns when the receiver has it. Raises ``Unreachable`` and ``Refused``."""

    def beat(self) -> None:
        """A sign of life. Raises as ``deliver`` does."""

    def close(self) -> None:
        """Hangs up. Never raises."""
