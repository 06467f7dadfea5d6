"""R9: a cascade's speed-up, against what the costs of its two models alone allow."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.words import RuntimeName
from inference_core.files import read_document
from inference_core.picture import read_picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.runtimes.base import SessionOptions
from tests.benchmarks.measure import Figure, take_turns, time_call
from tests.benchmarks.r1_to_r6 import NANODET, SAMPLES, SSD, THREADS

ROUNDS = 8
ESCALATE_WHEN = "score < 0.8"


def measure_r9() -> Figure:
    """Speed-up of SSD before NanoDet over NanoDet alone ÷ 1 / (r + e); all by whole frames."""
    models = {"light": _load(SSD), "heavy": _load(NANODET)}
    light = _pipeline(models, [{"id": "light", "model": "light"}])
    heavy = _pipeline(models, [{"id": "heavy", "model": "heavy"}])
    cascade = _pipeline(
        models,
        [
            {"id": "light", "model": "light", "escalate_when": ESCALATE_WHEN},
            {"id": "heavy", "model": "heavy", "after": "light"},
        ],
    )
    frames = _frames()
    runs = {
        "light": lambda: time_call(lambda: _judge_all(light, frames)),
        "heavy": lambda: time_call(lambda: _judge_all(heavy, frames)),
        "cascade": lambda: time_call(lambda: _judge_all(cascade, frames)),
    }
    take_turns(runs, 1)
    seconds = take_turns(runs, ROUNDS)
    escalated = sum(not cascade.judge(frame).stages[1].skipped for frame in frames) / len(frames)
    ratios = [
        (heavy_s / cascade_s) * (light_s / heavy_s + escalated)
        for light_s, heavy_s, cascade_s in zip(*seconds.values(), strict=True)
    ]
    for model in models.values():
        model.session.close()
    cost = sum(seconds["light"]) / sum(seconds["heavy"])
    return Figure("R9", 0.95, "at least", ratios, f"r = {cost:.2f}, e = {escalated:.2f}")


def _judge_all(pipeline: Pipeline, frames: list[Frame]) -> None:
    for frame in frames:
        pipeline.judge(frame)


def _load(name: str) -> LoadedModel:
    path = SAMPLES / "models" / f"{name}.onnx"
    manifest = read_document(path.with_suffix(".manifest.json"), ModelManifest)
    return load_model(path, manifest, RuntimeName.OPENVINO, SessionOptions(threads=THREADS))


def _pipeline(models: dict[str, LoadedModel], stages: list[dict[str, str]]) -> Pipeline:
    rules = [{"fail": f"{stages[-1]['id']}.count() > 100", "because": "crowded"}]
    spec = PipelineSpec.model_validate({"pipeline": "bench", "stages": stages, "rules": rules})
    pipeline = Pipeline(spec, {name: models[name] for name in spec.models})
    pipeline.warm_up()
    return pipeline


def _frames() -> list[Frame]:
    now = datetime.now(timezone.utc)
    return [
        Frame("bench", number, path.name, now, time.perf_counter(), read_picture(path))
        for number, path in enumerate(sorted((SAMPLES / "images").iterdir()))
    ]
