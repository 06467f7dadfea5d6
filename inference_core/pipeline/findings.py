"""What a rule may ask of a stage: the names in an expression, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from inference_core.contract.decoders import Decoder, SegmentDecoder
from inference_core.contract.results import RegionResult, StageResult
from inference_core.pipeline.patterns import MAX_TEXT_LENGTH, compile_pattern


class Unanswerable(ValueError):
    """A question that the frame cannot answer. The part fails, and the text says why."""


class Findings:
    """The result of one stage as its rules see it."""

    QUESTIONS: ClassVar[frozenset[str]] = frozenset()
    """The attributes that a rule may use."""

    def __init__(
        self, result: StageResult, labels: tuple[str, ...] | None, mm_per_px: float | None
    ) -> None:
        self._result = result
        self._labels = labels
        self._mm_per_px = mm_per_px


class RegionFindings(Findings):
    """The regions of a segmentation stage, as in ``defects.count('scratch') > 0``.

    Millimetres need the camera's scale. Without it they are unanswerable on every frame, so a
    forgotten scale is seen on the first part and not on the first defect.
    """

    QUESTIONS = frozenset(
        {"count", "largest_px", "largest_mm2", "total_mm2", "longest_mm", "score"}
    )

    def count(self, label: str | None = None) -> int:
        """How many regions there are, of all classes or of one."""
        if label is None:
            return len(self._result.regions)
        if self._labels is not None and label not in self._labels:
            raise Unanswerable(f"there is no class {label!r}, only {', '.join(self._labels)}")
        return sum(region.label == label for region in self._result.regions)

    @property
    def largest_px(self) -> float:
        """Area of the largest region in pixels of the frame; 0 where there is none."""
        return max((region.area_px for region in self._result.regions), default=0.0)

    @property
    def largest_mm2(self) -> float:
        """Area of the largest region; 0 where there is none."""
        return max(self._measure(lambda region: region.area_mm2), default=0.0)

    @property
    def total_mm2(self) -> float:
        """Area of all regions together."""
        return sum(self._measure(lambda region: region.area_mm2))

    @property
    def longest_mm(self) -> float:
        """Length of the longest region; 0 where there is none."""
        return max(self._measure(lambda region: region.length_mm), default=0.0)

    @property
    def score(self) -> float:
        """Score of the surest region; 0 where there is none."""
        return max((region.score for region in self._result.regions), default=0.0)

    def _measure(self, measure: Callable[[RegionResult], float | None]) -> list[float]:
        if self._mm_per_px is None:
            raise Unanswerable("the camera has no mm_per_px, so nothing has millimetres")
        lengths = (measure(region) for region in self._result.regions)
        return [length for length in lengths if length is not None]


class TextFindings(Findings):
    """The text of a recogniser, as in ``not marking.matches('^TDA[0-9]{4}P$')``."""

    QUESTIONS = frozenset({"text", "score", "count", "matches"})

    @property
    def text(self) -> str:
        """All lines, with a space between them; empty where nothing was read."""
        return " ".join(line.text for line in self._result.lines)

    @property
    def score(self) -> float:
        """Score of the least sure line; 0 where nothing was read."""
        return min((line.score for line in self._result.lines), default=0.0)

    def count(self) -> int:
        """How many lines were read."""
        return len(self._result.lines)

    def matches(self, pattern: str) -> bool:
        """True where the whole text matches; a pattern that could run for long is refused."""
        if len(self.text) > MAX_TEXT_LENGTH:
            raise Unanswerable(f"the text has {len(self.text)} characters, over {MAX_TEXT_LENGTH}")
        return compile_pattern(pattern).fullmatch(self.text) is not None


FINDINGS: dict[str, type[Findings]] = {"segment": RegionFindings, "ctc": TextFindings}
"""By the kind of the decoder."""


def present(result: StageResult, decoder: Decoder, mm_per_px: float | None) -> Findings:
    """The result of a stage with this decoder, ready to be asked."""
    labels = decoder.labels if isinstance(decoder, SegmentDecoder) else None
    return FINDINGS[decoder.kind](result, labels, mm_per_px)
