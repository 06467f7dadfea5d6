"""One stage on one frame: prepare, infer, decode, each with its own time."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from inference_core.contract.pipeline import Stage
from inference_core.contract.results import StageLatency, StageResult
from inference_core.contract.words import FailureCause
from inference_core.decode.lookup import decode
from inference_core.errors import CoreError
from inference_core.image import prepare
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.models import LoadedModel
from inference_core.runtimes.base import check_outputs

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """A stage's result, and the sentence about its fault if it has one."""

    result: StageResult
    complaint: str | None = None


def look(stage: Stage, model: LoadedModel, frame: Frame) -> StageResult:
    """What the model finds on the frame, or on the stage's region of it. Raises ``CoreError``."""
    begun = time.perf_counter()
    prepared = prepare(frame.picture, model.manifest, stage.region)
    fed = time.perf_counter()
    outputs = model.session.run({model.manifest.inputs[0].name: prepared.tensor})
    inferred = time.perf_counter()
    check_outputs(outputs, model.manifest.outputs)
    found = decode(outputs, model.manifest, prepared.transform)
    fields = found.to_fields(frame.mm_per_px)
    done = time.perf_counter()
    latency = StageLatency(
        preprocess=to_ms(fed - begun),
        infer=to_ms(inferred - fed),
        postprocess=to_ms(done - inferred),
        total=to_ms(done - begun),
    )
    return StageResult(stage=stage.id, **fields, latency_ms=latency)


def attempt(stage: Stage, model: LoadedModel, frame: Frame) -> Outcome:
    """As ``look``, but a fault becomes part of the result: the frame is judged all the same."""
    begun = time.perf_counter()
    try:
        return Outcome(look(stage, model, frame))
    except MemoryError:
        raise  # the process is at its end, not the frame
    except CoreError as error:
        _log.warning("stage %s on %s: %s", stage.id, frame.source, error)
        return _fault(stage, begun, error.cause, str(error))
    except Exception as error:  # noqa: BLE001 whatever a model provokes fails its part only
        _log.exception("stage %s on %s", stage.id, frame.source)
        return _fault(stage, begun, FailureCause.OTHER, f"{type(error).__name__}: {error}")


def to_ms(seconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)


def _fault(stage: Stage, begun: float, cause: FailureCause, detail: str) -> Outcome:
    total = to_ms(time.perf_counter() - begun)
    latency = StageLatency(preprocess=0, infer=0, postprocess=0, total=total)
    result = StageResult(stage=stage.id, latency_ms=latency, fault=cause)
    return Outcome(result, f"stage {stage.id!r} failed: {detail}"[:500])
