"""How long the parts of a stage take."""

from __future__ import annotations

import time

from inference_core.contract.results import StageLatency


class Stopwatch:
    """Adds what passes to the part of the stage that was at work."""

    def __init__(self) -> None:
        self._last_s = time.perf_counter()
        self.preprocess_s = 0.0
        self.infer_s = 0.0
        self.postprocess_s = 0.0

    def has_prepared(self) -> None:
        """All since the last call was preprocessing."""
        self.preprocess_s += self._lap()

    def has_inferred(self) -> None:
        """All since the last call was inference."""
        self.infer_s += self._lap()

    def has_decoded(self) -> None:
        """All since the last call was postprocessing."""
        self.postprocess_s += self._lap()

    def has_waited(self) -> None:
        """All since the last call was waiting for other frames: no part's own time."""
        self._lap()

    def read(self) -> StageLatency:
        """What was added up."""
        return StageLatency(
            preprocess=to_ms(self.preprocess_s),
            infer=to_ms(self.infer_s),
            postprocess=to_ms(self.postprocess_s),
            total=to_ms(self.preprocess_s + self.infer_s + self.postprocess_s),
        )

    def _lap(self) -> float:
        now_s = time.perf_counter()
        passed_s, self._last_s = now_s - self._last_s, now_s
        return passed_s


def to_ms(seconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)
