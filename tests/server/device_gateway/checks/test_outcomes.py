"""What a device says of golden cases, held to every case that its lease named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_core.contract.golden import PipelineOutcome
from server.accounts.models import AuditEntry, Role
from server.builds import services
from server.builds.models import Artifact, BuildTurn, PipelineCheck
from server.fleet.models import HardwareProfile
from server.lib.errors import Conflict
from tests.server import catalogue
from tests.server.box import Box
from tests.server.device_gateway.checks.turns import (
    API,
    Somebody,
    deliver,
    finish,
    judged,
    leased,
    whys,
)
from tests.server.device_gateway.device_built import PROFILE, build_on_devices

pytestmark = pytest.mark.django_db


def test_a_true_outcome_names_the_device_and_waits_for_a_person(
    box: Box, check: PipelineCheck, tmp_path: Path, somebody: Somebody, sent: list[tuple[str, str]]
) -> None:
    lease = leased(box)
    outcome = judged(lease, tmp_path)
    answers = [deliver(box, lease, outcome) for _ in range(2)]  # the first answer was lost
    assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, "succeeded")] * 2
    check.refresh_from_db()
    certificate = check.certificate
    assert (certificate["judged_by"], certificate["also_built"]) == ("box-1", True)
    assert certificate["built_on"]["device"] == "box-1"
    assert whys() == ["golden cases judged by box-1: waits for approval"]
    sent.clear()
    assert services.sign_waiting_releases() == 0
    with pytest.raises(Conflict, match="waits for approval"):
        services.sign_release(release_id=check.release_id, profile_id=check.profile_id)

    address, body = f"{API}/approve", {"profile": PROFILE, "reason": "It stands in our hall."}
    assert somebody(Role.OPERATOR, name="bob").post(address, body).status_code == 403
    releaser = somebody(Role.RELEASER)
    assert releaser.post(address, {"profile": PROFILE}).status_code == 422
    shown = releaser.post(address, body).json()
    assert (shown["device"], shown["approved_by"]) == ("box-1", "token:ci of ada")
    assert [turn["ended"] for turn in shown["turns"]] == ["finished"]
    assert releaser.post(address, body).status_code == 409
    entry = AuditEntry.objects.get(action="approve", subject="pipeline_check")
    assert (entry.reason, entry.after["device"]) == (body["reason"], "box-1")
    assert services.sign_waiting_releases() == 1
    assert sent == [("server.builds.tasks.sign_release", "sign")]
    services.sign_release(release_id=check.release_id, profile_id=check.profile_id)
    assert whys() == []


def test_a_profile_may_do_without_approval(
    box: Box, check: PipelineCheck, profile: HardwareProfile, tmp_path: Path
) -> None:
    build_on_devices(profile, needs_approval=False)
    assert finish(box, tmp_path).may_be_signed
    assert services.sign_waiting_releases() == 1


Change = Callable[[dict[str, Any]], Any]
FORGED: dict[str, Change] = {
    "other bytes": lambda c: c["models"][catalogue.MODEL].update(artifact_sha256="0" * 64),
    "another runtime": lambda c: c["models"][catalogue.MODEL].update(runtime="openvino"),
    "another precision": lambda c: c["models"][catalogue.MODEL].update(precision="int8"),
    "one more model": lambda c: c["models"].update(more=c["models"][catalogue.MODEL]),
    "another release": lambda c: c.update(counter=9),
    "another pipeline": lambda c: c.update(pipeline_sha256="0" * 64),
    "another scale": lambda c: c.update(mm_per_px=7.0),
    "another budget": lambda c: c.update(budget_ms=9e9),
    "another set": lambda c: c["golden"][0].update(sha256="0" * 64),
    "fewer cases of a set": lambda c: c["golden"][0].update(cases=1),
    "no set": lambda c: c.update(golden=[]),
    "a case left out": lambda c: c["cases"].pop(),
    "a case told twice": lambda c: c["cases"].__setitem__(1, c["cases"][0]),
    "a picture of its own": lambda c: c["cases"][0].update(image="images/mine.png"),
    "another label": lambda c: c["cases"][0].update(expected=None),
    "a verdict that differs": lambda c: c["cases"][0].update(reference="fail", artifact="pass"),
    "another truth": lambda c: c["truth"].update(labelled=99),
    "fewer frames": lambda c: c["latency"].update(frames=1),
}


def test_what_differs_from_the_lease_is_refused_and_the_check_given_back(
    box: Box, check: PipelineCheck, tmp_path: Path
) -> None:
    outcome = judged(leased(box), tmp_path)
    turn = BuildTurn.objects.get()
    assert box.post(f"checks/{turn.pk}/return", {"reason": "later"}).status_code == 204
    for name, change in FORGED.items():
        lease, said = leased(box), outcome.model_dump(mode="json")
        change(said["certificate"])
        answer = deliver(box, lease, PipelineOutcome.model_validate(said))
        assert answer.status_code == 422, name
        assert "The result is not used" in answer.json()["detail"]
        check.refresh_from_db()
        assert check.state == "queued", name
        PipelineCheck.objects.update(attempts=0)
    for changes in ({"cases": 2}, {"certificate": None}):
        lease = leased(box)
        answer = deliver(box, lease, outcome.model_copy(update=changes))
        assert answer.status_code == 422, changes
    ended = set(BuildTurn.objects.values_list("ended", flat=True))
    assert ended == {"returned"}
    assert PipelineCheck.objects.get().certificate is None


def test_a_refusal_must_tell_cases_that_were_named(
    box: Box, check: PipelineCheck, artifact: Artifact, tmp_path: Path
) -> None:
    case = {"golden": "patches 1", "image": "images/faint.png", "reference": "fail"}
    differs: dict[str, Any] = {**case, "artifact": "pass"}
    refused: dict[str, Any] = {"outcome": "refused", "reason": "1 of 3 differ", "cases": 3}
    wrong: tuple[dict[str, Any], ...] = (
        {"cases": 1},
        {"differing_count": 4, "differing": [differs]},
        {"differing_count": 2, "differing": [differs]},
        {"differing_count": 1, "differing": [{**differs, "artifact": "fail"}]},
        {"differing_count": 1, "differing": [{**differs, "image": "images/none.png"}]},
        {"reason": " "},
        {"differing_count": -1},
        {"outcome": "failed", "cases": -1},
        {"outcome": "failed", "cases": 10**18},
        {"outcome": "failed", "differing_count": 1},
    )
    for changes in wrong:
        lease = leased(box)
        said = PipelineOutcome.model_validate({**refused, **changes})
        assert deliver(box, lease, said).status_code == 422, changes
        PipelineCheck.objects.update(attempts=0)
    lease = leased(box)
    told = {"differing_count": 1, "differing": [differs]}
    assert deliver(box, lease, PipelineOutcome.model_validate({**refused, **told})).json() == {
        "state": "refused",
        "reason": "1 of 3 differ",
    }


def test_what_could_not_be_found_out_now_is_given_back_and_what_never_can_is_failed(
    box: Box, check: PipelineCheck
) -> None:
    for is_final, state in ((False, "queued"), (True, "failed")):
        lease = leased(box)
        outcome = PipelineOutcome(outcome="failed", reason="no accelerator", is_final=is_final)
        assert deliver(box, lease, outcome).json()["state"] == state
    check.refresh_from_db()
    assert (check.reason, check.device) == ("no accelerator", box.device)
