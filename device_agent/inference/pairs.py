"""What two releases said of the same frames: matched, compared and counted. No I/O."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from device_agent.summaries import hour_of
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.results import FrameResult
from inference_core.contract.telemetry import ShadowSummary
from inference_core.contract.words import VerdictWord


class _Key(NamedTuple):
    hour: datetime
    camera: str
    release_sha256: str
    shadow_sha256: str


@dataclass
class _Tally:
    cells: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)


def cell_of(release: FrameResult, other: FrameResult) -> str:
    """The cell of McNemar's table (Psychometrika, 1947) that a pair belongs to."""
    release_fails, other_fails = (said.verdict is VerdictWord.FAIL for said in (release, other))
    if release_fails:
        return "both_fail" if other_fails else "only_release_fails"
    return "only_shadow_fails" if other_fails else "both_pass"


class ShadowPairs:
    """Counts pairs between two flushes; every flush is a delta that the server merges."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: defaultdict[_Key, _Tally] = defaultdict(_Tally)

    def add(
        self, release_sha256: str, said: FrameResult, shadow_sha256: str, other: FrameResult | None
    ) -> None:
        """Count a shared frame; ``other`` is None where the shadow did not judge it."""
        key = _Key(hour_of(said.captured_at), said.camera, release_sha256, shadow_sha256)
        with self._lock:
            tally = self._tallies[key]
            if other is None:
                tally.cells["skipped"] += 1
                return
            tally.cells[cell_of(said, other)] += 1
            tally.latency_ms.append(other.latency_ms)
            if other.fault:
                tally.faults[other.fault] += 1

    def flush(self) -> list[ShadowSummary]:
        """Everything since the last flush."""
        with self._lock:
            tallies, self._tallies = self._tallies, defaultdict(_Tally)
        return [_summarise(key, tally) for key, tally in sorted(tallies.items())]


def _summarise(key: _Key, tally: _Tally) -> ShadowSummary:
    fields = {
        **key._asdict(),
        **tally.cells,
        "pairs": len(tally.latency_ms),
        "faults": dict(tally.faults),
        "latency_ms": ExponentialHistogram.of(tally.latency_ms),
    }
    return ShadowSummary.model_validate(fields)
