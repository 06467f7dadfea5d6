"""Several inputs under way: every runtime keeps them apart, and says no instead of hanging."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed
from inference_core.pipeline.lanes import Lane
from inference_core.runtimes.base import AsyncSession, SessionOptions
from inference_core.runtimes.lookup import get_runtime
from inference_core.runtimes.reuse import OutputPool
from inference_core.runtimes.threaded import ThreadedSession, overlap
from tests.core.core_models import segmenter, write_fake
from tests.core.test_runtimes import REAL, doubler

OPTIONS = SessionOptions(threads=2, in_flight=3)


def feed(value: float) -> dict[str, Any]:
    return {"image": np.full((1, 3, 6, 8), value, np.float32)}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[..., AsyncSession]]:
    """An overlapped fake that behaves as told; its thread ends with the test."""
    sessions = []

    def load_overlapped(**behaviour: Any) -> AsyncSession:
        path = write_fake(tmp_path, **behaviour)
        sessions.append(overlap(get_runtime(RuntimeName.FAKE).load(path, segmenter())))
        return sessions[-1]

    yield load_overlapped
    for session in sessions:
        session.close()


@pytest.mark.parametrize("name", REAL)
def test_inferences_under_way_are_kept_apart(name: RuntimeName, tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx")
    session = overlap(get_runtime(name).load(path, segmenter(), OPTIONS))
    for first in range(0, 30, 2):
        inputs = [feed(first), feed(first + 1)]
        tickets = [session.submit(each) for each in inputs]
        for place, ticket in reversed(list(enumerate(tickets))):
            assert (session.wait(ticket)["logits"] == 2 * (first + place)).all()
    assert session.max_in_flight >= 2
    assert (session.run(feed(7))["logits"] == 14).all()
    session.close()


def test_openvino_takes_as_many_as_it_was_granted_and_no_more(tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx")
    session = get_runtime(RuntimeName.OPENVINO).load(path, segmenter(), OPTIONS)
    assert isinstance(session, AsyncSession)
    assert overlap(session) is session
    inputs = [feed(value) for value in range(3)]
    tickets = [session.submit(each) for each in inputs]
    with pytest.raises(InferenceFailed, match="3 inferences are under way"):
        session.submit(inputs[0])
    assert [session.wait(ticket)["logits"].max() for ticket in tickets] == [0, 2, 4]
    session.close()
    with pytest.raises(InferenceFailed, match="closed"):
        session.submit(inputs[0])


@pytest.mark.parametrize("name", REAL)
def test_wrong_inputs_fail_and_the_next_ones_do_not(name: RuntimeName, tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx")
    session = overlap(get_runtime(name).load(path, segmenter(), OPTIONS))
    with pytest.raises(InferenceFailed):
        session.wait(session.submit({"nothing": feed(1)["image"]}))
    assert (session.wait(session.submit(feed(3)))["logits"] == 6).all()
    session.close()


def test_a_wait_that_is_too_long_raises_and_the_session_goes_on(
    fake: Callable[..., AsyncSession],
) -> None:
    session = fake(run_s=0.2)
    ticket = session.submit(feed(1))
    with pytest.raises(InferenceFailed, match=r"no answer within 0\.01 s"):
        session.wait(ticket, timeout_s=0.01)
    assert session.run(feed(1))["logits"].shape == (1, 3, 6, 8)


def test_an_error_of_the_library_is_raised_where_it_is_waited_for(
    fake: Callable[..., AsyncSession],
) -> None:
    session = fake(fail_from_run=0)
    ticket = session.submit(feed(1))
    with pytest.raises(InferenceFailed, match="the fake fails"):
        session.wait(ticket)


def test_a_strangers_ticket_is_refused(fake: Callable[..., AsyncSession], tmp_path: Path) -> None:
    real = get_runtime(RuntimeName.OPENVINO).load(doubler(tmp_path / "m.onnx"), segmenter())
    for session in (fake(), overlap(real)):
        with pytest.raises(InferenceFailed, match="no ticket"):
            session.wait(object())


def test_release_ends_the_thread_and_keeps_the_session_loaded(tmp_path: Path) -> None:
    session = get_runtime(RuntimeName.FAKE).load(write_fake(tmp_path), segmenter())
    shim = overlap(session)
    assert isinstance(shim, ThreadedSession)
    shim.run(feed(1))
    assert shim.release() is session
    assert "infer" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(InferenceFailed, match="closed"):
        shim.submit(feed(1))
    assert session.run(feed(1))["logits"].shape == (1, 3, 6, 8)


@pytest.mark.parametrize("name", REAL)
def test_a_lane_serves_many_threads(name: RuntimeName, tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx")
    lane = Lane(get_runtime(name).load(path, segmenter(), OPTIONS))
    wrong = []

    def ask(value: int) -> None:
        for turn in range(20):
            number = value * 100 + turn
            if not (lane.infer(feed(number))["logits"] == 2 * number).all():
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    lane.close()
    with pytest.raises(InferenceFailed, match="closed"):
        lane.infer(feed(1))


def test_outputs_are_the_callers_as_long_as_it_holds_them_or_a_view_of_them() -> None:
    pool, values = OutputPool(), np.arange(12, dtype=np.float32).reshape(3, 4)
    held, view = pool.copy(values), pool.copy(values + 1)[1:, ::2].T
    for _ in range(40):
        pool.copy(values * 0)
    assert (held == values).all()
    assert (view == (values + 1)[1:, ::2].T).all()


def test_an_array_that_nobody_holds_is_used_again() -> None:
    pool, values = OutputPool(), np.ones((2, 2), np.float32)
    addresses = {pool.copy(values).ctypes.data for _ in range(5)}
    assert len(addresses) == 1
    other = pool.copy(np.ones((2, 2), np.int32))
    assert other.dtype == np.int32
    assert pool.copy(np.ones(3, np.float32)).shape == (3,)
