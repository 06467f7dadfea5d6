"""Models that came without a manifest: recognised by what their exporters wrote, or refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.lookup import decode
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.image import prepare
from inference_core.recognise import recognise
from inference_core.recognise.graph import read_graph
from inference_core.recognise.lookup import draft_manifest
from inference_core.runtimes.lookup import get_runtime
from tests.core.recognise.exports import floats, rfdetr, ultralytics, write_export

SAMPLES = Path(__file__).parents[2] / "samples"
STRANGER = Path(__file__).parents[3] / "server/demo/models/board-defects/model.onnx"
"""Nothing in it says what its scores are."""


def complain(model: Path) -> str:
    with pytest.raises(BadInput) as refusal:
        recognise(model)
    return str(refusal.value)


def settle(model: Path) -> str:
    """The task, or the refusal; any other exception is a failure of the test."""
    try:
        return recognise(model).task.value
    except BadInput as refusal:
        return str(refusal)


def test_a_yolo_of_ultralytics_finds_its_box_on_a_real_runtime(tmp_path: Path) -> None:
    """The frame is twice as large as the 96×64 input, so nothing is padded."""
    answer = floats(1, 7, 126)
    answer[0, :, 5] = [48, 32, 20, 10, 0.1, 0.2, 0.9]
    model = write_export(tmp_path / "yolo.onnx", {"output0": answer}, ultralytics())
    manifest = recognise(model)
    assert manifest.licence == "AGPL-3.0"
    assert manifest.input_size == (96, 64)
    session = get_runtime("onnxruntime").load(model, manifest)
    prepared = prepare(np.zeros((128, 192, 3), np.uint8), manifest)
    boxes = decode(session.run({"images": prepared.tensor}), manifest, prepared.transform)
    assert boxes.to_fields()["boxes"][0].label == "car"
    assert boxes.xyxy.round(3).tolist() == [[76, 54, 116, 74]]


@pytest.mark.parametrize("name", ["coco_ssd_mobilenet_v2_300", "nanodet_416"])
def test_a_pretrained_detector_is_read_as_its_hand_written_manifest_says(name: str) -> None:
    path = SAMPLES / "models" / f"{name}.onnx"
    by_hand = read_document(path.with_suffix(".manifest.json"), ModelManifest)
    recognised = recognise(path)
    assert recognised.inputs == by_hand.inputs
    assert recognised.outputs == by_hand.outputs
    assert recognised.preprocess == by_hand.preprocess
    assert recognised.decoder == by_hand.decoder


def test_labels_beside_a_detector_come_before_those_of_coco(tmp_path: Path) -> None:
    model = tmp_path / "nanodet.onnx"
    shutil.copyfile(SAMPLES / "models" / "nanodet_416.onnx", model)
    (tmp_path / "labels.txt").write_text("\n".join(f"part {n}" for n in range(80)))
    assert recognise(model).decoder.labels[:2] == ("part 0", "part 1")


@pytest.mark.parametrize(
    ("shape", "changes", "kind"),
    [
        ((1, 7, 8400), {}, ("yolo", "v8")),
        ((1, 300, 6), {"end2end": True}, ("end_to_end", None)),
        ((1, 300, 6), {"args": {"nms": True}}, ("end_to_end", None)),
        ((1, 300, 6), {"args": {"nms": True}, "names": ["a", "b"]}, ("end_to_end", None)),
    ],
)
def test_the_outputs_shape_tells_the_kind_of_yolo(
    tmp_path: Path, shape: tuple[int, ...], changes: dict[str, object], kind: tuple[str, str | None]
) -> None:
    model = write_export(tmp_path / "m.onnx", {"output0": floats(*shape)}, ultralytics(**changes))
    decoder = recognise(model).decoder
    assert (decoder.kind, getattr(decoder, "version", None)) == kind


def test_an_open_input_takes_the_size_that_the_metadata_names(tmp_path: Path) -> None:
    model = write_export(
        tmp_path / "m.onnx",
        {"output0": floats(1, 7, 126)},
        ultralytics(),
        input_shape=("batch", 3, "height", "width"),
    )
    assert recognise(model).inputs[0].shape == (1, 3, 64, 96)


def test_a_yolov5_is_known_by_names_and_stride_alone(tmp_path: Path) -> None:
    told = {"stride": "32", "names": "['screw', 'nut']"}
    model = write_export(tmp_path / "m.onnx", {"output0": floats(1, 378, 7)}, told)
    decoder = recognise(model).decoder
    assert (decoder.version, decoder.labels) == ("v5", ("screw", "nut"))


def test_an_open_yolov5_says_that_its_size_is_missing(tmp_path: Path) -> None:
    told = {"stride": "32", "names": "['screw', 'nut']"}
    answer = {"output0": floats(1, 378, 7)}
    model = write_export(tmp_path / "m.onnx", answer, told, input_shape=("b", 3, "h", "w"))
    assert "does not say the input's size: make a start with: infer inspect" in complain(model)


@pytest.mark.parametrize(("last", "activation"), [("Softmax", "none"), ("Identity", "softmax")])
def test_a_classifier_is_not_softened_twice(tmp_path: Path, last: str, activation: str) -> None:
    told = ultralytics(task="classify")
    model = write_export(tmp_path / "m.onnx", {"output0": floats(1, 3)}, told, last=last)
    manifest = recognise(model)
    assert manifest.task == "classification"
    assert manifest.decoder.activation == activation


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_tasks_of_yolo_that_nothing_decodes_are_refused_by_name(tmp_path: Path, task: str) -> None:
    answers = {"output0": floats(1, 39, 126), "output1": floats(1, 32, 16, 24)}
    told = ultralytics(task=task)
    if task != "segment":
        answers.pop("output1")
    model = write_export(tmp_path / "m.onnx", answers, told)
    assert f"for the task {task!r}, which is not supported" in complain(model)


def test_batches_are_refused_with_what_to_do(tmp_path: Path) -> None:
    model = write_export(
        tmp_path / "m.onnx",
        {"output0": floats(4, 7, 126)},
        ultralytics(batch=4),
        input_shape=(4, 3, 64, 96),
    )
    assert "batches of 4; export it for one picture" in complain(model)


def test_an_rf_detr_of_today_describes_itself(tmp_path: Path) -> None:
    answers = {"dets": floats(1, 300, 4), "labels": floats(1, 300, 4)}
    model = write_export(tmp_path / "m.onnx", answers, rfdetr(), input_shape=(1, 3, 64, 64))
    manifest = recognise(model)
    assert manifest.decoder.labels == ("", "scratch", "dent", "")
    assert manifest.preprocess.mean == (0.485, 0.456, 0.406)


def test_an_older_rf_detr_asks_for_its_labels_and_takes_them_from_a_file(tmp_path: Path) -> None:
    answers = {"dets": floats(1, 300, 4), "labels": floats(1, 300, 2)}
    model = write_export(tmp_path / "m.onnx", answers, input_shape=(1, 3, 64, 64))
    advice = complain(model)
    assert "does not say the labels: write them into" in advice
    (tmp_path / "labels.txt").write_text("scratch\ndent\n")
    assert recognise(model).decoder.labels == ("scratch", "dent")


def test_an_rf_detr_with_masks_is_refused(tmp_path: Path) -> None:
    answers = {name: floats(1, 9, 4) for name in ("dets", "labels", "masks")}
    model = write_export(tmp_path / "m.onnx", answers, rfdetr(task="segment"))
    assert "RF-DETR with masks" in complain(model)


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_a_tensorflow_detector_counts_from_one_in_shares(tmp_path: Path, suffix: str) -> None:
    answers = {
        f"detection_boxes{suffix}": floats(1, 100, 4),
        f"detection_classes{suffix}": floats(1, 100),
        f"detection_scores{suffix}": floats(1, 100),
        f"num_detections{suffix}": floats(1),
    }
    model = write_export(
        tmp_path / "m.onnx",
        answers,
        input_name=f"input_tensor{suffix}",
        input_shape=(1, 320, 320, 3),
        input_dtype=TensorProto.UINT8,
    )
    (tmp_path / "m.labels.txt").write_text("screw\nnut\n")
    manifest = recognise(model)
    decoder = manifest.decoder
    assert (decoder.first_class, decoder.unit, decoder.box_format) == (1, "share", "yxyx")
    assert (manifest.preprocess.layout, manifest.preprocess.scale) == ("nhwc", 1.0)
    assert manifest.inputs[0].dtype == "uint8"


def test_a_detector_of_torchvision_is_listed(tmp_path: Path) -> None:
    answers = {"boxes": floats(9, 4), "labels": np.zeros(9, np.int64), "scores": floats(9)}
    model = write_export(tmp_path / "m.onnx", answers)
    (tmp_path / "labels.txt").write_text("__background__\nscrew\n")
    assert recognise(model).decoder.first_class == 0
    (tmp_path / "labels.txt").write_text("screw\n")
    assert recognise(model).decoder.first_class == 1


def test_a_bare_classifier_names_what_is_missing(tmp_path: Path) -> None:
    model = write_export(tmp_path / "m.onnx", {"output": floats(1, 2)})
    assert "does not say the input's normalisation and the labels: make a start" in complain(model)
    told = {"labels": '["good", "bad"]', "mean": "[0.485, 0.456, 0.406]", "std": "[1, 1, 1]"}
    manifest = recognise(write_export(tmp_path / "m.onnx", {"output": floats(1, 2)}, told))
    assert manifest.decoder.labels == ("good", "bad")
    assert manifest.preprocess.mean == (0.485, 0.456, 0.406)


def test_a_hugging_face_vit_is_read_with_the_files_beside_it(tmp_path: Path) -> None:
    model = write_export(
        tmp_path / "model.onnx",
        {"logits": floats(1, 2)},
        input_name="pixel_values",
        input_shape=("batch_size", "num_channels", "height", "width"),
    )
    config = {"model_type": "vit", "id2label": {"0": "good", "1": "bad"}}
    rules = {
        "size": {"height": 224, "width": 224},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(rules))
    manifest = recognise(model)
    assert manifest.inputs[0].shape == (1, 3, 224, 224)
    assert manifest.decoder.labels == ("good", "bad")


def test_the_text_detector_and_reader_of_paddleocr_are_known(tmp_path: Path) -> None:
    detector = shutil.copy(SAMPLES / "models" / "ppocr_v4_det.onnx", tmp_path)
    assert recognise(Path(detector)).task == "text_detection"
    told = {"character": "a\nb\nc\n"}
    reader = write_export(tmp_path / "r.onnx", {"out": floats(1, 40, 5)}, told, last="Softmax")
    decoder = recognise(reader).decoder
    assert (decoder.kind, decoder.space_at_end, decoder.activation) == ("ctc", True, "none")


def test_a_stranger_is_refused_and_its_skeleton_is_a_start(tmp_path: Path) -> None:
    model = Path(shutil.copy(STRANGER, tmp_path))
    assert "the task and how to read its outputs" in complain(model)
    skeleton = draft_manifest(read_graph(model)).to_skeleton()
    assert skeleton["inputs"][0]["shape"] == [1, 3, 240, 320]
    assert json.dumps(skeleton).count("FILL IN") == 5


def test_a_filled_skeleton_is_a_manifest(tmp_path: Path) -> None:
    model = write_export(tmp_path / "m.onnx", {"output": floats(1, 2)})
    skeleton = draft_manifest(read_graph(model)).to_skeleton()
    skeleton["decoder"]["labels"] = ["good", "bad"]
    skeleton["preprocess"] |= {"mean": [0.5], "std": [0.5]}
    assert ModelManifest.model_validate(skeleton).decoder.labels == ("good", "bad")


def test_metadata_is_never_evaluated(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    told = ultralytics(names=f"__import__('pathlib').Path({str(trap)!r}).touch()")
    model = write_export(tmp_path / "m.onnx", {"output0": floats(1, 7, 126)}, told)
    assert "'names' is no literal" in complain(model)
    assert not trap.exists()


def test_files_that_are_no_onnx_say_so(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08garbage")
    assert "not an ONNX model" in complain(tmp_path / "m.onnx")
    (tmp_path / "m.tflite").write_bytes(b"TFL3")
    assert "m.manifest.json" in complain(tmp_path / "m.tflite")


_KEYS = ("names", "stride", "task", "imgsz", "args", "rfdetr_inference", "character", "mean", "std")
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["{0: 'a'}", "[1, 2]", "{}", "[]", "None", "-" * 9000, "(" * 9000, "640"]),
    st.recursive(st.integers() | st.text(max_size=5), st.lists, max_leaves=8).map(str),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    metadata=st.dictionaries(st.sampled_from(_KEYS), _TEXTS),
    outputs=st.sampled_from([("output0",), ("dets", "labels"), ("boxes", "labels", "scores")]),
    shape=st.lists(st.integers(1, 9), max_size=4),
)
def test_fuzzed_metadata_ends_in_bad_input_or_a_manifest(
    tmp_path: Path, metadata: dict[str, str], outputs: tuple[str, ...], shape: list[int]
) -> None:
    answers = {name: floats(*shape) for name in outputs}
    model = write_export(tmp_path / "m.onnx", answers, metadata)
    assert settle(model).isprintable()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.integers(1, 2000))
def test_damaged_files_end_in_bad_input_or_a_manifest(
    tmp_path: Path, place: int, byte: int, cut: int
) -> None:
    answers = {"output0": floats(1, 7, 3)}
    data = bytearray(write_export(tmp_path / "m.onnx", answers, ultralytics()).read_bytes())
    data[place % len(data)] = byte
    (tmp_path / "m.onnx").write_bytes(data[:cut] if cut % 2 else data)
    assert settle(tmp_path / "m.onnx")


def test_every_family_is_reached_by_a_real_file(tmp_path: Path) -> None:
    """A broken import would only show when such a model arrives."""
    model = write_export(tmp_path / "m.onnx", {"a": floats(1), "b": floats(1)})
    assert draft_manifest(read_graph(model)).family.startswith("of an exporter that is not known")
    assert onnx.load(str(model)).producer_name == "pytorch"
