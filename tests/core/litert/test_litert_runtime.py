"""TFLite answers with the ONNX's names, axes and floats, and refuses what it cannot know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.image import prepare
from inference_core.runtimes.base import SessionOptions, run_on_zeros
from inference_core.runtimes.litert import RUNTIME, LiteRtSession
from inference_core.runtimes.litert_notes import NOTES_KEY
from inference_core.runtimes.onnxruntime import RUNTIME as REFERENCE
from server.demo.board_sets import GOLDEN
from tests.core.core_models import MODELS, sample_manifest, segmenter
from tests.core.litert.tflite_models import (
    FILE_SHAPE,
    TO_FILE,
    doubler,
    edge_tpu_model,
    noted,
    pack,
    unpack,
    write,
)

CONVERTED = Path(__file__).with_name("models")
INT8 = schema.TensorType.INT8
UINT8 = schema.TensorType.UINT8


def load(path: Path, manifest: ModelManifest) -> LiteRtSession:
    return RUNTIME.load(path, manifest, SessionOptions(threads=2))


def picture(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 3, 6, 8), dtype=np.float32)


def as_it_lies() -> ModelManifest:
    """The manifest of a foreign file: NHWC, as the file has it."""
    manifest = segmenter()
    spec = manifest.inputs[0].model_copy(update={"shape": FILE_SHAPE})
    output = manifest.outputs[0].model_copy(update={"shape": FILE_SHAPE})
    return manifest.model_copy(update={"inputs": (spec,), "outputs": (output,)})


@pytest.mark.parametrize(
    ("precision", "agreement", "error"), [("fp32", 1.0, 1e-3), ("int8", 0.995, 3.0)]
)
def test_it_finds_on_real_boards_what_onnx_runtime_finds(
    precision: str, agreement: float, error: float
) -> None:
    manifest = sample_manifest("board-defects")
    reference = REFERENCE.load(MODELS / "board-defects" / "model.onnx", manifest)
    session = load(CONVERTED / f"board-defects.{precision}.tflite", manifest)
    flawed = 0
    for (_, board), _ in zip(GOLDEN.boards(), range(6), strict=False):
        feed = {"image": prepare(board.image, manifest).tensor}
        expected, actual = reference.run(feed)["logits"], session.run(feed)["logits"]
        classes = expected.argmax(axis=1)
        flawed += int((classes > 0).sum())
        assert actual.shape == expected.shape
        assert actual.dtype == expected.dtype
        assert actual.flags.c_contiguous
        assert (actual.argmax(axis=1) == classes).mean() >= agreement
        assert np.median(np.abs(actual - expected)) <= error
    assert flawed > 100, "boards without flaws would prove nothing"


def test_it_turns_pictures_to_the_axes_of_the_file_and_back(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", noted(doubler())), segmenter())
    np.testing.assert_allclose(session.run({"image": picture()})["logits"], 2 * picture())


def test_equal_sides_are_not_mixed_up(tmp_path: Path) -> None:
    # 1×3×3×3: no shape tells channels from rows; the notes in the file do.
    cube = segmenter(width=3, height=3)
    session = load(write(tmp_path / "m", noted(doubler((1, 3, 3, 3)))), cube)
    values = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    np.testing.assert_array_equal(session.run({"image": values})["logits"], 2 * values)


def test_names_with_colons_and_slashes_are_kept(tmp_path: Path) -> None:
    names = "Preprocessor/sub:0", "Postprocessor/Slice:0"
    fields = segmenter().model_dump()
    fields["inputs"][0]["name"], fields["outputs"][0]["name"] = names
    fields["decoder"]["output"] = names[1]
    path = write(tmp_path / "m", noted(doubler(names=("a", "b")), *names))
    session = load(path, ModelManifest.model_validate(fields))
    assert run_on_zeros(session).keys() == {names[1]}


@pytest.mark.parametrize(("dtype", "zero_point"), [(INT8, -128), (UINT8, 0)])
def test_integers_are_told_as_floats(tmp_path: Path, dtype: int, zero_point: int) -> None:
    scale = 1 / 200
    data = doubler(dtype=dtype, scale=scale, zero_point=zero_point)
    session = load(write(tmp_path / "m", noted(data)), segmenter())
    outputs = session.run({"image": picture()})["logits"]
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, 2 * picture(), atol=1.5 * scale)


def test_what_lies_beyond_the_range_of_the_integers_stays_at_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "m", noted(doubler(dtype=INT8, scale=0.01)))
    session = load(path, segmenter())
    high = session.run({"image": np.full((1, 3, 6, 8), 1e6, np.float32)})["logits"]
    low = session.run({"image": np.full((1, 3, 6, 8), -1e6, np.float32)})["logits"]
    assert (high > 0).all()
    assert (low < 0).all()


def test_a_manifest_in_integers_gets_them_as_they_are(tmp_path: Path) -> None:
    manifest = segmenter()
    fields = manifest.model_dump()
    fields["inputs"][0]["dtype"] = fields["outputs"][0]["dtype"] = "int8"
    path = write(tmp_path / "m", noted(doubler(dtype=INT8, scale=0.1)))
    session = load(path, ModelManifest.model_validate(fields))
    assert session.run({"image": np.zeros((1, 3, 6, 8), np.int8)})["logits"].dtype == np.int8
    with pytest.raises(InferenceFailed, match="Cannot cast"):
        session.run({"image": picture()})


def test_metadata_of_the_onnx_comes_with_the_file(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", noted(doubler())), segmenter())
    assert session.metadata == {"author": "tests"}


def test_a_foreign_file_is_taken_as_it_lies(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", doubler()), as_it_lies())
    values = np.ascontiguousarray(picture().transpose(TO_FILE))
    np.testing.assert_allclose(session.run({"image": values})["logits"], 2 * values)
    assert session.metadata == {}


def test_a_foreign_file_with_open_sides_takes_the_manifests_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "m", doubler((1, 1, 1, 3), open_axes=(1, 2)))
    assert run_on_zeros(load(path, as_it_lies()))["logits"].shape == FILE_SHAPE


def test_a_foreign_file_is_not_guessed_to_be_turned(tmp_path: Path) -> None:
    path = write(tmp_path / "m", doubler())
    with pytest.raises(LoadFailed, match=r"1×6×8×3 in the graph.*not built by Linewarden.*NHWC"):
        load(path, segmenter())


@pytest.mark.parametrize("wrap", [doubler, lambda: noted(doubler())])
def test_a_graph_without_the_declared_output_is_refused(tmp_path: Path, wrap: object) -> None:
    manifest = as_it_lies() if wrap is doubler else segmenter()
    outputs = (manifest.outputs[0].model_copy(update={"name": "masks"}),)
    path = write(tmp_path / "m", wrap())  # type: ignore[operator]
    with pytest.raises(LoadFailed, match=r"masks.*logits"):
        load(path, manifest.model_copy(update={"outputs": outputs}))


def test_a_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m", noted(doubler()))
    with pytest.raises(LoadFailed, match=r"1×3×6×8 in the graph, but 1×3×8×8"):
        load(path, segmenter(height=8))


def test_integers_without_a_scale_are_not_taken_for_floats(tmp_path: Path) -> None:
    path = write(tmp_path / "m", noted(doubler(dtype=schema.TensorType.INT32)))
    with pytest.raises(LoadFailed, match="int32 in the graph, but float32"):
        load(path, segmenter())


def test_a_wrong_input_fails_alone_and_the_session_lives_on(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", noted(doubler())), segmenter())
    for wrong in (
        {"nothing": picture()},
        {"image": picture()[:, :, :3]},
        {"image": picture()[0]},
        {"image": picture().astype(np.float64)},
    ):
        with pytest.raises(InferenceFailed):
            session.run(wrong)
    assert (session.run({"image": picture()})["logits"] == 2 * picture()).all()


def test_outputs_stay_as_they_were_when_the_session_runs_again(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", noted(doubler())), segmenter())
    first = session.run({"image": picture()})["logits"]
    run_on_zeros(session)
    assert (first == 2 * picture()).all()


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    session = load(write(tmp_path / "m", noted(doubler())), segmenter())
    session.close()
    with pytest.raises(InferenceFailed, match="closed"):
        run_on_zeros(session)


def test_a_file_for_the_edge_tpu_says_what_to_install(tmp_path: Path) -> None:
    # Where libedgetpu is installed and no Coral is plugged in, the other sentence comes.
    path = write(tmp_path / "m", noted(edge_tpu_model()))
    with pytest.raises(Exception, match=r"Edge TPU.*(libedgetpu1-std|plug one in)") as caught:
        load(path, segmenter())
    assert type(caught.value).__name__ in {"RuntimeUnavailable", "LoadFailed"}


@pytest.mark.parametrize("content", [b"", b"TFL3", b"not a model", b"\x1c\0\0\0TFL3" + bytes(64)])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LoadFailed):
        load(write(tmp_path / "m", content), segmenter())


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="No such file"):
        load(tmp_path / "gone", segmenter())


def test_a_file_that_kills_the_interpreter_is_refused_and_we_live_on(tmp_path: Path) -> None:
    # Integers that say nothing of their scale: ai-edge-litert 2.3.0 ends in an abort.
    path = write(tmp_path / "m", noted(doubler(dtype=INT8)))
    with pytest.raises(LoadFailed, match=r"brings LiteRT down \(signal 6\): the file is damaged"):
        load(path, segmenter())


def test_damaged_copies_of_a_model_are_refused_or_answer(tmp_path: Path) -> None:
    whole = noted(doubler())
    generator = np.random.default_rng(5)
    for number in range(12):
        data = bytearray(whole)
        if number % 2:
            del data[int(generator.integers(8, len(data))) :]
        else:
            for place in generator.integers(0, len(data), 4):
                data[place] = generator.integers(256)
        try:
            outputs = run_on_zeros(load(write(tmp_path / "m", bytes(data)), segmenter()))
        except (LoadFailed, InferenceFailed):
            continue
        assert outputs["logits"].shape == (1, 3, 6, 8)


@pytest.mark.parametrize(
    "notes",
    [
        b"{",
        b'{"inputs": [], "outputs": []}',
        b'{"inputs": [{"name": "image", "axes": [0, 0, 1, 1]}], "outputs": []}',
        (
            b'{"inputs": [{"name": "image", "axes": [0, 1]}], '
            b'"outputs": [{"name": "logits", "axes": [0, 1]}]}'
        ),
    ],
)
def test_notes_that_do_not_fit_the_graph_are_refused(tmp_path: Path, notes: bytes) -> None:
    model = unpack(noted(doubler()))
    entry = next(item for item in model.metadata if item.name.decode() == NOTES_KEY)
    model.buffers[entry.buffer].data = np.frombuffer(notes, np.uint8)
    with pytest.raises(LoadFailed, match=r"its notes? "):
        load(write(tmp_path / "m", pack(model)), segmenter())
