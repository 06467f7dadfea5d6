"""The command ``infer``, and what importing the package costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import inference_core
from inference_core import cli
from inference_core.errors import CoreError
from tests.core.core_models import DEMO, MODELS

HEAVY = {"cv2", "numpy", "onnxruntime", "openvino", "simpleeval"}
SAMPLES = Path(__file__).parents[1] / "samples"
MODEL = str(SAMPLES / "models" / "coco_ssd_mobilenet_v2_300.onnx")
PHOTO = str(SAMPLES / "images" / "messi5.jpg")
MODELS_USED = ("board-defects", "chip-marking")


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence that wrong use gets."""
    assert cli.main(arguments) == cli.EXIT_WRONG_USE
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    return complaint


def test_an_unknown_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["fly"])
    assert ended.value.code == cli.EXIT_WRONG_USE
    assert "invalid choice: 'fly'" in capsys.readouterr().err


def test_check_tells_sound_rules_from_broken_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = str(DEMO / "pipeline.yaml")
    assert cli.main(["check", sound, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": []}
    text = (DEMO / "pipeline.yaml").read_text()
    (tmp_path / "p.yaml").write_text(text.replace("defects.largest_mm2", "defects.hugest"))
    assert cli.main(["check", str(tmp_path / "p.yaml")]) == cli.EXIT_GATE_FAILED
    assert "hugest" in capsys.readouterr().out


def test_check_knows_the_classes_of_the_manifests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DEMO / "pipeline.yaml").read_text()
    path = tmp_path / "p.yaml"
    path.write_text(text.replace("defects.largest_mm2 > 1.5", "defects.count('scrath') > 0"))
    manifests = [f"--manifest={name}={MODELS / name / 'manifest.json'}" for name in MODELS_USED]
    assert cli.main(["check", str(path)]) == 0
    assert cli.main(["check", str(path), *manifests]) == cli.EXIT_GATE_FAILED
    assert "'scrath'" in capsys.readouterr().out
    assert "absent: chip-marking" in refuse(capsys, "check", str(path), manifests[0])


ONNX_EXTRA_LACKS = ("scipy", "pycocotools", "openvino", "nncf", "ai_edge_litert", "asyncua")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["run", MODEL, PHOTO, "--json"], '"label": "person"'),
        (["bench", MODEL, "--runs", "1", "--json"], '"openvino": "'),
        (["inspect", MODEL], "task      detection"),
    ],
)
def test_the_onnx_extra_is_enough(command: list[str], said: str) -> None:
    """Fresh interpreters in which all else is treated as not installed."""
    script = (
        f"import sys\nfor name in {ONNX_EXTRA_LACKS}: sys.modules[name] = None\n"
        f"from inference_core.cli import main\nsys.exit(main({command}))"
    )
    assert said in run_python(script)


def test_a_package_that_is_missing_is_named_in_one_sentence() -> None:
    script = (
        "import sys\nsys.modules['cv2'] = None\n"
        "from inference_core.cli import main\nsys.stderr = sys.stdout\n"
        "print(main(['run', 'm.onnx', 'a.jpg']))"
    )
    sentence, code = run_python(script).splitlines()
    assert "cv2" in sentence
    assert "pip install" in sentence
    assert code == "2"


def test_help_imports_no_runtime() -> None:
    script = (
        "import sys\nfrom inference_core.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    assert run_python(script).endswith("[]\n")


@pytest.mark.parametrize(
    "imported",
    [
        "inference_core",
        "inference_core.errors",
        *(
            f"inference_core.contract.{path.stem}"
            for path in sorted(Path(inference_core.__path__[0], "contract").glob("[a-z]*.py"))
        ),
    ],
)
def test_importing_what_crosses_the_wire_loads_nothing_heavy(imported: str) -> None:
    script = f"import sys, {imported}; print(sorted({HEAVY} & set(sys.modules)))"
    assert run_python(script) == "[]\n"


def test_the_public_names_are_these() -> None:
    assert " ".join(sorted(inference_core._HOMES)) == (
        "Anomaly Boxes Classes Follower Frame LoadedModel Overlapped Pipeline Regions "
        "SessionOptions TextBoxes TextLines available check_rules draw_result get_runtime "
        "iterate_frames load_model prepare read_picture recognise"
    )


def test_every_public_name_can_be_used_and_listed() -> None:
    script = (
        "import inference_core as core\n"
        "print(all(callable(getattr(core, name)) for name in core._HOMES))"
    )
    assert run_python(script) == "True\n"
    assert set(inference_core._HOMES) <= set(dir(inference_core))
    with pytest.raises(AttributeError, match="no attribute 'surprise'"):
        _ = inference_core.surprise


def test_errors_say_whose_fault_they_are() -> None:
    for error in CoreError.__subclasses__():
        assert error.__doc__
        assert isinstance(error.cause.value, str)
