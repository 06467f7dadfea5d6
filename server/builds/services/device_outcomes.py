"""What a device says came of its turn, held to the same checks as what a worker's child says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.db import transaction

from inference_core.contract.build import BuildOutcome
from server.builds.models import Artifact, Build, BuildTurn
from server.builds.selectors import limits_of
from server.builds.services import uploads
from server.builds.services.device_checks import require_as_asked
from server.builds.services.outcomes import record_outcome
from server.builds.services.turns import end_turn, finish_turn
from server.builds.states import TurnEnd
from server.builds.turn_reads import build_of


def finish_build_turn(*, turn: BuildTurn, outcome: BuildOutcome) -> Build:
    """End the build as its device says; raises what ``finish_turn`` does."""
    finish_turn(turn=turn, outcome=outcome, record=lambda: _record(turn, outcome))
    return build_of(turn)


def _record(turn: BuildTurn, outcome: BuildOutcome) -> None:
    build = build_of(turn)
    require_as_asked(build, outcome, limits_of(build))
    with tempfile.TemporaryDirectory(prefix="linewarden-build-") as name:
        folder = Path(name)
        uploads.join_pieces(turn, folder / "artifact")
        said = _as_of(turn, outcome, folder / "artifact")
        with transaction.atomic():
            record_outcome(build=build, owner=turn.owner, outcome=said, folder=folder)
            _mark(build, turn)
            end_turn(turn, TurnEnd.FINISHED, outcome.reason, actor=turn.owner)


def _as_of(turn: BuildTurn, outcome: BuildOutcome, path: Path) -> BuildOutcome:
    """The device's outcome; where the bytes lie and who built them, this server knows better."""
    changes: dict[str, object] = {"artifact_path": str(path)}
    if outcome.certificate is not None:
        built_on = {**outcome.certificate.built_on, "device": turn.device.serial}
        changes["certificate"] = outcome.certificate.model_copy(update={"built_on": built_on})
    return outcome.model_copy(update=changes)


def _mark(build: Build, turn: BuildTurn) -> None:
    """Whose hands it comes from, and whether a person must look before it is signed."""
    Artifact.objects.filter(build=build).update(
        device=turn.device, needs_approval=build.profile.needs_approval
    )
