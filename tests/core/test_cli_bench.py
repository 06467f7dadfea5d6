"""``infer bench``: every runtime in turns, and where a cascade should escalate."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference_core import cli
from inference_core.contract.manifest import ModelManifest
from tests.core.core_models import DEMO
from tests.core.onnx_models import brightness_manifest, brightness_model, save

Capture = pytest.CaptureFixture[str]
SIZE = 32
LABELS = ("dark", "bright")


def bench(capfd: Capture, *arguments: object, code: int = 0) -> dict[str, Any]:
    assert cli.main(["bench", *map(str, arguments), "--json"]) == code
    answer: dict[str, Any] = json.loads(capfd.readouterr().out)
    return answer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.manifest.json").write_bytes(brightness_manifest().to_json())
    return save(brightness_model(), tmp_path / "model.onnx")


def test_every_runtime_is_measured_or_says_why_not(model: Path, capfd: Capture) -> None:
    said = bench(capfd, model, "--runs", 3)
    assert {one["runtime"] for one in said["results"]} == {"onnxruntime", "openvino", "opencv_dnn"}
    assert "it reads .tflite" in said["unavailable"]["litert"]
    assert said["frame"] == [1280, 720]
    for one in said["results"]:
        spreads = one["stages"]["model"]
        assert list(spreads) == ["preprocess", "infer", "postprocess", "total"]
        for spread in (one["end_to_end"], *spreads.values()):
            assert 0 < spread["p50_ms"] <= spread["p95_ms"] <= spread["p99_ms"]
        assert one["frames_per_s"] > 0


def test_real_pictures_and_one_runtime_can_be_asked_for(
    model: Path, tmp_path: Path, capfd: Capture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 80, 3), 20, np.uint8))
    said = bench(capfd, model, "--runs", 2, "--runtimes", "openvino", "--pictures", tmp_path)
    assert [one["runtime"] for one in said["results"]] == ["openvino"]
    assert said["frame"] == [80, 60]


def test_a_pipeline_is_measured_stage_by_stage(capfd: Capture) -> None:
    said = bench(capfd, DEMO / "pipeline.yaml", "--runs", 2, "--runtime", "onnxruntime")
    assert list(said["results"][0]["stages"]) == ["defects", "marking"]


def test_with_calibration_pictures_int8_is_measured_too(
    model: Path, tmp_path: Path, capfd: Capture
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "line").mkdir()
    for number in range(10):
        picture = rng.integers(0, 255, (32, 48, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "line" / f"{number}.png"), picture)
    arguments = [model, "--runs", 2, "--runtimes", "onnxruntime"]
    said = bench(capfd, *arguments, "--calibration", tmp_path / "line")
    assert [one["precision"] for one in said["results"]] == [None, "int8"]


def test_people_get_a_table_with_the_fastest_first(model: Path, capfd: Capture) -> None:
    assert cli.main(["bench", str(model), "--runs", "2"]) == 0
    header, *rows = capfd.readouterr().out.splitlines()
    assert header.split()[:4] == ["ms", "p50", "p95", "p99"]
    times = [float(row.split()[1]) for row in rows if "not measured" not in row]
    assert times == sorted(times)


def test_wrong_use_gets_one_sentence(model: Path, capfd: Capture) -> None:
    for arguments, words in (
        (["--runtimes", "fast"], "there is no runtime 'fast'"),
        (["--cascade"], "needs --dataset"),
        (["--runtimes", "litert"], "nothing can be measured: litert"),
    ):
        assert cli.main(["bench", str(model), *arguments]) == cli.EXIT_WRONG_USE
        assert words in capfd.readouterr().err


# The cascade: the light model reads the mean brightness, and is unsure near the middle; the heavy
# one is steeper by far, and spends its time on a convolution that changes nothing.


def make_classifier(steepness: float, shift: float, extra: int) -> onnx.ModelProto:
    weights = {
        "gather": np.array([[[[-1 / 3]] * 3], [[[1 / 3]] * 3]], np.float32).reshape(2, 3, 1, 1),
        "half": np.array([0.5 + shift, -0.5 - shift], np.float32).reshape(1, 2, 1, 1),
        "steep": np.array(steepness, np.float32),
        "idle": np.eye(extra, dtype=np.float32).reshape(extra, extra, 1, 1),
        "lift": np.full((extra, 3, 1, 1), 1 / 3, np.float32),
        "lower": np.full((3, extra, 1, 1), 1 / extra, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "lift"], ["many"]),
        helper.make_node("Conv", ["many", "idle"], ["same"]),
        helper.make_node("Conv", ["same", "lower"], ["again"]),
        helper.make_node("GlobalAveragePool", ["again"], ["mean"]),
        helper.make_node("Conv", ["mean", "gather"], ["both"]),
        helper.make_node("Add", ["both", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "steep"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_cascade(folder: Path, *, shift: float = 0.05) -> Path:
    """The light model takes pictures a bit brighter than the middle for dark ones."""
    manifest = ModelManifest.model_validate(
        {
            "task": "classification",
            "inputs": [{"name": "image", "shape": [1, 3, SIZE, SIZE]}],
            "outputs": [{"name": "scores", "shape": [1, 2]}],
            "decoder": {"kind": "classify", "output": "scores", "labels": LABELS},
            "licence": "Apache-2.0",
        }
    )
    (folder / "models").mkdir()
    for name, steepness, offset, extra in (("light", 10, shift, 1), ("heavy", 200, 0.0, 512)):
        save(make_classifier(steepness, offset, extra), folder / "models" / f"{name}.onnx")
        path = folder / "models" / f"{name}.manifest.json"
        path.write_bytes(manifest.to_json())
    (folder / "pipeline.yaml").write_text(
        "pipeline: cascade\n"
        "stages:\n"
        '  - {id: screen, model: light, escalate_when: "confidence < 0.5"}\n'
        "  - {id: sure, model: heavy, after: screen}\n"
        "rules:\n"
        '  - {fail: "False", because: "measured only"}\n'
    )
    return folder / "pipeline.yaml"


def write_shades(folder: Path) -> Path:
    """Forty even pictures from black to white, named by their brightness."""
    folder.mkdir()
    lines = []
    for number in range(40):
        level = round(number * 255 / 39)
        cv2.imwrite(str(folder / f"{number}.png"), np.full((SIZE, SIZE, 3), level, np.uint8))
        lines.append(json.dumps({"image": f"{number}.png", "label": LABELS[level > 127]}) + "\n")
    (folder / "labels.jsonl").write_text("".join(lines))
    return folder


def test_a_cascade_gets_the_cheapest_threshold_that_keeps_the_floor(
    tmp_path: Path, capfd: Capture
) -> None:
    pipeline, shades = write_cascade(tmp_path), write_shades(tmp_path / "shades")
    plan = bench(capfd, pipeline, "--cascade", "--dataset", shades)
    assert (plan["metric"], plan["heavy_metric"]) == ("accuracy", 1.0)
    assert plan["light_metric"] < plan["floor"] == 0.99
    chosen = plan["chosen"]
    assert chosen["metric"] >= plan["floor"]
    assert 0 < chosen["escalated"] < 0.5
    cheaper = [one for one in plan["points"] if one["escalated"] < chosen["escalated"]]
    assert cheaper
    assert all(one["metric"] < plan["floor"] for one in cheaper)
    assert plan["cost_ratio"] > 0
    assert plan["speed_up"] > 0
    ideal = 1 / (plan["cost_ratio"] + chosen["escalated"])
    assert chosen["ideal_speed_up"] == pytest.approx(ideal, rel=1e-3)


def test_the_plan_reads_as_a_line_for_the_pipeline(tmp_path: Path, capfd: Capture) -> None:
    pipeline, shades = write_cascade(tmp_path), write_shades(tmp_path / "shades")
    assert cli.main(["bench", str(pipeline), "--cascade", "--dataset", str(shades)]) == 0
    assert 'escalate_when: "confidence < 0.' in capfd.readouterr().out


def test_a_light_model_that_is_sure_of_nonsense_makes_no_cascade(
    tmp_path: Path, capfd: Capture
) -> None:
    """It takes all but the brightest for dark, and is the surest of the darkest."""
    pipeline, shades = write_cascade(tmp_path, shift=-5.0), write_shades(tmp_path / "shades")
    plan = bench(capfd, pipeline, "--cascade", "--dataset", shades, code=cli.EXIT_GATE_FAILED)
    assert (plan["chosen"], plan["speed_up"]) == (None, None)


def test_what_is_no_cascade_says_so(tmp_path: Path, capfd: Capture) -> None:
    shades = write_shades(tmp_path / "shades")
    arguments = ["bench", str(DEMO / "pipeline.yaml"), "--cascade", "--dataset", str(shades)]
    assert cli.main(arguments) == cli.EXIT_WRONG_USE
    assert "is no cascade: it takes two stages" in capfd.readouterr().err
