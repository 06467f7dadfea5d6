"""The whole pipeline on golden pictures: the same PASS or FAIL as the reference, or no release."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.golden import PIPELINE_EVENT, PipelineCertificate, PipelineOutcome
from inference_core.contract.words import VerdictWord
from inference_core.errors import BadInput
from inference_core.optimize.golden.cases import spread
from tests.core.build_jobs import Child
from tests.core.golden.checks import (
    DARK,
    FAINT,
    FINE,
    RULE,
    check,
    dull_model,
    make_job,
    spec,
    write_patches,
)
from tests.core.onnx_models import fragile_model

LEVELS = {"fine": FINE, "dark": DARK, "faint": FAINT}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return write_patches(tmp_path / "golden", LEVELS, fine="pass", dark="fail", faint="pass")


def certificate_of(outcome: PipelineOutcome) -> PipelineCertificate:
    assert outcome.outcome == "succeeded", outcome.reason
    assert outcome.certificate is not None
    return outcome.certificate


def test_where_every_case_agrees_all_that_was_run_is_certified(
    tmp_path: Path, golden: Path
) -> None:
    job = make_job(tmp_path, golden)

    certificate = certificate_of(check(job))

    assert [(c.image, c.reference.value) for c in certificate.cases] == [
        ("images/fine.png", "pass"),
        ("images/dark.png", "fail"),
        ("images/faint.png", "fail"),
    ]
    assert all(case.agrees and not case.stages for case in certificate.cases)
    assert certificate.models["patches"].artifact_sha256 == job.models["patches"].artifact_sha256
    assert certificate.golden[0].sha256 == job.golden[0].sha256
    assert (certificate.profile, certificate.release) == (job.profile.name, "patches-1")
    assert certificate.latency is not None
    assert certificate.latency.frames == 3
    assert certificate.is_within_budget


def test_it_says_how_often_the_labels_verdict_was_given(tmp_path: Path, golden: Path) -> None:
    truth = certificate_of(check(make_job(tmp_path, golden))).truth

    assert (truth.labelled, truth.reference_right, truth.artifact_right) == (3, 2, 2)


def test_one_verdict_that_differs_refuses_and_is_explained(tmp_path: Path, golden: Path) -> None:
    outcome = check(make_job(tmp_path, golden, dull_model()))

    assert outcome.outcome == "refused"
    assert outcome.certificate is None
    assert outcome.reason == (
        "1 of 3 golden cases are judged otherwise: patches 1, images/faint.png: PASS instead of "
        "FAIL (burnt; look: nothing instead of 1 dark, the largest 224 px)"
    )
    (case,) = outcome.differing
    assert (case.reference, case.artifact) == (VerdictWord.FAIL, VerdictWord.PASS)
    assert case.expected is VerdictWord.PASS
    assert case.reference_reasons == ("burnt",)
    assert case.stages[0].stage == "look"


def test_a_model_that_fails_on_a_golden_picture_is_refused_though_both_say_fail(
    tmp_path: Path, golden: Path
) -> None:
    """NaN makes every part fail: with source and artifact alike that is no agreement."""
    broken = fragile_model()
    almost = next(one for one in broken.graph.initializer if one.name == "almost")
    almost.raw_data = b"\0\0\xc8\x46"  # 25 600: the logarithm is of a negative number
    outcome = check(make_job(tmp_path, golden, broken))

    assert outcome.outcome == "refused"
    assert "the artifact itself fails" in outcome.reason
    assert "stage 'look'" in outcome.reason


def test_a_rule_that_no_picture_can_answer_proves_nothing(tmp_path: Path, golden: Path) -> None:
    rules = [{"fail": "look.largest_mm2 > 0.01", "because": "burnt"}]
    job = make_job(tmp_path, golden, pipeline=spec(rules=rules))

    without, scaled = check(job), check(job.model_copy(update={"mm_per_px": 0.1}))

    assert without.outcome == "failed"
    assert "mm_per_px" in without.reason
    assert certificate_of(scaled).mm_per_px == 0.1


def test_cases_that_show_one_side_only_are_warned_of(tmp_path: Path) -> None:
    golden = write_patches(tmp_path / "golden", {"a": FINE})

    warnings = certificate_of(check(make_job(tmp_path, golden))).warnings

    assert warnings == ("no golden case fails, so none shows that a bad part still would",)


def test_pictures_of_a_region_are_judged_by_the_rules_over_their_stage(
    tmp_path: Path, golden: Path
) -> None:
    stages = [{"id": "look", "model": "patches", "region": [0.1, 0.1, 0.5, 0.5]}]
    job = make_job(tmp_path, golden, pipeline=spec(stages=stages))
    of_model = job.golden[0].model_copy(update={"model": "patches"})

    certificate = certificate_of(check(job.model_copy(update={"golden": (of_model,)})))

    assert [case.model for case in certificate.cases] == ["patches"] * 3
    assert certificate.latency is None
    assert certificate.truth.labelled == 0
    assert certificate.warnings == (
        "no golden case is a whole frame: the stages were judged one by one",
    )


def test_pictures_that_no_rule_is_over_are_never_silently_none(
    tmp_path: Path, golden: Path
) -> None:
    stages = [{"id": "look", "model": "patches"}, {"id": "again", "model": "patches"}]
    job = make_job(tmp_path, golden)
    other = job.golden[0].model_copy(update={"model": "other"})

    assert spec(stages=stages, rules=[RULE]).seen_by("patches") is not None
    with pytest.raises(BadInput, match="no golden picture can judge this pipeline"):
        check(job.model_copy(update={"golden": (other,)}))


def test_another_golden_set_or_artifact_than_named_is_not_judged(
    tmp_path: Path, golden: Path
) -> None:
    job = make_job(tmp_path, golden)
    other = job.golden[0].model_copy(update={"sha256": "0" * 64})

    with pytest.raises(BadInput, match="is not the one with digest"):
        check(job.model_copy(update={"golden": (other,)}))
    Path(job.models["patches"].artifact_path).write_bytes(b"another")
    with pytest.raises(BadInput, match="is not the file with digest"):
        check(job)


def test_a_large_set_is_spread_evenly_and_always_alike() -> None:
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]


def test_the_child_ends_with_an_outcome_whatever_happens(tmp_path: Path, golden: Path) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(make_job(tmp_path, golden).to_json())
    good = Child("certify", "--job", str(path))
    (golden / "images" / "dark.png").write_bytes(b"no picture")
    bad = Child("certify", "--job", str(path))

    outcomes = [PIPELINE_EVENT.validate_json(child.out.splitlines()[-1]) for child in (good, bad)]
    assert [child.code for child in (good, bad)] == [0, 2]
    assert [one.outcome for one in outcomes] == ["succeeded", "failed"]
    assert len(good.out.splitlines()) > 2
