"""What a device has built, held to all that a worker's result is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import (
    DjangoCaptureOnCommitCallbacks,
)

from inference_core.contract.build import BuildOutcome, ParityCertificate, ParityLimits
from inference_core.contract.device_build import MAX_PIECE_BYTES, BuildLease
from server.builds import services
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build, BuildTurn, UploadedPiece
from server.builds.services.device_checks import require_as_asked
from server.builds.states import BuildState, TurnEnd
from server.fleet.models import HardwareProfile
from server.lib import blobs
from server.registry.models import ModelVersion
from server.registry.services import set_limits
from tests.server.box import Box
from tests.server.builds.test_outcomes import ENGINE, outcome_of
from tests.server.device_gateway.builds.turns import (
    SHA256,
    finish,
    leased,
    offered,
    says,
    send_piece,
)

pytestmark = pytest.mark.django_db


def test_pieces_come_in_order_and_a_repeat_learns_where_to_go_on(box: Box, build: Build) -> None:
    turn = leased(box)
    assert send_piece(box, turn, 0, ENGINE[:2]).json() == {"received": 2}
    again = send_piece(box, turn, 0, ENGINE[:2])
    assert (again.status_code, again.json()["received"]) == (409, 2)
    assert box.get(f"builds/{turn}/artifact").json() == {"received": 2}
    assert send_piece(box, turn, 2, ENGINE[2:]).json() == {"received": len(ENGINE)}


def test_what_is_too_large_is_refused_before_it_is_stored(
    box: Box, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = leased(box)
    assert send_piece(box, turn, 0, bytes(MAX_PIECE_BYTES + 1)).status_code == 413
    monkeypatch.setattr("server.builds.services.uploads.MAX_ARTIFACT_BYTES", 4)
    assert send_piece(box, turn, 0, b"12345").status_code == 413
    assert not UploadedPiece.objects.exists()


def test_a_true_outcome_is_recorded_and_waits_for_a_person(
    box: Box, build: Build, tmp_path: Path
) -> None:
    turn = leased(box)
    answers = [finish(box, turn, tmp_path) for _ in range(2)]  # the first answer was lost
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "succeeded")] * 2
    artifact = Artifact.objects.get()
    assert (artifact.sha256, artifact.device_id) == (SHA256, box.device_id)
    assert artifact.certificate.body["built_on"]["device"] == "box-1"
    assert BuildTurn.objects.get().ended == TurnEnd.FINISHED
    assert says(box) is None
    assert artifact.waits_for_approval
    assert services.sign_waiting_releases() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": b"another"},
        {"golden_sha256": "0" * 64},
        {"profile": "another"},
        {"precision": "fp16"},
        {"limits": ParityLimits(min_agreement=0)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_artifact_or_certificate_is_refused_and_the_build_given_back(
    box: Box, build: Build, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    answer = finish(box, leased(box), tmp_path, **wrong)
    assert answer.status_code == 422
    build.refresh_from_db()
    assert (build.state, build.attempts) == (BuildState.QUEUED, 1)
    assert not Artifact.objects.exists()


def test_a_device_judges_by_the_limits_of_the_order_and_no_laxer_ones(
    box: Box, version: ModelVersion, profile: HardwareProfile, tmp_path: Path
) -> None:
    def decide(limits: ParityLimits, expected: int) -> None:
        model = version.model
        set_limits(model=model, limits=limits, expected=expected, reason="r", actor="user:ada")

    asked = ParityLimits(min_agreement=1, max_p95_ms=40)
    decide(asked, 0)
    services.queue_build(version=version, profile=profile, actor="test")
    turn = offered(box)
    decide(ParityLimits(min_agreement=0.9), 1)
    lease = BuildLease.model_validate_json(box.post(f"builds/{turn}/lease", {}).content)
    assert lease.limits == asked

    laxer = finish(box, turn, tmp_path, limits=ParityLimits(min_agreement=0.9))
    assert laxer.status_code == 422
    assert "judged by other limits" in laxer.json()["detail"]
    slow = {"p50_ms": 30, "p95_ms": 41, "runs": 30}
    answer = finish(box, leased(box), tmp_path, limits=asked, latency=slow)
    assert answer.status_code == 422
    assert "breaks its own limits: fp32 took 41.0 ms" in answer.json()["detail"]
    assert finish(box, leased(box), tmp_path, limits=asked).status_code == 200


def test_a_device_cannot_change_what_the_model_means(
    box: Box, build: Build, tmp_path: Path
) -> None:
    turn = leased(box)
    send_piece(box, turn, 0, ENGINE)
    outcome = outcome_of(Build.objects.select_related("version__model", "profile").get(), tmp_path)
    manifest = build.version.manifest
    blind = manifest.decoder.model_copy(update={"min_area_px": 10**9})
    said = outcome.model_copy(update={"manifest": manifest.model_copy(update={"decoder": blind})})
    answer = box.post(f"builds/{turn}/outcome", said.to_json())
    assert answer.status_code == 422
    assert "manifest is not the one" in answer.json()["detail"]


def test_an_alphabet_that_only_the_model_names_may_be_written_out(build: Build) -> None:
    ctc = {"kind": "ctc", "output": "logits", "alphabet_key": "character"}
    text = {"task": "text_recognition", "decoder": ctc}
    asked = build.version.manifest.model_validate(
        build.version.manifest.model_dump(exclude={"decoder", "task"}) | text
    )
    build.version.manifest_body = asked.model_dump(mode="json")
    decoder = {"alphabet": ("a", "b"), "alphabet_key": None}
    said = asked.model_copy(update={"decoder": asked.decoder.model_copy(update=decoder)})
    outcome = BuildOutcome.model_construct(
        outcome="succeeded",
        certificate=ParityCertificate.model_construct(precision="fp32", limits=ParityLimits()),
        manifest=said,
    )
    require_as_asked(build, outcome, ParityLimits())
    other = said.decoder.model_copy(update={"blank": 5})
    changed = outcome.model_copy(update={"manifest": said.model_copy(update={"decoder": other})})
    with pytest.raises(OutcomeError, match="manifest"):
        require_as_asked(build, changed, ParityLimits())


def test_the_pieces_are_gone_when_the_turn_is_over(
    box: Box,
    build: Build,
    tmp_path: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    turn = leased(box)
    with django_capture_on_commit_callbacks(execute=True):
        finish(box, turn, tmp_path)
    assert not UploadedPiece.objects.exists()
    assert default_storage.listdir(f"pieces/{turn}") == ([], [])
    assert blobs.read(SHA256) == ENGINE
