"""Every runtime gives the same answers, and refuses what the manifest does not describe."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.image import prepare
from inference_core.runtimes.base import Session, SessionOptions, run_on_zeros
from inference_core.runtimes.lookup import available, get_runtime
from inference_core.runtimes.openvino import WEIGHTS_NAME, XML_NAME
from tests.core.core_models import MODELS, board, sample_manifest, segmenter, write_fake

REAL = [RuntimeName.ONNXRUNTIME, RuntimeName.OPENVINO, RuntimeName.OPENCV_DNN]
SAMPLES = ["board-defects", "chip-marking"]


def load(name: RuntimeName, path: Path, manifest: ModelManifest) -> Session:
    return get_runtime(name).load(path, manifest, SessionOptions(threads=2))


def doubler(path: Path, shape: tuple[int | str, ...] = (1, 3, 6, 8), dtype: int = 1) -> Path:
    """A graph with one node: logits = image + image."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "image"], ["logits"])],
        "doubler",
        [helper.make_tensor_value_info("image", dtype, shape)],
        [helper.make_tensor_value_info("logits", dtype, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "tests"})
    path.write_bytes(model.SerializeToString())
    return path


def to_ir(onnx_path: Path, archive: Path, compression: int = ZIP_STORED) -> Path:
    import openvino as ov

    xml = archive.with_suffix(".xml")
    ov.save_model(ov.Core().read_model(str(onnx_path)), str(xml), compress_to_fp16=False)
    with ZipFile(archive, "w", compression) as file:
        file.write(xml, XML_NAME)
        file.write(xml.with_suffix(".bin"), WEIGHTS_NAME)
    return archive


def test_every_runtime_is_available_with_its_version() -> None:
    found = available()
    for name in REAL:
        assert found[name].version == get_runtime(name).version()
        assert found[name].reason is None


@pytest.mark.parametrize("model", SAMPLES)
@pytest.mark.parametrize("name", REAL[1:])
def test_sample_models_answer_alike_on_every_runtime(name: RuntimeName, model: str) -> None:
    path, manifest = MODELS / model / "model.onnx", sample_manifest(model)
    feed = {manifest.inputs[0].name: prepare(board(), manifest).tensor}
    reference = load(RuntimeName.ONNXRUNTIME, path, manifest).run(feed)
    outputs = load(name, path, manifest).run(feed)
    output = manifest.outputs[0].name
    assert outputs.keys() == reference.keys()
    np.testing.assert_allclose(outputs[output], reference[output], atol=2e-3)


@pytest.mark.parametrize("name", REAL)
def test_a_file_named_by_its_digest_loads(name: RuntimeName, tmp_path: Path) -> None:
    blob = doubler(tmp_path / ("ab" * 32))
    ones = np.ones((1, 3, 6, 8), np.float32)
    session = load(name, blob, segmenter())
    np.testing.assert_array_equal(session.run({"image": ones})["logits"], 2 * ones)


@pytest.mark.parametrize("name", REAL)
def test_open_dimensions_are_filled_by_the_manifest(name: RuntimeName, tmp_path: Path) -> None:
    path = doubler(tmp_path / "open.onnx", ("n", 3, "h", "w"))
    session = load(name, path, segmenter())
    assert run_on_zeros(session)["logits"].shape == (1, 3, 6, 8)


@pytest.mark.parametrize("name", REAL)
def test_outputs_stay_as_they_were_when_the_session_runs_again(
    name: RuntimeName, tmp_path: Path
) -> None:
    session = load(name, doubler(tmp_path / "m.onnx"), segmenter())
    first = session.run({"image": np.ones((1, 3, 6, 8), np.float32)})["logits"]
    session.run({"image": np.zeros((1, 3, 6, 8), np.float32)})
    assert (first == 2).all()


@pytest.mark.parametrize("name", REAL)
def test_a_graph_without_the_declared_output_is_refused(name: RuntimeName, tmp_path: Path) -> None:
    manifest = segmenter()
    outputs = (manifest.outputs[0].model_copy(update={"name": "masks"}),)
    with pytest.raises(LoadFailed, match=r"masks.*logits"):
        load(name, doubler(tmp_path / "m.onnx"), manifest.model_copy(update={"outputs": outputs}))


@pytest.mark.parametrize("name", REAL)
def test_a_graph_of_another_shape_is_refused(name: RuntimeName, tmp_path: Path) -> None:
    manifest = segmenter()
    outputs = (manifest.outputs[0].model_copy(update={"shape": (1, 3, 3, 4)}),)
    with pytest.raises(LoadFailed, match="1×3×3×4"):
        load(name, doubler(tmp_path / "m.onnx"), manifest.model_copy(update={"outputs": outputs}))


@pytest.mark.parametrize("name", REAL[:2])
def test_a_graph_of_another_type_is_refused(name: RuntimeName, tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx", dtype=TensorProto.FLOAT16)
    with pytest.raises(LoadFailed, match="float16 in the graph, but float32"):
        load(name, path, segmenter())


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" + bytes(200)])
def test_bytes_that_are_no_model_are_refused(
    name: RuntimeName, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(content)
    with pytest.raises(LoadFailed):
        load(name, tmp_path / "blob", segmenter())


@pytest.mark.parametrize("name", REAL)
def test_an_absent_file_is_refused(name: RuntimeName, tmp_path: Path) -> None:
    with pytest.raises(LoadFailed):
        load(name, tmp_path / "gone", segmenter())


@pytest.mark.parametrize("name", REAL)
def test_a_closed_session_says_so(name: RuntimeName, tmp_path: Path) -> None:
    session = load(name, doubler(tmp_path / "m.onnx"), segmenter())
    session.close()
    with pytest.raises(InferenceFailed, match="closed"):
        run_on_zeros(session)


@pytest.mark.parametrize("name", REAL)
def test_a_failed_run_raises_our_error_and_the_session_lives_on(
    name: RuntimeName, tmp_path: Path
) -> None:
    session = load(name, doubler(tmp_path / "m.onnx"), segmenter())
    with pytest.raises(InferenceFailed):
        session.run({"nothing": np.zeros((1, 3, 6, 8), np.float32)})
    assert run_on_zeros(session)["logits"].shape == (1, 3, 6, 8)


def test_metadata_comes_with_onnx_runtime_and_openvino(tmp_path: Path) -> None:
    path = doubler(tmp_path / "m.onnx")
    assert load(RuntimeName.ONNXRUNTIME, path, segmenter()).metadata == {"author": "tests"}
    assert load(RuntimeName.OPENVINO, path, segmenter()).metadata["author"] == "tests"
    assert load(RuntimeName.OPENCV_DNN, path, segmenter()).metadata == {}


def test_openvino_reads_ir_from_one_file(tmp_path: Path) -> None:
    source, manifest = MODELS / "board-defects" / "model.onnx", sample_manifest("board-defects")
    feed = {"image": prepare(board(), manifest).tensor}
    reference = load(RuntimeName.ONNXRUNTIME, source, manifest).run(feed)["logits"]
    archive = to_ir(source, tmp_path / "artifact")
    actual = load(RuntimeName.OPENVINO, archive, manifest).run(feed)["logits"]
    np.testing.assert_allclose(actual, reference, atol=2e-3)


def test_openvino_refuses_a_compressed_archive(tmp_path: Path) -> None:
    archive = to_ir(doubler(tmp_path / "m.onnx"), tmp_path / "artifact", ZIP_DEFLATED)
    with pytest.raises(LoadFailed, match="stored as it is"):
        load(RuntimeName.OPENVINO, archive, segmenter())


@pytest.mark.parametrize("names", [["model.xml"], ["model.xml", "model.bin", "../evil"], []])
def test_openvino_refuses_an_archive_with_other_members(names: list[str], tmp_path: Path) -> None:
    with ZipFile(tmp_path / "artifact", "w") as file:
        for name in names:
            file.writestr(name, "x")
    with pytest.raises(LoadFailed, match=r"not model\.xml and model\.bin"):
        load(RuntimeName.OPENVINO, tmp_path / "artifact", segmenter())


def test_an_absent_package_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from inference_core.runtimes.lookup import available, get_runtime\n"
        "from inference_core.contract.words import RuntimeName\n"
        "print(available()[RuntimeName.ONNXRUNTIME].reason)\n"
        "get_runtime(RuntimeName.OPENCV_DNN)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "pip install 'linewarden[onnx]'" in done.stdout


def test_the_fake_answers_what_it_is_told(tmp_path: Path) -> None:
    path = write_fake(tmp_path, outputs={"logits": [[[[0.0]], [[1.5]], [[0.0]]]]}, nan_from_run=1)
    session = load(RuntimeName.FAKE, path, segmenter())
    outputs = run_on_zeros(session)["logits"]
    assert (outputs[0, 1] == 1.5).all()
    assert not outputs[0, 0].any()
    assert np.isnan(run_on_zeros(session)["logits"]).all()


@pytest.mark.parametrize("content", ["{", '{"surprise": 1}', '{"fail_at_load": "no"}'])
def test_the_fake_fails_to_load_when_told_or_broken(content: str, tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(content)
    with pytest.raises(LoadFailed):
        load(RuntimeName.FAKE, tmp_path / "fake.json", segmenter())


def test_the_fixture_is_a_valid_graph(tmp_path: Path) -> None:
    onnx.checker.check_model(str(doubler(tmp_path / "m.onnx")))
