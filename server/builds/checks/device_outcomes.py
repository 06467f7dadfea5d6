"""What a device says came of golden cases, held to what its lease named."""

from __future__ import annotations

from django.db import transaction

from inference_core.contract.golden import PipelineOutcome
from server.builds.checks.device_checks import require_as_named
from server.builds.checks.device_reads import lease_of_check
from server.builds.checks.outcomes import record_check
from server.builds.models import BuildTurn, PipelineCheck
from server.builds.services.turns import end_turn, finish_turn
from server.builds.services.works import work_of
from server.builds.states import TurnEnd
from server.builds.turn_reads import check_of


def finish_check_turn(*, turn: BuildTurn, outcome: PipelineOutcome) -> PipelineCheck:
    """End the check as its device says; raises what ``finish_turn`` does."""
    finish_turn(turn=turn, outcome=outcome, record=lambda: _record(turn, outcome))
    return check_of(turn)


def _record(turn: BuildTurn, outcome: PipelineOutcome) -> None:
    lease = lease_of_check(turn)
    require_as_named(lease, outcome)
    with transaction.atomic():
        record_check(
            check=check_of(turn),
            owner=turn.owner,
            job=lease,
            outcome=_as_of(turn, outcome),
            device=turn.device,
        )
        end_turn(turn, TurnEnd.FINISHED, outcome.reason, actor=turn.owner)


def _as_of(turn: BuildTurn, outcome: PipelineOutcome) -> PipelineOutcome:
    """The device's outcome; who judged, this server knows better."""
    certificate = outcome.certificate
    if certificate is None:
        return outcome
    changes = {
        "built_on": {**certificate.built_on, "device": turn.device.serial},
        "judged_by": turn.device.serial,
        "also_built": turn.device_id in work_of(turn).find_makers(),
    }
    return outcome.model_copy(update={"certificate": certificate.model_copy(update=changes)})
