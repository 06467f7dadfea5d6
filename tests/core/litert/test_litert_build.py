"""ONNX becomes TFLite that answers alike, in the converter's environment."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision
from inference_core.datasets import read_dataset
from inference_core.files import read_document
from inference_core.image import prepare
from inference_core.optimize.builders.base import Source
from inference_core.optimize.builders.litert import BUILDER
from inference_core.optimize.feed import Feed
from inference_core.optimize.fold import fold
from inference_core.optimize.problem import ConversionFailed
from inference_core.picture import read_picture
from inference_core.runtimes.base import Array
from inference_core.runtimes.litert import RUNTIME
from inference_core.runtimes.litert_notes import read_notes
from inference_core.runtimes.onnxruntime import RUNTIME as REFERENCE
from tests.core.build_jobs import build, make_job, make_profile, write_pictures
from tests.core.onnx_models import brightness_manifest, brightness_model, save

pytestmark = pytest.mark.litert_build

SAMPLES = Path(__file__).parents[2] / "samples"


def graph_of(nodes: list[onnx.NodeProto], side: int, **weights: Array) -> onnx.ModelProto:
    """A graph from ``image`` 1×3×side×side to ``logits`` of whatever shape."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", 1, [1, 3, side, side])],
        [helper.make_tensor_value_info("logits", 1, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def manifest_of(side: int, *shape: int) -> ModelManifest:
    return brightness_manifest(
        inputs=[{"name": "image", "shape": [1, 3, side, side]}],
        outputs=[{"name": "logits", "shape": list(shape)}],
    )


def make_source(folder: Path, model: onnx.ModelProto | Path, manifest: ModelManifest) -> Source:
    path = model if isinstance(model, Path) else save(model, folder / "model.onnx")
    fold(path, manifest, folder / "folded.onnx")
    pictures = read_dataset(write_pictures(folder / "calibration", seed=1, count=4))
    return Source(folder / "folded.onnx", manifest, Feed(pictures, manifest), "x86_64")


def compare(source: Source, precision: str, feed: dict[str, Array], folder: Path) -> float:
    """Largest difference of any output, as a share of its largest value."""
    artifact = folder / f"{precision}.tflite"
    BUILDER.build(source, Precision(precision), artifact)
    expected = REFERENCE.load(source.folded, source.manifest).run(feed)
    actual = RUNTIME.load(artifact, source.manifest).run(feed)
    assert actual.keys() == expected.keys()
    return max(
        float(np.abs(actual[name] - expected[name]).max() / np.abs(expected[name]).max())
        for name in expected
    )


def test_it_builds_and_certifies_every_precision(tmp_path: Path) -> None:
    profile = make_profile("litert", "fp32", "fp16", "int8")
    job = make_job(tmp_path, brightness_model(), profile=profile)

    child = build(tmp_path, job)

    assert child.code == 0, child.log
    outcome = child.outcome
    assert {candidate.outcome for candidate in outcome.candidates} == {"chosen", "slower"}
    data = Path(outcome.artifact_path or "").read_bytes()
    assert hashlib.sha256(data).hexdigest() == outcome.artifact_sha256
    assert outcome.certificate is not None
    assert outcome.certificate.runtime_version == RUNTIME.version()
    notes = read_notes(data)
    assert notes is not None
    assert {"onnx2tf", "ai-edge-quantizer", "ai-edge-litert"} == set(notes.toolchain)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_equal_models_give_equal_bytes(tmp_path: Path, precision: str) -> None:
    source = make_source(tmp_path, brightness_model(), brightness_manifest())
    made = []
    for name in ("first", "second"):
        BUILDER.build(source, Precision(precision), tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert str(tmp_path).encode() not in made[0]


@pytest.mark.parametrize("model", ["coco_ssd_mobilenet_v2_300", "nanodet_416"])
def test_real_detectors_answer_as_in_onnx(tmp_path: Path, model: str) -> None:
    # COCO-SSD has ":" in its names and a 1×1917×1×4 output; NanoDet six outputs in no order.
    manifest = read_document(SAMPLES / "models" / f"{model}.manifest.json", ModelManifest)
    source = make_source(tmp_path, SAMPLES / "models" / f"{model}.onnx", manifest)
    picture = read_picture(SAMPLES / "images" / "messi5.jpg")
    feed = {manifest.inputs[0].name: prepare(picture, manifest).tensor}
    assert compare(source, "fp32", feed, tmp_path) < 1e-3


def test_a_padded_pool_is_quantised(tmp_path: Path) -> None:
    # The converter pads it with the lowest float, which must not become the range of the integers.
    generator = np.random.default_rng(3)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node(
            "MaxPool", ["b"], ["logits"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
        ),
    ]
    weights = generator.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32)
    source = make_source(tmp_path, graph_of(nodes, 32, w=weights), manifest_of(32, 1, 8, 16, 16))
    feed = next(iter(source.calibration))
    assert compare(source, "int8", feed, tmp_path) < 0.05


def test_channels_and_rows_of_one_length_are_not_mixed_up(tmp_path: Path) -> None:
    # 1×16×16×16 may lie in 3! ways, and no shape tells which.
    weights = np.random.default_rng(4).normal(0, 0.2, (16, 3, 1, 1)).astype(np.float32)
    model = graph_of([helper.make_node("Conv", ["image", "w"], ["logits"])], 16, w=weights)
    source = make_source(tmp_path, model, manifest_of(16, 1, 16, 16, 16))
    noise = np.random.default_rng(5).random((1, 3, 16, 16), dtype=np.float32)
    assert compare(source, "fp32", {"image": noise}, tmp_path) < 1e-4


def test_an_operator_that_tflite_lacks_is_named(tmp_path: Path) -> None:
    model = graph_of([helper.make_node("Det", ["image"], ["logits"])], 4)
    source = make_source(tmp_path, model, manifest_of(4, 1, 3))
    with pytest.raises(ConversionFailed, match=r"converted graph does not run.*DET"):
        BUILDER.build(source, Precision.FP32, tmp_path / "out")
    assert not (tmp_path / "out").exists()
