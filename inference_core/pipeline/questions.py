"""What a rule may ask of any stage, and what asking in vain means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from inference_core.contract.results import StageResult


class Unanswerable(ValueError):
    """A question that the frame cannot answer. The part fails, and the text says why."""


class _Labelled(Protocol):
    @property
    def label(self) -> str: ...


class _Scored(Protocol):
    @property
    def score(self) -> float: ...


class Findings:
    """The result of one stage as its rules see it.

    ``score`` is that of the surest finding and ``confidence`` that of the least sure one; both
    are 0 where nothing was found, so "confidence < 0.9" looks again rather than passes.
    """

    QUESTIONS: ClassVar[frozenset[str]] = frozenset({"ran"})
    """The attributes that a rule may use."""

    def __init__(
        self, result: StageResult, labels: tuple[str, ...] | None, mm_per_px: float | None
    ) -> None:
        self._result = result
        self._labels = labels
        self._mm_per_px = mm_per_px

    @property
    def ran(self) -> bool:
        """False where an earlier stage was sure enough; then nothing is found here."""
        return not self._result.skipped

    def _count(self, found: Iterable[_Labelled], label: str | None) -> int:
        self._require(label)
        return sum(label is None or one.label == label for one in found)

    def _require(self, label: str | None) -> None:
        """A class that the model does not know is a typing mistake, never "none of it"."""
        if label is not None and self._labels is not None and label not in self._labels:
            known = ", ".join(name for name in self._labels if name)
            raise Unanswerable(f"there is no class {label!r}, only {known}")


def surest(found: Iterable[_Scored]) -> float:
    """The highest score; 0 where nothing was found."""
    return max((one.score for one in found), default=0.0)


def least_sure(found: Iterable[_Scored]) -> float:
    """The lowest score; 0 where nothing was found."""
    return min((one.score for one in found), default=0.0)
