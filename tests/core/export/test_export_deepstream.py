"""nvinfer itself needs a GPU; its documented arithmetic, y = net-scale-factor * (x - offset), is
done here by hand on what the exporter wrote, and the exported graph is run by ONNX Runtime."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inference_core.cli import main
from inference_core.errors import BadInput
from inference_core.export.base import Export, Origin, open_origin, write_export
from inference_core.export.deepstream import CONFIG_FILE, export_deepstream
from inference_core.image import prepare
from tests.core.export.cases import (
    HEIGHT,
    WIDTH,
    classifier_manifest,
    detector_manifest,
    make_classifier,
    make_engine,
    make_graph,
    make_manifest,
)

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PICTURE = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

DOCUMENTED = {
    *("gpu-id", "gie-unique-id", "process-mode", "interval", "batch-size", "network-mode"),
    *("onnx-file", "model-engine-file", "labelfile-path", "infer-dims", "network-input-order"),
    *("model-color-format", "net-scale-factor", "offsets", "maintain-aspect-ratio"),
    *("symmetric-padding", "scaling-filter", "network-type", "output-blob-names"),
    *("output-tensor-meta", "num-detected-classes", "classifier-threshold"),
    *("segmentation-threshold", "segmentation-output-order"),
}
"""Of the property group, as NVIDIA's gstnvinfer_property_parser.h names them."""


def read_keys(export: Export) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.read_string(export.files[CONFIG_FILE].decode())
    assert parser.sections() == ["property"]
    return dict(parser["property"])


def see_as_nvinfer(export: Export) -> np.ndarray:
    """The tensor that nvinfer makes of PICTURE, which already has the network's size."""
    keys = read_keys(export)
    if keys["model-color-format"] == "2":
        import cv2

        planes = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)[..., None]
    else:
        planes = PICTURE[..., ::-1] if keys["model-color-format"] == "0" else PICTURE
    offsets = np.array([float(each) for each in keys["offsets"].split(";")])
    tensor = (float(keys["net-scale-factor"]) * (planes - offsets)).astype(np.float32)[None]
    return tensor if keys["network-input-order"] == "1" else tensor.transpose(0, 3, 1, 2)


def run(model: bytes, tensor: np.ndarray) -> np.ndarray:
    (scores,) = ort.InferenceSession(model).run(None, {"image": np.ascontiguousarray(tensor)})
    return np.asarray(scores)


@pytest.mark.parametrize(
    "preprocess",
    [
        {},
        {"colour": "bgr", "scale": 1.0},
        {"scale": 1 / 127.5, "mean": [1.0]},
        {"std": [0.5], "mean": [0.1, 0.2, 0.3]},
        IMAGENET,
        {**IMAGENET, "scale": 1.0, "colour": "bgr"},
    ],
    ids=str,
)
@pytest.mark.parametrize("nhwc", [False, True])
def test_nvinfers_arithmetic_and_the_graph_give_what_ours_gives(
    preprocess: dict[str, Any], nhwc: bool
) -> None:
    side = [1, HEIGHT, WIDTH, 3] if nhwc else [1, 3, HEIGHT, WIDTH]
    graph = make_graph(nhwc=nhwc)
    manifest = detector_manifest(
        inputs=[{"name": "image", "shape": side}],
        preprocess={**preprocess, "layout": "nhwc" if nhwc else "nchw"},
    )

    export = export_deepstream(Origin("m", manifest, graph=graph))

    ours = run(graph.SerializeToString(), prepare(PICTURE, manifest).tensor)
    theirs = run(export.files["model.onnx"], see_as_nvinfer(export))
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)


def test_a_gray_model_gets_gray() -> None:
    manifest = make_manifest(
        inputs=[{"name": "image", "shape": [1, 1, HEIGHT, WIDTH]}],
        preprocess={"colour": "gray", "mean": [0.5], "std": [0.5]},
    )
    export = export_deepstream(Origin("m", manifest, graph=make_graph()))

    np.testing.assert_allclose(see_as_nvinfer(export), prepare(PICTURE, manifest).tensor, atol=1e-5)
    assert read_keys(export)["infer-dims"] == f"1;{HEIGHT};{WIDTH}"


def test_one_std_for_all_leaves_the_graph_as_it_is() -> None:
    graph = make_graph()

    export = export_deepstream(
        Origin("m", detector_manifest(preprocess={"std": [0.5]}), graph=graph)
    )

    assert export.files["model.onnx"] == graph.SerializeToString()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_classifier_gives_probabilities_to_nvinfers_own_parser(activation: str) -> None:
    manifest = classifier_manifest(**IMAGENET)
    decoder = manifest.decoder.model_copy(update={"activation": activation})
    manifest, graph = manifest.model_copy(update={"decoder": decoder}), make_classifier()

    export = export_deepstream(Origin("m", manifest, graph=graph))

    logits = run(graph.SerializeToString(), prepare(PICTURE, manifest).tensor)
    theirs = run(export.files["model.onnx"], see_as_nvinfer(export))
    raised = np.exp(logits - logits.max())
    expected = raised / raised.sum() if activation == "softmax" else 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(theirs, expected, atol=1e-4)
    assert read_keys(export)["network-type"] == "1"
    assert export.files["labels.txt"] == b"red;green;blue\n"


def test_a_segmenter_gives_probabilities_by_pixel() -> None:
    export = export_deepstream(Origin("m", make_manifest(), graph=make_graph()))

    keys = read_keys(export)
    scores = run(export.files["model.onnx"], see_as_nvinfer(export))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (keys["network-type"], keys["num-detected-classes"]) == ("2", "3")
    assert keys["segmentation-threshold"] == "0.5"
    assert export.files["labels.txt"] == b"good\nscratch\ndent\n"


def test_a_changed_graph_is_valid_and_keeps_its_names() -> None:
    export = export_deepstream(Origin("m", make_manifest(preprocess=IMAGENET), graph=make_graph()))
    model = onnx.load_from_string(export.files["model.onnx"])

    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["scores"]


def test_the_given_graph_is_left_alone() -> None:
    graph = make_graph()
    before = graph.SerializeToString()

    export_deepstream(Origin("m", make_manifest(preprocess=IMAGENET), graph=graph))

    assert graph.SerializeToString() == before


@pytest.mark.parametrize(
    ("resize", "keeps", "centres"),
    [("stretch", "0", "0"), ("letterbox", "1", "1"), ("pad_corner", "1", "0")],
)
def test_padding_is_where_the_model_expects_it(resize: str, keeps: str, centres: str) -> None:
    manifest = detector_manifest(preprocess={"resize": resize})
    keys = read_keys(export_deepstream(Origin("m", manifest, graph=make_graph())))

    assert (keys["maintain-aspect-ratio"], keys["symmetric-padding"]) == (keeps, centres)


def test_a_detector_is_never_read_by_a_parser_that_is_not_its_own() -> None:
    export = export_deepstream(Origin("m", detector_manifest(), graph=make_graph()))

    keys, readme = read_keys(export), export.files["README.md"].decode()
    assert (keys["network-type"], keys["output-tensor-meta"]) == ("100", "1")
    assert "parse-bbox-func-name" not in keys
    assert "parse-bbox-func-name=NvDsInferParseCustom" in readme
    assert "nms-iou-threshold=0.5" in readme
    assert any("no parser for 'yolo'" in note for note in export.notes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preprocess": {"lighting": "clahe"}}, "cannot normalise the light"),
        ({"preprocess": {"resize": "crop"}}, "cannot resize with 'crop'"),
        ({"preprocess": {"resize": "pad_right"}}, "cannot resize with 'pad_right'"),
        (
            {"inputs": [{"name": "image", "shape": [1, 3, HEIGHT, WIDTH], "dtype": "uint8"}]},
            "feeds float32, and the input 'image' is uint8",
        ),
        (
            {"inputs": [{"name": "image", "shape": [2, 3, HEIGHT, WIDTH]}]},
            "a batch of 1, not 2",
        ),
    ],
)
def test_what_nvinfer_cannot_do_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        export_deepstream(Origin("m", make_manifest(**changes), graph=make_graph()))


def test_labels_that_nvinfer_would_part_are_refused() -> None:
    manifest = classifier_manifest()
    decoder = manifest.decoder.model_copy(update={"labels": ("a;b", "c", "d")})

    with pytest.raises(BadInput, match="a label 'a;b'"):
        export_deepstream(
            Origin("m", manifest.model_copy(update={"decoder": decoder}), graph=make_classifier())
        )


def test_an_old_softmax_is_not_added_with_another_meaning() -> None:
    with pytest.raises(BadInput, match="operator set 12, whose softmax cannot be added"):
        export_deepstream(Origin("m", classifier_manifest(), graph=make_classifier(opset=12)))


def test_an_engine_goes_in_as_it_is(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, "tensorrt", largest=1)

    export = export_deepstream(open_origin(engine, "m", detector_manifest()))

    keys = read_keys(export)
    assert export.files["model.engine"] == b"plan"
    assert (keys["model-engine-file"], keys["network-mode"]) == ("model.engine", "2")
    assert "onnx-file" not in keys


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (detector_manifest(preprocess=IMAGENET), "a std for each channel"),
        (make_manifest(), "its softmax"),
    ],
)
def test_an_engine_is_closed_to_what_must_go_into_the_graph(
    manifest: Any, what: str, tmp_path: Path
) -> None:
    engine = make_engine(tmp_path, "tensorrt", largest=1)

    with pytest.raises(BadInput, match=f"{what} must go into the graph"):
        export_deepstream(open_origin(engine, "m", manifest))


@pytest.mark.parametrize(
    "manifest", [make_manifest(), detector_manifest(preprocess=IMAGENET), classifier_manifest()]
)
def test_every_key_is_one_that_nvinfer_knows(manifest: Any) -> None:
    graph = make_classifier() if manifest.task == "classification" else make_graph()

    assert set(read_keys(export_deepstream(Origin("m", manifest, graph=graph)))) <= DOCUMENTED


def test_black_padding_and_qdq_are_told() -> None:
    graph = make_graph()
    graph.graph.node[-1].op_type = "QuantizeLinear"
    manifest = detector_manifest(preprocess={"resize": "letterbox", "pad_value": 114})

    export = export_deepstream(Origin("m", manifest, graph=graph))

    assert "pads with black, the model was trained with 114" in export.notes[0]
    assert any("strongly typed" in note for note in export.notes)
    assert read_keys(export)["network-mode"] == "1"


def test_an_export_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    with pytest.raises(BadInput, match="an export replaces nothing"):
        write_export(tmp_path, Export({"a": b""}))


@pytest.mark.parametrize("target", ["deepstream", "triton"])
def test_the_command_writes_a_folder_and_says_what_to_know(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, manifest = tmp_path / "Cell 7.onnx", tmp_path / "manifest.json"
    onnx.save(make_graph(), str(model))
    manifest.write_bytes(detector_manifest().to_json())
    out = tmp_path / "out"

    code = main(["export", str(model), "--to", target, "-o", str(out)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert {line for line in lines if not line.startswith("note: ")} == {
        str(path) for path in out.rglob("*") if path.is_file()
    }
    assert any(line.startswith("note: ") for line in lines)
    assert (out / "cell-7/config.pbtxt").is_file() == (target == "triton")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--name", "../x"], "is no name for a model"),
        (["--instances", "0"], "--instances takes 1 to 64"),
    ],
)
def test_the_command_refuses_wrong_use(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(make_graph(), str(tmp_path / "m.onnx"))
    (tmp_path / "manifest.json").write_bytes(make_manifest().to_json())
    command = ["export", str(tmp_path / "m.onnx"), "--to", "triton", "-o", str(tmp_path / "o")]

    assert main([*command, *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
