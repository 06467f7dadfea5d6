"""R1 to R6 and R8: what the pipeline costs on top of the runtime that it stands on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov

from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.words import RuntimeName
from inference_core.files import read_document
from inference_core.image import prepare
from inference_core.picture import Picture, read_picture
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.pipeline.overlapped import Overlapped
from inference_core.runtimes.base import SessionOptions
from tests.benchmarks.allocations import count_array_bytes
from tests.benchmarks.measure import Figure, divide, percentile, take_turns, time_call

SAMPLES = Path(__file__).parents[1] / "samples"
SSD = "coco_ssd_mobilenet_v2_300"
NANODET = "nanodet_416"
THREADS = 2
ROUNDS = 60
FRAMES = 120
STEP_S = 0.01


def measure_r1() -> Figure:
    """Synchronous end to end ÷ time inside the runtime session, 720p in."""
    timed = _TimedSession(_load(SSD).session)
    pipeline = _pipeline(LoadedModel(_manifest(SSD), timed))
    frame = _frame()
    whole_s, inside_s = [], []
    for _ in range(ROUNDS):
        timed.spent_s = 0.0
        whole_s.append(time_call(lambda: pipeline.judge(frame)))
        inside_s.append(timed.spent_s)
    pipeline.close()
    beside_s = [whole - inside for whole, inside in zip(whole_s, inside_s, strict=True)]
    note = f"COCO-SSD 300², OpenVINO f32, {_ms('session', inside_s)}, {_ms('beside it', beside_s)}"
    return Figure("R1", 1.06, "at most", divide(whole_s, inside_s), note)


def measure_r2() -> Figure:
    """Synchronous end to end ÷ raw OpenVINO inference of the same tensor."""
    pipeline, frame = _pipeline(_load(SSD)), _frame()
    raw = _raw_request(SSD)
    runs = {
        "ours": lambda: time_call(lambda: pipeline.judge(frame)),
        "raw": lambda: time_call(raw),
    }
    seconds = take_turns(runs, ROUNDS)
    pipeline.close()
    return Figure(
        "R2", 1.25, "at most", divide(seconds["ours"], seconds["raw"]), _ms("raw", seconds["raw"])
    )


def measure_r3(rounds: int = 7) -> Figure:
    """Overlapped pipeline ÷ OpenVINO's ``AsyncInferQueue``, frames a second."""
    options = SessionOptions(threads=THREADS, in_flight=3)
    pipeline, frame = _pipeline(_load(SSD, options)), _frame()
    queue, tensor = _raw_queue(SSD), prepare(frame.picture, _manifest(SSD)).tensor

    def run_queue() -> None:
        for _ in range(FRAMES):
            queue.start_async({0: tensor}, share_inputs=True)
        queue.wait_all()

    def run_ours() -> None:
        with Overlapped(pipeline, (frame for _ in range(FRAMES))) as run:
            for _ in run:
                pass

    runs = {"ours": lambda: time_call(run_ours), "raw": lambda: time_call(run_queue)}
    take_turns(runs, 1)
    seconds = take_turns(runs, rounds)
    pipeline.close()
    rate = FRAMES / statistics.median(seconds["raw"])
    return Figure(
        "R3",
        0.80,
        "at least",
        divide(seconds["raw"], seconds["ours"]),
        f"raw queue {rate:.1f} frames/s on {THREADS} threads",
    )


def measure_r4(rounds: int = 5) -> Figure:
    """Frames a second ÷ 1 / the slowest step, where capture and accelerator only sleep."""
    manifest = _manifest(SSD)

    def run_once() -> float:
        pipeline = _pipeline(LoadedModel(manifest, _Sleeper(manifest)))
        frame = _frame()

        def camera() -> Iterator[Frame]:
            for _ in range(FRAMES):
                time.sleep(STEP_S * 0.8)
                yield frame

        with Overlapped(pipeline, camera()) as run:
            results = iter(run)
            next(results)  # the way of the first frame through all steps is no throughput
            begun = time.perf_counter()
            for _ in results:
                pass
            return (time.perf_counter() - begun) / (FRAMES - 1)

    ratios = [STEP_S / run_once() for _ in range(rounds)]
    note = f"accelerator {STEP_S * 1000:.0f} ms, capture {STEP_S * 800:.0f} ms"
    return Figure("R4", 0.95, "at least", ratios, note)


def measure_r5() -> Figure:
    """A run of two models in turn ÷ a run of the same model alone, both models' median."""
    alone = {
        name: _pipeline(_load(name, runtime=RuntimeName.ONNXRUNTIME)) for name in (SSD, NANODET)
    }
    frame = _frame()
    seconds: dict[str, list[float]] = {}

    def block(names: list[str], label: str) -> None:
        for name in names:
            spent = time_call(lambda name=name: alone[name].judge(frame))  # type: ignore[misc] # mypy knows no lambda defaults
            seconds.setdefault(f"{label} {name}", []).append(spent)

    for _ in range(ROUNDS // 4):
        for name in (SSD, NANODET):
            block([name] * 4, "alone")
        block([SSD, NANODET] * 4, "turns")
    ratios = [
        ratio
        for name in (SSD, NANODET)
        for ratio in divide(
            _medians(seconds[f"turns {name}"], 4), _medians(seconds[f"alone {name}"], 4)
        )
    ]
    for pipeline in alone.values():
        pipeline.close()
    return Figure("R5", 1.1, "at most", ratios, "COCO-SSD and NanoDet, ONNX Runtime")


def measure_r6(rounds: int = 5) -> Figure:
    """p99 ÷ p50 of ours, over p99 ÷ p50 of the raw runtime."""
    pipeline, frame = _pipeline(_load(SSD)), _frame()
    raw = _raw_request(SSD)
    runs = {
        "ours": lambda: time_call(lambda: pipeline.judge(frame)),
        "raw": lambda: time_call(raw),
    }
    ratios = []
    for _ in range(rounds):
        seconds = take_turns(runs, 150)
        ours, theirs = (
            percentile(seconds[name], 0.99) / percentile(seconds[name], 0.5) for name in runs
        )
        ratios.append(ours / theirs)
    pipeline.close()
    return Figure("R6", 1.15, "at most", ratios, "150 frames a round")


def measure_r8() -> Figure:
    """Bytes of arrays allocated for a frame ÷ bytes of the frame, warm."""
    pipeline, frame = _pipeline(_load(SSD)), _frame()
    for _ in range(5):
        pipeline.judge(frame)
    ratios = [
        count_array_bytes(lambda: pipeline.judge(frame)) / frame.picture.nbytes for _ in range(10)
    ]
    pipeline.close()
    return Figure("R8", 0.1, "at most", ratios, f"frame of {frame.picture.nbytes} bytes")


MEASURES: tuple[Callable[[], Figure], ...] = (
    measure_r1,
    measure_r2,
    measure_r3,
    measure_r4,
    measure_r5,
    measure_r6,
    measure_r8,
)


class _TimedSession:
    """Adds up the time inside a session."""

    def __init__(self, session: Any) -> None:
        self.inputs, self.outputs = session.inputs, session.outputs
        self.metadata = session.metadata
        self.spent_s = 0.0
        self._session = session

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        begun = time.perf_counter()
        outputs: dict[str, Any] = self._session.run(inputs)
        self.spent_s += time.perf_counter() - begun
        return outputs

    def close(self) -> None:
        self._session.close()


class _Sleeper:
    """An accelerator that keeps no core busy: each run sleeps, and nothing is found."""

    def __init__(self, manifest: ModelManifest) -> None:
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata: dict[str, str] = {}
        self._nothing = {
            spec.name: np.zeros(spec.fixed_shape, spec.dtype) for spec in manifest.outputs
        }

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        time.sleep(STEP_S)
        return self._nothing

    def close(self) -> None:
        """Nothing to give back."""


@lru_cache
def _manifest(name: str) -> ModelManifest:
    return read_document(SAMPLES / "models" / f"{name}.manifest.json", ModelManifest)


def _load(
    name: str,
    options: SessionOptions | None = None,
    runtime: RuntimeName = RuntimeName.OPENVINO,
) -> LoadedModel:
    path = SAMPLES / "models" / f"{name}.onnx"
    return load_model(path, _manifest(name), runtime, options or SessionOptions(threads=THREADS))


def _pipeline(model: LoadedModel) -> Pipeline:
    spec = PipelineSpec.model_validate(
        {
            "pipeline": "bench",
            "stages": [{"id": "found", "model": "m"}],
            "rules": [{"fail": "found.count() > 100", "because": "crowded"}],
        }
    )
    pipeline = Pipeline(spec, {"m": model})
    pipeline.warm_up()
    return pipeline


@lru_cache
def _picture() -> Picture:
    street = read_picture(SAMPLES / "images" / "messi5.jpg")
    return np.asarray(cv2.resize(street, (1280, 720)), dtype=np.uint8)


def _frame() -> Frame:
    now = datetime.now(timezone.utc)
    frame = Frame("bench", 0, "messi5.jpg", now, time.perf_counter(), _picture())
    return replace(frame, mm_per_px=None)


def _compile(name: str, hints: dict[str, Any]) -> ov.CompiledModel:
    core = ov.Core()
    model = core.read_model(str(SAMPLES / "models" / f"{name}.onnx"))
    return core.compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32", **hints}
    )


def _raw_request(name: str) -> Callable[[], object]:
    request = _compile(name, {"NUM_STREAMS": 1}).create_infer_request()
    tensor = prepare(_picture(), _manifest(name)).tensor
    return lambda: request.infer({0: tensor}, share_inputs=True, share_outputs=True)


def _raw_queue(name: str) -> ov.AsyncInferQueue:
    return ov.AsyncInferQueue(_compile(name, {"PERFORMANCE_HINT": "THROUGHPUT"}))


def _medians(values: list[float], size: int) -> list[float]:
    return [
        statistics.median(values[begin : begin + size]) for begin in range(0, len(values), size)
    ]


def _ms(name: str, seconds: list[float]) -> str:
    return f"{name} {statistics.median(seconds) * 1000:.2f} ms"
