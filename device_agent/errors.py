"""Two kinds of failure: whose fault it is, and what to do next."""

from __future__ import annotations

from datetime import datetime

from inference_core.contract.words import FailureCause


class AgentError(Exception):
    """A failure with a sentence that helps the person who reads it."""


class ConfigError(AgentError):
    """The settings are wrong; nothing was started."""


class Rejected(AgentError):
    """What was sent or offered is wrong: do not try it again.

    ``server_time`` is set where the server believes that this device's clock is the reason.
    """

    def __init__(
        self,
        detail: str,
        *,
        cause: FailureCause = FailureCause.OTHER,
        status: int | None = None,
        server_time: datetime | None = None,
    ) -> None:
        super().__init__(detail)
        self.cause = cause
        self.status = status
        self.server_time = server_time

    @property
    def is_about_this_device(self) -> bool:
        """Whether it is not let in for now; what it brought may be welcome another time."""
        return self.status in (None, 401, 403)


class Unavailable(AgentError):
    """Not now. Try again after ``delay_s``, or after a back-off where that is None."""

    def __init__(self, detail: str, *, delay_s: float | None = None) -> None:
        super().__init__(detail)
        self.delay_s = delay_s
