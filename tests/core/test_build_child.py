"""The build as the server's worker runs it: a child that speaks in JSON lines."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference_core.contract.build import BuildOutcome, BuildProgress
from inference_core.datasets import read_dataset
from tests.core.build_jobs import Child, build, make_job, make_profile, write_pictures
from tests.core.onnx_models import brightness_manifest, brightness_model, fragile_model, save


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "opencv_dnn"])
def test_it_builds_and_certifies_for_every_runtime(tmp_path: Path, runtime: str) -> None:
    job = make_job(tmp_path, brightness_model(), profile=make_profile(runtime, "fp32", "int8"))

    child = build(tmp_path, job)

    assert child.code == 0, child.log
    outcome = child.outcome
    assert outcome.outcome == "succeeded"
    assert {candidate.outcome for candidate in outcome.candidates} == {"chosen", "slower"}
    data = Path(outcome.artifact_path or "").read_bytes()
    assert hashlib.sha256(data).hexdigest() == outcome.artifact_sha256
    assert len(data) == outcome.artifact_bytes
    assert outcome.certificate is not None
    assert outcome.certificate.parity.share >= 0.99
    assert outcome.certificate.toolchain["onnxruntime"]
    assert all((candidate.peak_memory_bytes or 0) > 0 for candidate in outcome.candidates)


def test_the_certificate_names_every_digest_it_vouches_for(tmp_path: Path) -> None:
    job = make_job(tmp_path, brightness_model())

    certificate = build(tmp_path, job).outcome.certificate

    assert certificate is not None
    assert certificate.golden_sha256 == read_dataset(tmp_path / "golden").sha256
    assert certificate.calibration_sha256 == read_dataset(tmp_path / "calibration").sha256
    assert certificate.source_sha256 == job.source_sha256
    assert certificate.manifest_sha256 == hashlib.sha256(job.manifest.to_json()).hexdigest()
    assert certificate.built_on["cpu_count"] == str(os.cpu_count())


def test_only_events_reach_standard_output_and_the_last_is_the_outcome(tmp_path: Path) -> None:
    # NNCF draws progress bars on standard output.
    job = make_job(tmp_path, brightness_model(), profile=make_profile("openvino", "int8"))

    *progress, last = build(tmp_path, job).events

    assert isinstance(last, BuildOutcome)
    assert all(isinstance(event, BuildProgress) for event in progress)
    shares = [event.share for event in progress if isinstance(event, BuildProgress)]
    assert shares == sorted(shares)
    assert {event.step for event in progress if isinstance(event, BuildProgress)} == {
        "simplify", "quantise", "parity", "benchmark", "choose",
    }  # fmt: skip


def test_it_refuses_a_candidate_that_loses_the_metric(tmp_path: Path) -> None:
    loud = brightness_model(loud_channel=1e5)
    job = make_job(tmp_path, loud, profile=make_profile("onnxruntime", "fp32", "int8"))

    child = build(tmp_path, job)

    fp32, int8 = child.outcome.candidates
    assert (fp32.outcome, int8.outcome) == ("chosen", "refused")
    assert "of mean IoU" in int8.reason
    assert "at least 99.0% is asked" in int8.reason
    assert int8.parity is not None
    assert int8.parity.share < 0.99


def test_nothing_is_written_when_every_candidate_is_refused(tmp_path: Path) -> None:
    loud = brightness_model(loud_channel=1e5)
    job = make_job(tmp_path, loud, profile=make_profile("onnxruntime", "int8"))

    child = build(tmp_path, job)

    assert child.code == 1
    assert child.outcome.outcome == "refused"
    assert child.outcome.artifact_path is None
    assert child.outcome.certificate is None
    assert not (tmp_path / "out").exists()


def test_it_refuses_a_candidate_whose_scores_are_not_finite(tmp_path: Path) -> None:
    job = make_job(tmp_path, fragile_model(), profile=make_profile("onnxruntime", "fp32", "fp16"))

    fp32, fp16 = build(tmp_path, job).outcome.candidates

    assert fp32.outcome == "chosen"
    assert fp16.outcome == "refused"
    assert "NaN" in fp16.reason


def test_it_refuses_calibration_images_that_also_judge(tmp_path: Path) -> None:
    job = make_job(tmp_path, brightness_model())
    flattering = job.model_copy(
        update={"calibration_dir": job.golden_dir, "calibration_sha256": job.golden_sha256}
    )

    child = build(tmp_path, flattering)

    assert child.code == 2
    assert child.outcome.outcome == "failed"
    assert "calibration images are also golden images" in child.outcome.reason
    assert "Traceback" not in child.log


def test_it_refuses_a_reference_that_proves_nothing(tmp_path: Path) -> None:
    blind = brightness_model()
    blind.graph.initializer[2].raw_data = bytes(len(blind.graph.initializer[2].raw_data))

    child = build(tmp_path, make_job(tmp_path, blind))

    assert child.code == 1
    assert "proves nothing" in child.outcome.reason


def test_it_refuses_a_reference_that_answers_nan(tmp_path: Path) -> None:
    broken = brightness_model()
    broken.graph.initializer[2].raw_data = np.full(24, np.nan, np.float32).tobytes()

    child = build(tmp_path, make_job(tmp_path, broken))

    assert child.code == 1
    assert "the reference itself is broken" in child.outcome.reason


@pytest.mark.parametrize("field", ["source_sha256", "calibration_sha256", "golden_sha256"])
def test_it_refuses_bytes_that_the_job_does_not_name(tmp_path: Path, field: str) -> None:
    child = build(tmp_path, make_job(tmp_path, brightness_model(), **{field: "0" * 64}))

    assert child.code == 2
    assert "0000" in child.outcome.reason


def test_it_says_which_golden_image_has_no_mask(tmp_path: Path) -> None:
    unlabelled = write_pictures(tmp_path / "unlabelled", seed=3)
    (unlabelled / "labels.jsonl").write_text('{"image": "images/0.png"}\n')
    digest = read_dataset(unlabelled).sha256
    job = make_job(tmp_path, brightness_model(), golden_dir=str(unlabelled), golden_sha256=digest)

    child = build(tmp_path, job)

    assert child.code == 2
    assert "images/0.png has no mask" in child.outcome.reason


def test_a_job_that_is_no_job_gets_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text('{"model_path": 7}')

    child = Child("build", "--job", str(path))

    assert child.code == 2
    assert child.out == ""
    assert len(child.log.strip().splitlines()) == 1


def test_a_killed_build_leaves_no_artifact(tmp_path: Path) -> None:
    job = make_job(tmp_path, brightness_model(), benchmark_runs=10_000)
    path = tmp_path / "job.json"
    path.write_bytes(job.to_json())
    command = [sys.executable, "-m", "inference_core", "build", "--job", str(path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert any(b'"benchmark"' in line for line in child.stdout)
        child.kill()

    assert not (tmp_path / "out").exists()


def test_a_person_builds_with_one_line_and_keeps_the_certificate(tmp_path: Path) -> None:
    model = save(brightness_model(), tmp_path / "model.onnx")
    (tmp_path / "manifest.json").write_bytes(brightness_manifest().to_json())
    calibration = write_pictures(tmp_path / "calibration", seed=1)
    golden = write_pictures(tmp_path / "golden", seed=2)

    child = Child(
        "build", str(model), "--profile", "laptop", "--runtime", "onnxruntime",
        "--precision", "fp32", "--calibration", str(calibration), "--golden", str(golden),
        "-o", str(tmp_path / "out"),
    )  # fmt: skip

    assert child.code == 0, child.log
    (artifact,) = (tmp_path / "out").glob("*.onnx")
    assert artifact.with_suffix(".certificate.json").is_file()
    assert str(artifact) in child.out


def test_a_person_who_forgets_the_golden_set_is_told_so(tmp_path: Path) -> None:
    model = save(brightness_model(), tmp_path / "model.onnx")

    child = Child("build", str(model))

    assert child.code == 2
    assert "golden" in child.log


def test_compare_passes_the_reference_itself_and_refuses_corrupted_weights(tmp_path: Path) -> None:
    reference = save(brightness_model(), tmp_path / "model.onnx")
    corrupt = brightness_model()
    weights = bytearray(corrupt.graph.initializer[2].raw_data)
    weights[16:48] = bytes(32)
    corrupt.graph.initializer[2].raw_data = bytes(weights)
    artifact = save(corrupt, tmp_path / "corrupt.onnx")
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(brightness_manifest().to_json())
    golden = write_pictures(tmp_path / "golden", seed=2)
    common = ("--manifest", str(manifest), "--runtime", "onnxruntime", "--dataset", str(golden))

    same = Child("compare", str(reference), str(reference), *common)
    other = Child("compare", str(reference), str(artifact), *common, "--json")

    assert same.code == 0, same.log
    assert "passed" in same.out
    assert other.code == 1, other.log
    assert '"metric":"mean_iou"' in other.out


def test_inspect_answers_in_json_behind_its_limits(tmp_path: Path) -> None:
    model = save(brightness_model(), tmp_path / "model.onnx")
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(brightness_manifest().to_json())

    good = Child("inspect", str(model), "--manifest", str(manifest), "--json", "--limits")
    model.write_bytes(b"nonsense")
    bad = Child("inspect", str(model), "--manifest", str(manifest), "--json", "--limits")
    absent = Child("inspect", str(tmp_path / "none"), "--manifest", str(manifest), "--json")

    assert (good.code, bad.code, absent.code) == (0, 1, 2), good.log + bad.log
    assert good.out.startswith('{"report":{"sha256":')
    assert bad.out.startswith('{"problem":{"code":"not_onnx"')
    assert len(absent.log.strip().splitlines()) == 1
