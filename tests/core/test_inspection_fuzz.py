from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_core.inspection.inspect import inspect_model
from tests.core.onnx_models import brightness_manifest, brightness_model
from tests.core.test_inspection import MARKING, marking_manifest

IN_ONE_FOLDER = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@lru_cache(maxsize=1)
def small_model() -> bytes:
    return brightness_model().SerializeToString()


def assert_one_clean_answer(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    result = inspect_model(path, brightness_manifest())
    assert (result.report is None) != (result.problem is None)


@IN_ONE_FOLDER
@given(st.data())
def test_every_truncation_gets_one_clean_answer(tmp_path: Path, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(small_model()) - 1))

    assert_one_clean_answer(tmp_path / "model.onnx", small_model()[:length])


@IN_ONE_FOLDER
@given(st.data())
def test_every_flip_of_bytes_gets_one_clean_answer(tmp_path: Path, data: st.DataObject) -> None:
    broken = bytearray(small_model())
    places = st.integers(0, len(broken) - 1)
    for place, value in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)
    ):
        broken[place] = value

    assert_one_clean_answer(tmp_path / "model.onnx", bytes(broken))


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.3, 0.999])
def test_a_published_model_cut_anywhere_is_refused_or_whole(tmp_path: Path, share: float) -> None:
    data = MARKING.read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(data[: int(len(data) * share)])

    result = inspect_model(path, marking_manifest(alphabet_key="character"))

    assert result.problem is not None
