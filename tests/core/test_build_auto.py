"""``infer build`` without a runtime: all that run here are tried, the fastest that kept wins."""

import subprocess
import sys
from pathlib import Path

import pytest

from inference_core.contract.build import BuildProgress, ProfileSpec
from inference_core.contract.words import Precision, RuntimeName
from inference_core.errors import RuntimeUnavailable
from inference_core.optimize.auto import read_runtime, spread
from inference_core.optimize.build import run_builds
from inference_core.runtimes.lookup import available
from tests.core.build_jobs import make_job, write_pictures
from tests.core.onnx_models import brightness_manifest, brightness_model, save


@pytest.mark.parametrize(
    ("profile", "runtime"),
    [
        ("x86-openvino", RuntimeName.OPENVINO),
        ("rpi5-ort1.31", RuntimeName.ONNXRUNTIME),
        ("jetson-orin-nano-jp6.2-trt10.3", RuntimeName.TENSORRT),
        ("coral-usb-litert", RuntimeName.LITERT),
        ("laptop", None),
        ("openvino-or-litert", None),
        ("portable", None),
    ],
)
def test_a_profiles_name_may_say_its_runtime(profile: str, runtime: RuntimeName | None) -> None:
    assert read_runtime(profile) == runtime


def test_every_runtime_that_computes_here_is_tried(tmp_path: Path) -> None:
    jobs = spread(make_job(tmp_path, brightness_model()))
    here = {name for name, found in available().items() if found.version is not None}
    assert {job.profile.runtime for job in jobs} == here - {RuntimeName.TENSORRT}
    assert all(job.golden_sha256 == jobs[0].golden_sha256 for job in jobs)


def test_the_fastest_of_all_is_certified(tmp_path: Path) -> None:
    job = make_job(tmp_path, brightness_model())
    profiles = [
        job.profile.model_copy(update={"runtime": name, "precisions": (Precision.FP32,)})
        for name in (RuntimeName.ONNXRUNTIME, RuntimeName.OPENVINO, RuntimeName.OPENCV_DNN)
    ]
    told: list[BuildProgress] = []
    jobs = [job.model_copy(update={"profile": profile}) for profile in profiles]
    outcome = run_builds(jobs, told.append)
    assert outcome.outcome == "succeeded"
    assert [c.runtime for c in outcome.candidates] == [p.runtime for p in profiles]
    (chosen,) = (c for c in outcome.candidates if c.outcome == "chosen")
    fastest = min(c.latency.p50_ms for c in outcome.candidates if c.latency)
    assert chosen.latency is not None
    assert chosen.latency.p50_ms == fastest
    assert outcome.certificate is not None
    assert outcome.certificate.runtime == chosen.runtime
    assert [event.share for event in told] == sorted(event.share for event in told)


def test_a_runtime_that_is_not_here_is_told_of_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python treats a package that is not installed."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "inference_core.optimize.builders.openvino", raising=False)
    job = make_job(tmp_path, brightness_model())
    gone = job.model_copy(
        update={"profile": job.profile.model_copy(update={"runtime": RuntimeName.OPENVINO})}
    )
    told: list[BuildProgress] = []
    assert run_builds([gone, job], told.append).outcome == "succeeded"
    assert told[0].detail.startswith("openvino is left out")
    with pytest.raises(RuntimeUnavailable, match="no runtime is here"):
        run_builds([gone], told.append)


def test_a_person_gets_an_artifact_that_runs_at_once(tmp_path: Path) -> None:
    model = save(brightness_model(), tmp_path / "model.onnx")
    (tmp_path / "manifest.json").write_bytes(brightness_manifest().to_json())
    calibration = write_pictures(tmp_path / "calibration", seed=1)
    golden = write_pictures(tmp_path / "golden", seed=2)
    said = infer(
        *("build", str(model), "--profile", "x86-openvino", "--precision", "fp32"),
        *("--calibration", str(calibration), "--golden", str(golden)),
        *("-o", str(tmp_path / "out")),
    )
    assert "succeeded" in said
    (artifact,) = (tmp_path / "out").glob("*.zip")
    assert "dark" in infer("run", str(artifact), str(golden / "images"))


def test_a_profile_may_be_a_file(tmp_path: Path) -> None:
    from inference_core.cli import _make_parser
    from inference_core.commands.build import _make_profile

    profile = ProfileSpec(
        name="p", runtime=RuntimeName.OPENVINO, architecture="aarch64", precisions=("fp16",)
    )
    (tmp_path / "p.json").write_bytes(profile.to_json())
    args = _make_parser("build").parse_args(["build", "--profile", str(tmp_path / "p.json")])
    assert _make_profile(args) == (profile, False)


def infer(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "inference_core", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
