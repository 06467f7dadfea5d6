"""How close a frame was to another answer: scores near what they are held against."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.contract.release import ReleaseManifest
from inference_core.contract.results import (
    BoxResult,
    ClassResult,
    FrameResult,
    RegionResult,
    StageResult,
    TextBoxResult,
    TextLineResult,
)
from inference_core.pipeline.expressions import walk
from inference_core.pipeline.findings import kinds_of

WIDTH = 0.15
"""A score this far from its limit is certain."""

_EVEN = 0.5
_SCORES = {"score", "confidence", "probability"}


@dataclass(frozen=True)
class Limits:
    """What the scores of one stage are held against by its decoder and by the rules."""

    rules: frozenset[float] = frozenset()
    decoder: float | None = None
    by_label: Mapping[str, float] = field(default_factory=dict)
    """Where the decoder's limit differs for a class."""
    has_rivals: bool = False
    """The stage gives the classes of one picture: the second is the rival of the first."""

    def weigh(self, result: StageResult) -> float:
        """0 to 1: 1 where a score lies on a limit, or two classes are equally likely."""
        return max(0.0, 1.0 - min(self._distances(result), default=1.0) / WIDTH)

    def _distances(self, result: StageResult) -> Iterator[float]:
        labelled: list[BoxResult | RegionResult | ClassResult] = [*result.boxes, *result.regions]
        labelled += result.classes[:1] if self.has_rivals else result.classes
        yield from (self._distance(found.score, found.label) for found in labelled)
        read: list[TextLineResult | TextBoxResult] = [*result.lines, *result.text_boxes]
        yield from (self._distance(found.score) for found in read)
        if result.anomaly_score is not None:
            yield self._distance(result.anomaly_score)
        if self.has_rivals and len(result.classes) > 1:
            yield (result.classes[0].score - result.classes[1].score) / 2

    def _distance(self, score: float, label: str = "") -> float:
        own = self.by_label.get(label, self.decoder)
        limits = self.rules if own is None else self.rules | {own}
        return min(abs(score - limit) for limit in limits or {_EVEN})


def find_limits(release: ReleaseManifest) -> dict[str, Limits]:
    """By the id of the stage."""
    return {stage.id: _limits_of(stage, release) for stage in release.pipeline.stages}


def weigh_uncertainty(result: FrameResult, limits: Mapping[str, Limits]) -> float:
    """0 to 1: the least certain stage counts. A model's fault is no doubt, and weighs nothing."""
    return max((limits[stage.stage].weigh(stage) for stage in result.stages), default=0.0)


def _limits_of(stage: Stage, release: ReleaseManifest) -> Limits:
    decoder = release.artifacts[stage.model].manifest.decoder
    name = "box_threshold" if decoder.kind == "text_boxes" else "threshold"
    return Limits(
        rules=frozenset(_find_rule_limits(release.pipeline, stage)),
        decoder=getattr(decoder, name, None),
        by_label=getattr(decoder, "class_thresholds", {}),
        has_rivals=decoder.kind == "classify" and stage.crops_of is None,
    )


def _find_rule_limits(spec: PipelineSpec, stage: Stage) -> Iterator[float]:
    """Constants that rules and cascades compare the stage's scores with."""
    questions = frozenset[str]().union(*(kind.QUESTIONS for kind in kinds_of(stage)))
    nodes = [node for rule in spec.rules for node in walk(rule.fail)]
    nodes += walk(stage.escalate_when or "True", stage.id, questions)
    for node in nodes:
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if any(_is_score(side, stage.id) for side in sides):
                yield from (value for side in sides if (value := _constant(side)) is not None)


def _is_score(node: ast.expr, stage: str) -> bool:
    asked = node.func if isinstance(node, ast.Call) else node
    return (
        isinstance(asked, ast.Attribute)
        and asked.attr in _SCORES
        and isinstance(asked.value, ast.Name)
        and asked.value.id == stage
    )


def _constant(node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < 1:
        return node.value
    return None
