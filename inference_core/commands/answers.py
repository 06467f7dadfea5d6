"""What ``infer run`` says of an image: as JSON for programs, as a line for people."""

from __future__ import annotations

from typing import Any

from inference_core.contract.base import Message
from inference_core.contract.results import FrameResult, StageResult
from inference_core.contract.words import VerdictWord

Answer = dict[str, Any]

_FOUND = ("boxes", "classes", "lines", "text_boxes", "regions")
_SPELLING = {
    "boxes": ("xyxy", "score", "class_id", "label", "track_id"),
    "classes": ("label", "class_id", "score"),
    "lines": ("polygon", "text", "score"),
    "text_boxes": ("polygon", "score"),
    "regions": ("label", "score", "xyxy", "polygon", "area_px", "area_mm2", "length_mm"),
}
_PARTS = ("preprocess", "infer", "postprocess", "total")


def answer_for_model(result: FrameResult, task: str) -> Answer:
    """One model alone: no verdict, but "fail" where it faulted, for nobody may take it as well."""
    (stage,) = result.stages
    answer: Answer = {
        "image": result.source,
        "task": task,
        "results": _find(stage),
        "verdict": None if stage.fault is None else VerdictWord.FAIL.value,
        "latency_ms": stage.latency_ms.model_dump(),
    }
    if stage.fault is not None:
        answer |= {"reasons": list(result.reasons)}
    return answer | _tell_apart(stage)


def answer_for_pipeline(result: FrameResult) -> Answer:
    """The verdict, and what each stage found; ``latency_ms`` is the sum of the stages."""
    found = [{"stage": s.stage, **one} for s in result.stages for one in _find(s)]
    latencies = [stage.latency_ms.model_dump() for stage in result.stages]
    return {
        "image": result.source,
        "task": "pipeline",
        "results": found,
        "verdict": result.verdict.value,
        "latency_ms": {part: round(sum(ms[part] for ms in latencies), 3) for part in _PARTS},
        "reasons": list(result.reasons),
        "stages": [_describe_stage(stage) for stage in result.stages],
        "frame_ms": result.latency_ms,
        "budget_ms": result.budget_ms,
    }


def answer_for_unreadable(image: str, task: str, reason: str) -> Answer:
    """A picture that is none: nothing is known of the part."""
    return {"image": image, "task": task, "results": [], "verdict": None, "error": reason}


def describe(result: FrameResult) -> str:
    """What was found, or why the part failed, in one line."""
    if result.reasons:
        return "; ".join(result.reasons)
    words = [word for stage in result.stages for word in _word(stage)]
    return ", ".join(words) or "nothing found"


def _find(stage: StageResult) -> list[Answer]:
    return [_spell(one, _SPELLING[kind]) for kind in _FOUND for one in getattr(stage, kind)]


def _spell(found: Message, keys: tuple[str, ...]) -> Answer:
    values = found.model_dump(exclude_none=True)
    return {key: _round(values[key]) for key in keys if key in values}


def _round(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _describe_stage(stage: StageResult) -> Answer:
    said: Answer = {"stage": stage.stage, "latency_ms": stage.latency_ms.model_dump()}
    if stage.skipped:
        said["skipped"] = True
    if stage.fault is not None:
        said["fault"] = stage.fault.value
    return said | _tell_apart(stage)


def _tell_apart(stage: StageResult) -> Answer:
    """What a stage says of the whole picture, where it does."""
    said: Answer = {}
    if stage.anomaly_score is not None:
        said["anomaly_score"] = round(stage.anomaly_score, 6)
    if stage.counts is not None:
        said["counts"] = stage.counts.model_dump()
    return said


def _word(stage: StageResult) -> list[str]:
    words = [f"{box.label} {box.score:.2f}" for box in stage.boxes]
    words += [f"{region.label} {region.score:.2f}" for region in stage.regions]
    words += [f"{one.label} {one.score:.2f}" for one in stage.classes]
    words += [f"{line.text!r} {line.score:.2f}" for line in stage.lines]
    if stage.text_boxes:
        words.append(f"{len(stage.text_boxes)} text boxes")
    if stage.anomaly_score is not None:
        words.append(f"anomaly {stage.anomaly_score:.2f}")
    return words
