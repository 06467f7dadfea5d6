"""A list of labels that does not fit the outputs is refused before a device meets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.decoders import DetrDecoder, GridDecoder, SsdDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.files import read_document
from inference_core.inspection.inspect import inspect_model
from inference_core.inspection.labels import check_labels
from inference_core.inspection.problem import RefusedError
from tests.core.detectors import detector

MODELS = Path(__file__).parents[1] / "samples" / "models"
LABELS = tuple("abcd")


def sample(model: str) -> ModelManifest:
    return read_document(MODELS / f"{model}.manifest.json", ModelManifest)


def with_decoder(manifest: ModelManifest, **changes: Any) -> ModelManifest:
    decoder = manifest.decoder.model_copy(update=changes)
    return manifest.model_copy(update={"decoder": decoder})


@pytest.mark.parametrize("model", ["coco_ssd_mobilenet_v2_300", "nanodet_416"])
def test_the_sample_detectors_fit_their_manifests(model: str) -> None:
    report = inspect_model(MODELS / f"{model}.onnx", sample(model)).report
    assert report is not None
    assert len(report.outputs) == len(sample(model).outputs)


@pytest.mark.parametrize("model", ["coco_ssd_mobilenet_v2_300", "nanodet_416"])
def test_a_label_too_few_is_refused(model: str) -> None:
    manifest = sample(model)
    decoder = manifest.decoder
    assert isinstance(decoder, (SsdDecoder, GridDecoder))
    short = with_decoder(manifest, labels=decoder.labels[:-1])
    problem = inspect_model(MODELS / f"{model}.onnx", short).problem
    assert problem is not None
    assert problem.code == "shape_mismatch"
    assert "give a label for each" in problem.detail


@pytest.mark.parametrize(
    ("decoder", "shape"),
    [
        ({"kind": "yolo", "version": "v5", "output": "o"}, (1, 25200, 9)),
        ({"kind": "yolo", "version": "v8", "output": "o"}, (1, 8, 8400)),
        ({"kind": "detr", "boxes_output": "o", "scores_output": "o"}, (1, 300, 4)),
        (
            {"kind": "detr", "boxes_output": "o", "scores_output": "o", "activation": "softmax"},
            (1, 100, 5),
        ),
        ({"kind": "end_to_end", "output": "o"}, (1, 300, 6)),
    ],
)
def test_each_layout_has_its_class_axis(decoder: dict[str, Any], shape: tuple[int, ...]) -> None:
    manifest = detector(**decoder, labels=LABELS)
    output = manifest.outputs[0].model_copy(update={"shape": shape})
    fixed = manifest.model_copy(update={"outputs": (output,)})
    check_labels(fixed)
    short = with_decoder(fixed, labels=LABELS[:-1])
    if decoder["kind"] == "end_to_end":  # its rows hold a number, not a score for each class
        check_labels(short)
    else:
        with pytest.raises(RefusedError, match="3 labels make"):
            check_labels(short)


def test_an_axis_that_is_known_only_after_a_run_is_passed_over() -> None:
    manifest = detector(kind="detr", boxes_output="boxes", scores_output="scores")
    assert isinstance(manifest.decoder, DetrDecoder)
    check_labels(manifest)
