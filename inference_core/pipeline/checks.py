"""What makes no sense in a pipeline, told before a frame is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inference_core.contract.decoders import Decoder
from inference_core.contract.pipeline import PipelineSpec, Stage
from inference_core.pipeline.rules import check_rules

_NAMES = frozenset({"classify"})
_READS = frozenset({"ctc"})
_FINDS_TEXT = frozenset({"text_boxes"})
_FINDS_AREAS = frozenset({"segment", "anomaly"})


def check_pipeline(spec: PipelineSpec, decoders: Mapping[str, Decoder] | None = None) -> list[str]:
    """What is wrong with stages and rules, a sentence each; empty where all makes sense.

    With ``decoders`` by stage id also what the stages' models cannot do.
    """
    problems = list(_check_order(spec))
    if decoders is not None:
        for stage in spec.stages:
            problems += _check_model(stage, decoders)
    return problems + check_rules(spec, decoders)


def _check_order(spec: PipelineSpec) -> Iterator[str]:
    followed = {stage.after for stage in spec.stages}
    cascades = {stage.id for stage in spec.stages if stage.escalate_when is not None}
    for stage in spec.stages:
        if stage.escalate_when is not None and stage.id not in followed:
            yield f"escalate_when of stage {stage.id!r} decides nothing: no stage is after it"
        if stage.track is not None and stage.after in cascades:
            yield (
                f"stage {stage.id!r} tracks, so it must see every frame, "
                f"but {stage.after!r} decides whether it runs"
            )


def _check_model(stage: Stage, decoders: Mapping[str, Decoder]) -> Iterator[str]:
    decoder = decoders[stage.id]
    if stage.tiles is not None and decoder.kind in _NAMES | _READS:
        yield f"stage {stage.id!r}: tiles make no sense for a model of kind {decoder.kind!r}"
    if stage.crops_of is not None:
        yield from _check_crops(stage, decoder.kind, decoders[stage.crops_of].kind)
    if stage.track is not None:
        yield from _check_track(stage, decoder)


def _check_crops(stage: Stage, kind: str, source: str) -> Iterator[str]:
    if source in _NAMES | _READS | _FINDS_AREAS:
        yield (
            f"stage {stage.id!r}: crops_of needs boxes or text boxes, "
            f"but {stage.crops_of!r} is a model of kind {source!r}"
        )
    if source in _FINDS_TEXT and kind not in _NAMES | _READS:
        yield (
            f"stage {stage.id!r}: places of text are for a reader or a classifier, "
            f"not for a model of kind {kind!r}"
        )


def _check_track(stage: Stage, decoder: Decoder) -> Iterator[str]:
    if decoder.kind in _NAMES | _READS | _FINDS_TEXT | _FINDS_AREAS:
        yield f"stage {stage.id!r}: track follows boxes, not what {decoder.kind!r} finds"
        return
    labels = set(getattr(decoder, "labels", ()))
    unknown = sorted(set(stage.track.labels or ()) - labels) if stage.track else []
    if unknown:
        yield f"stage {stage.id!r} counts {unknown[0]!r}, which its model does not know"
