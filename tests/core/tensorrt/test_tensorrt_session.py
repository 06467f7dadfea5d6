"""The session's own logic. No GPU is here, so lane and context are played by ``fake_gpu``; what
TensorRT computes, and how fast, shows on hardware only."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import InferenceFailed, LoadFailed, RuntimeUnavailable
from inference_core.runtimes.base import check_outputs, run_on_zeros
from inference_core.runtimes.tensorrt import TensorRtSession, open_slots
from inference_core.tensorrt import memory
from tests.core.tensorrt.fake_gpu import LIBRARY, FakeEngine, FakeGpu

MANIFEST = ModelManifest.model_validate(
    {
        "task": "anomaly",
        "inputs": [{"name": "image", "shape": [1, 1, 2, 2]}],
        "outputs": [
            {"name": "double", "shape": [1, 1, 2, 2]},
            {"name": "found", "shape": [None]},
        ],
        "decoder": {"kind": "anomaly", "map_output": "double"},
        "licence": "Apache-2.0",
    }
)


def open_session(engine: FakeEngine, in_flight: int = 1) -> TensorRtSession:
    slots = open_slots(LIBRARY, engine, MANIFEST, in_flight, engine.gpu.open_lane)
    return TensorRtSession(slots, MANIFEST, keep=engine)


def picture(*values: float) -> dict[str, np.ndarray]:
    return {"image": np.array(values, np.float32).reshape(1, 1, 2, 2)}


def test_outputs_come_back_with_shapes_that_only_the_network_knows() -> None:
    outputs = open_session(FakeEngine(FakeGpu())).run(picture(1, -2, 3, -4))

    assert outputs["double"].tolist() == [[[[2, -4], [6, -8]]]]
    assert outputs["found"].tolist() == [1, 3]
    check_outputs(outputs, MANIFEST.outputs)


def test_nothing_found_is_an_empty_array() -> None:
    assert run_on_zeros(open_session(FakeEngine(FakeGpu())))["found"].shape == (0,)


def test_outputs_belong_to_the_caller() -> None:
    session = open_session(FakeEngine(FakeGpu()))

    first = session.run(picture(1, 1, 1, 1))
    session.run(picture(5, 5, 5, 5))

    assert first["double"].max() == 2


def test_several_inferences_are_in_flight_and_answered_in_any_order() -> None:
    session = open_session(FakeEngine(FakeGpu()), in_flight=3)

    tickets = [session.submit(picture(n, n, n, n)) for n in (1, 2, 3)]
    answers = [session.wait(ticket)["double"].max() for ticket in reversed(tickets)]

    assert session.max_in_flight == 3
    assert answers == [6, 4, 2]


def test_the_callers_arrays_are_free_once_submitted() -> None:
    session = open_session(FakeEngine(FakeGpu()))
    inputs = picture(1, 1, 1, 1)

    ticket = session.submit(inputs)
    inputs["image"][:] = 9

    assert session.wait(ticket)["double"].max() == 2


def test_one_more_than_may_be_in_flight_is_refused_and_harms_none() -> None:
    session = open_session(FakeEngine(FakeGpu()), in_flight=2)
    tickets = [session.submit(picture(n, 0, 0, 0)) for n in (1, 2)]

    with pytest.raises(InferenceFailed, match="all 2 inferences in flight are taken"):
        session.submit(picture(3, 0, 0, 0))

    assert [session.wait(ticket)["double"].max() for ticket in tickets] == [2, 4]


def test_a_ticket_is_good_for_one_wait() -> None:
    session = open_session(FakeEngine(FakeGpu()))
    ticket = session.submit(picture(1, 2, 3, 4))
    session.wait(ticket)

    with pytest.raises(InferenceFailed, match="no open ticket"):
        session.wait(ticket)
    with pytest.raises(InferenceFailed, match="no open ticket"):
        session.wait("a stranger's")


def test_a_gpu_that_hangs_is_a_timeout_and_its_slot_comes_back_when_it_wakes() -> None:
    gpu = FakeGpu()
    session = open_session(FakeEngine(gpu))
    ticket = session.submit(picture(1, 2, 3, 4))
    gpu.hangs = True

    with pytest.raises(InferenceFailed, match=r"no answer within 0\.01 s"):
        session.wait(ticket, timeout_s=0.01)
    with pytest.raises(InferenceFailed, match="are taken"):
        session.submit(picture(0, 0, 0, 0))
    gpu.hangs = False

    assert session.run(picture(4, 0, 0, 0))["double"].max() == 8


def test_what_tensorrt_says_is_in_the_error_and_the_next_frame_works() -> None:
    engine = FakeEngine(FakeGpu())
    session = open_session(engine)
    engine.refuses = "run"

    with pytest.raises(InferenceFailed, match="enqueueV3: Error Code 1: Cuda Runtime"):
        session.run(picture(1, 2, 3, 4))
    engine.refuses = ""

    assert session.run(picture(1, 2, 3, 4))["double"].max() == 8


@pytest.mark.parametrize(
    "array", [np.zeros((1, 1, 2, 3), np.float32), np.zeros((1, 1, 2, 2), np.float64)]
)
def test_an_input_of_another_shape_or_type_never_reaches_the_gpu(array: np.ndarray) -> None:
    engine = FakeEngine(FakeGpu())
    session = open_session(engine)

    with pytest.raises(InferenceFailed, match="and the engine takes float32"):
        session.run({"image": array})

    assert engine.runs == 0
    assert session.run(picture(1, 0, 0, 0))["double"].max() == 2


@pytest.mark.parametrize("refuses", ["context", "profile", "shape", "address"])
def test_what_the_engine_refuses_at_load_gives_all_memory_back(refuses: str) -> None:
    gpu = FakeGpu()
    engine = FakeEngine(gpu, profiles=1)
    engine.refuses = refuses

    with pytest.raises(LoadFailed):
        open_session(engine, in_flight=2)

    assert not gpu.memory
    assert all(lane.is_closed for lane in gpu.lanes.values())


@pytest.mark.parametrize("fails_at", [0, 2, 4])
def test_a_gpu_without_room_is_a_load_that_failed_with_cudas_name(fails_at: int) -> None:
    gpu = FakeGpu(fails_at=fails_at)

    with pytest.raises(LoadFailed, match="cudaErrorMemoryAllocation"):
        open_session(FakeEngine(gpu), in_flight=2)

    assert not gpu.memory


def test_an_engine_with_profiles_uses_the_first_on_its_own_stream() -> None:
    engine = FakeEngine(FakeGpu(), profiles=1)
    (slot,) = open_slots(LIBRARY, engine, MANIFEST, 1, engine.gpu.open_lane)

    assert slot._context.profile == (0, 1)


def test_a_closed_session_gives_memory_and_engine_back_and_says_so() -> None:
    gpu = FakeGpu()
    engine = FakeEngine(gpu)
    session = open_session(engine, in_flight=2)
    kept = weakref.ref(engine)

    session.close()
    del engine
    gc.collect()

    assert not gpu.memory
    assert kept() is None
    with pytest.raises(InferenceFailed, match="the session is closed"):
        session.run(picture(0, 0, 0, 0))


def test_cuda_python_says_its_errors_name() -> None:
    """Real cuda-python: without a GPU it cannot make a stream, and says why."""
    pytest.importorskip("cuda.bindings")
    from inference_core.tensorrt import memory_cuda_python

    result = (memory_cuda_python.cudart.cudaError_t.cudaErrorMemoryAllocation, None)
    with pytest.raises(memory.CudaFailed, match="CUDA: cudaErrorMemoryAllocation"):
        memory_cuda_python._check(result)


def test_a_machine_without_cuda_bindings_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "find_spec", lambda name: None)

    with pytest.raises(RuntimeUnavailable, match="pip install pycuda"):
        memory.find_memory()
