"""Frames overlap, and still: one result each, in order, every frame accounted for, no hang."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.pipeline import PipelineSpec
from inference_core.contract.serve import FrameLost
from inference_core.contract.words import FailureCause, RuntimeName, VerdictWord
from inference_core.errors import InferenceFailed
from inference_core.pipeline.conveyor import CLOSED, TOO_LATE, Account, Conveyor, Judged
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.pipeline.overlapped import Overlapped
from inference_core.runtimes.base import SessionOptions
from tests.core.core_models import (
    MODELS,
    board,
    frame_of,
    sample_manifest,
    sample_pipeline,
    segmenter,
)

GREY = np.full((60, 80, 3), 128, np.uint8)
SPEC = PipelineSpec.model_validate(
    {
        "pipeline": "p",
        "stages": [{"id": "defects", "model": "d"}],
        "rules": [{"fail": "defects.count('scratch') > 0", "because": "scratched"}],
    }
)
LONGEST_DELAY_S = 0.003
PATIENCE_S = 20


@dataclass
class Script:
    """What one inference does."""

    delay_s: float = 0.0
    fault: str = ""


class ScriptedSession:
    """A sleeping accelerator: each run does what its line of the script says."""

    def __init__(self, lines: list[Script], manifest: ModelManifest) -> None:
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata: dict[str, str] = {}
        self.is_closed = False
        self._lines = iter(lines)
        self._busy = threading.Lock()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        assert self._busy.acquire(blocking=False), "two runs at once"
        try:
            line = next(self._lines, Script())
            time.sleep(line.delay_s)
            if line.fault == "fails":
                raise InferenceFailed("as told")
            if line.fault == "breaks":
                raise RuntimeError("the library is broken")
            if line.fault == "ends":
                raise MemoryError
            value = np.nan if line.fault == "nan" else 0.0
            return {"logits": np.full((1, 3, 6, 8), value, np.float32)}
        finally:
            self._busy.release()

    def close(self) -> None:
        self.is_closed = True


def scripted(*lines: Script) -> Pipeline:
    manifest = segmenter()
    return Pipeline(SPEC, {"d": LoadedModel(manifest, ScriptedSession(list(lines), manifest))})


def frame(sequence: int) -> Frame:
    return replace(frame_of(GREY), sequence=sequence, read_from_s=time.perf_counter())


def lost() -> FrameLost:
    now = datetime.now(timezone.utc)
    return FrameLost(camera="cam", cause="corrupt_image", detail="cut short", captured_at=now)


def frames(count: int, every_s: float = 0.0) -> Iterator[Frame]:
    for sequence in range(count):
        time.sleep(every_s)
        yield frame(sequence)


def is_balanced(account: Account) -> bool:
    dropped = sum(account.dropped.values())
    return account.captured == account.done + dropped + account.in_flight


def threads_of_ours() -> list[str]:
    ours = {"capture", "slot", "lane", "infer"}
    return [thread.name for thread in threading.enumerate() if thread.name in ours]


delays = st.floats(0, LONGEST_DELAY_S)
faults = st.sampled_from(["", "", "", "fails", "breaks", "nan"])
scripts = st.lists(st.builds(Script, delays, faults), max_size=12)
captures = st.lists(st.tuples(delays, st.booleans()), max_size=12)


@settings(max_examples=40, deadline=None)
@given(scripts, captures, st.integers(1, 5))
def test_every_frame_of_a_file_is_judged_once_and_in_order(
    lines: list[Script], taken: list[tuple[float, bool]], slots: int
) -> None:
    def items() -> Iterator[Frame | FrameLost]:
        for sequence, (delay_s, is_lost) in enumerate(taken):
            time.sleep(delay_s)
            yield lost() if is_lost else frame(sequence)

    expected = [None if is_lost else sequence for sequence, (_, is_lost) in enumerate(taken)]
    with Overlapped(scripted(*lines), items(), slots=slots) as run:
        passed = []
        for item in run:
            passed.append(item)
            assert is_balanced(run.account)
    seen = [item.result.sequence if isinstance(item, Judged) else None for item in passed]
    assert seen == expected
    losses = expected.count(None)
    dropped = {"corrupt_image": losses} if losses else {}
    assert run.account == Account(len(expected), len(expected) - losses, dropped, 0)
    assert not threads_of_ours()


@settings(max_examples=30, deadline=None)
@given(scripts, st.lists(delays, max_size=20), st.integers(1, 4))
def test_a_live_camera_is_accounted_for_and_in_order(
    lines: list[Script], waits: list[float], slots: int
) -> None:
    def items() -> Iterator[Frame]:
        for sequence, delay_s in enumerate(waits):
            time.sleep(delay_s)
            yield frame(sequence)

    with Overlapped(scripted(*lines), items(), live=True, slots=slots) as run:
        seen = [item.result.sequence for item in run if isinstance(item, Judged)]
        assert is_balanced(run.account)
    assert seen == sorted(set(seen))
    assert not waits or seen[-1] == len(waits) - 1, "the latest frame wins"
    assert run.account.captured == len(waits)
    assert run.account.dropped.get(TOO_LATE, 0) == len(waits) - len(seen)


@settings(max_examples=30, deadline=None)
@given(scripts, st.integers(0, 6), st.booleans())
def test_closing_early_leaves_no_thread_and_no_frame_unaccounted(
    lines: list[Script], wanted: int, live: bool
) -> None:
    # A live camera that never ends: frames that overtake each other must not use up the source.
    source = frames(sys.maxsize if live else 1000)
    with Overlapped(scripted(*lines), source, live=live) as run:
        results = iter(run)
        for _ in range(wanted):
            next(results)
    assert not threads_of_ours()
    account = run.account
    assert is_balanced(account)
    assert account.in_flight == 0
    assert account.done == wanted
    assert account.captured < 1000 or live


def test_a_fault_fails_its_frame_and_the_next_one_is_judged() -> None:
    pipeline = scripted(Script(), Script(fault="nan"), Script(fault="fails"), Script())
    with Overlapped(pipeline, frames(4), slots=1) as run:  # so that run and frame go together
        results = [item.result for item in run if isinstance(item, Judged)]
    faults = [result.fault for result in results]
    assert faults == [None, FailureCause.NOT_FINITE, FailureCause.OTHER, None]
    assert [result.verdict.value for result in results] == ["pass", "fail", "fail", "pass"]


def test_a_source_that_raises_ends_the_run_after_its_frames() -> None:
    def items() -> Iterator[Frame]:
        yield frame(0)
        yield frame(1)
        raise OSError("the disk is gone")

    with Overlapped(scripted(), items()) as run:
        results = iter(run)
        seen = [next(results) for _ in range(2)]
        with pytest.raises(OSError, match="disk is gone"):
            next(results)
    assert [item.result.sequence for item in seen if isinstance(item, Judged)] == [0, 1]
    assert not threads_of_ours()


def test_memory_that_runs_out_ends_the_run_at_once() -> None:
    pipeline = scripted(Script(), Script(fault="ends"))
    with Overlapped(pipeline, frames(1000)) as run, pytest.raises(MemoryError):
        list(run)
    assert not threads_of_ours()
    assert is_balanced(run.account)


def test_an_inference_that_hangs_fails_its_frame_and_the_run_goes_on() -> None:
    pipeline = scripted(Script(), Script(delay_s=1.6))
    with Overlapped(pipeline, frames(3), infer_timeout_s=0.5) as run:
        results = [item.result for item in run if isinstance(item, Judged)]
    assert [result.sequence for result in results] == [0, 1, 2]
    failed = [result for result in results if result.verdict is VerdictWord.FAIL]
    assert len(failed) == 2, "the one that hangs, and the one behind it"
    assert all("no answer within" in result.reasons[0] for result in failed)
    assert not threads_of_ours()


def test_the_pipeline_is_as_it_was_afterwards() -> None:
    pipeline = scripted()
    with Overlapped(pipeline, frames(3)) as run:
        list(run)
    assert pipeline.judge(frame(7)).verdict is VerdictWord.PASS
    session = pipeline.models["d"].session
    assert isinstance(session, ScriptedSession)
    assert not session.is_closed


def test_a_reader_that_dawdles_holds_the_source_back() -> None:
    taken: list[int] = []

    def items() -> Iterator[Frame]:
        for sequence in range(100):
            taken.append(sequence)
            yield frame(sequence)

    with Overlapped(scripted(), items(), slots=3) as run:
        next(iter(run))
        deadline = time.monotonic() + PATIENCE_S
        while run.account.in_flight < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert run.account.in_flight == 4, "three slots, and one frame read ahead"
        assert len(taken) <= 6


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_real_models_give_the_verdicts_of_one_frame_at_a_time(runtime: str) -> None:
    spec = sample_pipeline()
    options = SessionOptions(threads=2, in_flight=2)
    models = {
        name: load_model(
            MODELS / name / "model.onnx", sample_manifest(name), RuntimeName(runtime), options
        )
        for name in spec.models
    }
    pipeline = Pipeline(spec, models)
    rubbed_out = board()
    rubbed_out[60:82, 84:152] = rubbed_out[100, 100]
    pictures = [board(), rubbed_out] * 6
    alone = [pipeline.judge(frame_of(picture)) for picture in pictures]
    with Overlapped(pipeline, (frame_of(picture) for picture in pictures)) as run:
        overlapped = [item.result for item in run if isinstance(item, Judged)]
    assert [result.reasons for result in overlapped] == [result.reasons for result in alone]
    assert [result.verdict.value for result in overlapped] == ["pass", "fail"] * 6
    for ours, theirs in zip(overlapped, alone, strict=True):
        for stage, reference in zip(ours.stages, theirs.stages, strict=True):
            assert stage.lines == reference.lines
            assert len(stage.regions) == len(reference.regions)
    pipeline.close()


def test_the_account_of_a_closed_conveyor_stays_balanced() -> None:
    conveyor = Conveyor(slots=2)
    assert conveyor.offer(frame(0))
    conveyor.take()
    assert conveyor.offer(frame(1))
    conveyor.close()
    assert not conveyor.offer(frame(2))
    assert conveyor.take() is None
    assert conveyor.collect() is None
    assert conveyor.account == Account(3, 0, {CLOSED: 3}, 0)


def test_losses_of_a_live_camera_are_told_and_do_not_push_a_frame_out() -> None:
    conveyor = Conveyor(slots=1, live=True)
    for item in (frame(0), lost(), frame(1), lost()):
        conveyor.offer(item)
    assert conveyor.account == Account(4, 0, {"corrupt_image": 2, TOO_LATE: 1}, 1)
    conveyor.end()
