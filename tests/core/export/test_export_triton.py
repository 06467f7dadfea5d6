from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from inference_core.errors import BadInput
from inference_core.export.base import Origin, open_origin
from inference_core.export.pbtxt import Symbol, render
from inference_core.export.triton import export_triton
from tests.core.export.cases import (
    classifier_manifest,
    make_engine,
    make_graph,
    make_manifest,
    triton_cases,
)

GOLDEN = Path(__file__).parent / "golden"


def read_golden(name: str) -> dict[str, Any]:
    """What tritonclient 2.73.0 read from the text beside it."""
    read: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", sorted(triton_cases()))
def test_the_configuration_is_the_one_that_tritons_schema_has_read(name: str) -> None:
    files = export_triton(triton_cases()[name]).files

    assert files[f"{name}/config.pbtxt"].decode() == (GOLDEN / f"{name}.pbtxt").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(triton_cases()))
def test_triton_reads_every_name_and_shape_of_the_manifest(name: str) -> None:
    manifest, read = triton_cases()[name].manifest, read_golden(name)
    skipped = 1 if "max_batch_size" in read else 0

    for spec, found in zip(
        (*manifest.inputs, *manifest.outputs), (*read["input"], *read["output"]), strict=True
    ):
        sides = [str(side or -1) for side in spec.shape[skipped:]]
        assert found["name"] == spec.name
        assert found["dims"] == (sides or ["1"])
        assert ("reshape" in found) == (not sides)


def test_batching_is_offered_only_where_the_graph_leaves_its_batch_open() -> None:
    assert read_golden("open-batch")["max_batch_size"] == 8
    assert "dynamic_batching" in read_golden("open-batch")
    assert not {"max_batch_size", "dynamic_batching"} & set(read_golden("fixed-batch"))


def test_an_output_with_a_fixed_batch_forbids_batching() -> None:
    graph = make_graph()
    graph.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1

    config = export_triton(Origin("m", make_manifest(), graph=graph)).files["m/config.pbtxt"]

    assert b"max_batch_size: 0" in config


def test_a_classifiers_scores_have_labels() -> None:
    files = export_triton(triton_cases()["classifier"]).files

    assert read_golden("classifier")["output"][0]["label_filename"] == "labels.txt"
    assert files["classifier/labels.txt"] == b"red\ngreen\nblue\n"


def test_the_repository_holds_the_model_as_it_was() -> None:
    origin = triton_cases()["open-batch"]
    model = export_triton(origin).files["open-batch/1/model.onnx"]
    picture = np.ones((2, 3, 24, 32), np.float32)

    (scores,) = ort.InferenceSession(model).run(None, {"image": picture})

    assert scores.shape == (2, 3, 24, 32)


@pytest.mark.parametrize(("largest", "batch"), [(1, 0), (16, 16)])
def test_an_engine_becomes_a_plan_with_the_batch_of_its_profile(
    largest: int, batch: int, tmp_path: Path
) -> None:
    path = make_engine(tmp_path, "tensorrt", largest=largest)

    export = export_triton(open_origin(path, "m", make_manifest()), instances=2)

    config = export.files["m/config.pbtxt"].decode()
    assert export.files["m/1/model.plan"] == b"plan"
    assert 'platform: "tensorrt_plan"\nbackend: "tensorrt"\n' in config
    assert f"max_batch_size: {batch}\n" in config
    assert "count: 2\n  kind: KIND_GPU" in config
    assert ("dynamic_batching" in config) == (batch > 0)
    assert "TensorRT 10.3.0.26 on compute capability 8.7 only" in export.notes[1]


def test_an_engine_of_rtx_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run no engines of TensorRT for RTX"):
        open_origin(make_engine(tmp_path, "rtx", largest=1), "m", make_manifest())


def test_an_embedded_alphabet_needs_no_labels() -> None:
    manifest = make_manifest(
        task="text_recognition",
        outputs=[{"name": "scores", "shape": [1, 3, 24]}],
        decoder={"kind": "ctc", "output": "scores", "alphabet": list("ab")},
    )

    files = export_triton(Origin("m", manifest, graph=make_graph(batch=1))).files

    assert sorted(files) == ["m/1/model.onnx", "m/config.pbtxt", "m/manifest.json"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("tab\there", 'v: "tab\\011here"\n'),
        ("größe", 'v: "größe"\n'),
        (True, "v: true\n"),
        (Symbol("KIND_CPU"), "v: KIND_CPU\n"),
        ([], ""),
        ([1, -1], "v: [1, -1]\n"),
        ([{"a": 1}, {}], "v {\n  a: 1\n}\nv {}\n"),
    ],
)
def test_text_format(value: Any, text: str) -> None:
    assert render({"v": value}) == text


def test_a_classifier_of_one_file_is_told_how_to_be_fed() -> None:
    origin = Origin("m", classifier_manifest(), graph=make_graph(batch=1))

    assert "32×24 input" in export_triton(origin).notes[0]
